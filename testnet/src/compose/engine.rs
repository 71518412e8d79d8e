//! Calls of the `docker` client and of whichever compose there is.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// A Docker engine that answered, and a compose to go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Engine {
    compose: &'static [&'static str],
}

/// Why containers cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// Install Docker and start its engine, or do without containers.
    #[error("reach a Docker engine ({said}); start one, or use `--backend local`")]
    NoEngine {
        /// What the client said.
        said: String,
    },
    /// Install either, or do without containers.
    #[error("find `docker compose` or `docker-compose`; install either, or use `--backend local`")]
    NoCompose,
    /// The program could not be executed.
    #[error("execute `{command}`")]
    Execute {
        /// The words.
        command: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program failed; what it said tells why.
    #[error("run `{command}`: {said}")]
    Failed {
        /// The words.
        command: String,
        /// What it wrote to standard error, its end.
        said: String,
    },
    /// The engine hangs; `docker info` may say why.
    #[error("run `{command}` within {within:?}")]
    Late {
        /// The words.
        command: String,
        /// How long it was waited for.
        within: Duration,
    },
}

impl Engine {
    /// Looks for an engine and for a compose: the plugin first, which is the one still developed.
    pub(super) async fn find() -> Result<Self, EngineError> {
        run("docker", &["version", "--format", "{{.Server.Version}}"], QUICK).await.map_err(|error| {
            let said = match error {
                EngineError::Execute { source, .. } => format!("docker: {source}"),
                EngineError::Failed { said, .. } => said,
                error @ (EngineError::Late { .. } | EngineError::NoEngine { .. } | EngineError::NoCompose) => {
                    error.to_string()
                }
            };
            EngineError::NoEngine { said }
        })?;
        for compose in [&["docker", "compose"][..], &["docker-compose"][..]] {
            if run(compose[0], &[&compose[1..], &["version"][..]].concat(), QUICK).await.is_ok() {
                return Ok(Self { compose });
            }
        }
        Err(EngineError::NoCompose)
    }

    /// `docker WORDS`, its standard output as text.
    pub(super) async fn docker(&self, words: &[&str]) -> Result<String, EngineError> {
        run("docker", words, SLOW).await
    }

    /// `docker compose WORDS` or `docker-compose WORDS`.
    pub(super) async fn compose(&self, words: &[&str]) -> Result<String, EngineError> {
        run(self.compose[0], &[&self.compose[1..], words].concat(), SLOW).await
    }

    /// `docker WORDS` with something on its standard input.
    pub(super) async fn docker_with_input(&self, words: &[&str], input: &[u8]) -> Result<String, EngineError> {
        successful("docker", words, &output("docker", words, input, SLOW).await?)
    }

    /// Everything that `docker WORDS` wrote, however it ended.
    pub(super) async fn docker_output(&self, words: &[&str]) -> Result<Output, EngineError> {
        output("docker", words, NOTHING, SLOW).await
    }
}

async fn run(program: &str, words: &[&str], within: Duration) -> Result<String, EngineError> {
    successful(program, words, &output(program, words, NOTHING, within).await?)
}

fn successful(program: &str, words: &[&str], output: &Output) -> Result<String, EngineError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let cut = said.len().saturating_sub(SAID_BYTES_MAX);
    let cut = (cut..said.len()).find(|&at| said.is_char_boundary(at)).unwrap_or(said.len());
    Err(EngineError::Failed { command: words_of(program, words), said: said[cut..].to_owned() })
}

/// `input` is shorter than a pipe holds, or the program reads it before it writes much.
async fn output(program: &str, words: &[&str], input: &[u8], within: Duration) -> Result<Output, EngineError> {
    let mut command = Command::new(program);
    command.args(words.iter().map(OsStr::new)).kill_on_drop(true);
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    let exchange = async {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).await?;
        }
        child.wait_with_output().await
    };
    match timeout(within, exchange).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(source)) => Err(EngineError::Execute { command: words_of(program, words), source }),
        Err(_elapsed) => Err(EngineError::Late { command: words_of(program, words), within }),
    }
}

fn words_of(program: &str, words: &[&str]) -> String {
    [&[program], words].concat().join(" ")
}

/// For programs that read nothing.
const NOTHING: &[u8] = &[];

/// For questions.
const QUICK: Duration = Duration::from_secs(15);

/// For building, starting and stopping, on a loaded machine.
const SLOW: Duration = Duration::from_secs(180);

const SAID_BYTES_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_program_is_told_with_its_words_and_what_it_said() {
        let error = run("cat", &["/no/such/file"], QUICK).await.expect_err("no such file");
        assert!(error.to_string().starts_with("run `cat /no/such/file`: cat: "), "{error}");
        let error = run("no-such-program-here", &[], QUICK).await.expect_err("no such program");
        assert!(matches!(error, EngineError::Execute { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_program_reads_what_it_is_given() {
        let said = output("cat", &[], b"read this", QUICK).await.expect("it runs");
        assert_eq!(successful("cat", &[], &said).expect("it succeeds"), "read this");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended() {
        let error = run("tail", &["-f", "/dev/null"], Duration::from_millis(50)).await.expect_err("it hangs");
        assert!(matches!(error, EngineError::Late { .. }), "{error}");
    }
}
