//! One node process: its start, its readiness, its end.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

use super::log_tail::{LogTail, log_tail};
use crate::admin::AdminClient;
use crate::admin::wire::{NodeState, Status};

/// The program that becomes a node, and the words before the node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    program: PathBuf,
    lead: Vec<OsString>,
}

/// What a node process is started with, and started with again by [`NodeProcess::start_again`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name among the processes of one parent.
    pub name: String,
    /// Its data folder; made by the node. Short: the admin socket in it has a path of at most 107 bytes.
    pub data: PathBuf,
    /// Where standard output and standard error go, one after the other in the order of writing; appended to.
    pub log: PathBuf,
    /// The words after `run`.
    pub args: Vec<OsString>,
}

/// A node process, running or ended. Dropping it kills the process.
#[derive(Debug)]
pub struct NodeProcess {
    launcher: Launcher,
    spec: NodeSpec,
    running: Option<Running>,
}

/// The leash is the pipe's only writer: the node ends when this value does, or the process that holds it.
#[derive(Debug)]
struct Running {
    child: Child,
    _leash: ChildStdin,
}

/// Why a node process did not start; nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It runs already; stop it first.
    #[error("start {name}, which is running")]
    Running {
        /// The node.
        name: String,
    },
    /// The folder of the log could not be made, or the log not opened.
    #[error("open the log {}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program could not be executed.
    #[error("execute {}", program.display())]
    Execute {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why a node process is not ready. It may still become so if it has not ended.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// It ended; its log says why.
    #[error("see {name} become ready, which ended with {exit}; {tail}")]
    Ended {
        /// The node.
        name: String,
        /// How it ended.
        exit: ExitStatus,
        /// Its last words.
        tail: LogTail,
    },
    /// It runs and is not ready: its reasons or its log say what it waits for.
    #[error("see {name} become ready within {within:?}; its status: {}; {tail}", told(last.as_deref()))]
    Late {
        /// The node.
        name: String,
        /// How long it was waited for.
        within: Duration,
        /// Its last answer, if it gave one.
        last: Option<Box<Status>>,
        /// Its last words.
        tail: LogTail,
    },
    /// It does not run.
    #[error("see {name} become ready, which is not running")]
    NotRunning {
        /// The node.
        name: String,
    },
    /// The system does not tell about the process.
    #[error("watch {name}")]
    Watch {
        /// The node.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why a node process was not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// It does not run.
    #[error("end {name}, which is not running")]
    NotRunning {
        /// The node.
        name: String,
    },
    /// The system refused the signal or the wait.
    #[error("end {name}")]
    System {
        /// The node.
        name: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// How a node process ended after SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// By itself.
    Itself(ExitStatus),
    /// By SIGKILL, because it was still there when its time had passed.
    Killed,
}

impl Launcher {
    /// The program that is running, even where its file has been replaced since, as after a build.
    pub fn this_program() -> io::Result<Self> {
        let by_kernel = Path::new("/proc/self/exe");
        let program = if by_kernel.exists() { by_kernel.to_owned() } else { std::env::current_exe()? };
        Ok(Self::program(program))
    }

    /// Another program.
    pub fn program(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), lead: Vec::new() }
    }

    /// The same program with words that come before those of the node.
    #[must_use]
    pub fn lead(self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { lead: words.into_iter().map(Into::into).collect(), ..self }
    }

    fn command(&self, spec: &NodeSpec) -> Result<Command, io::Error> {
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&spec.log)?;
        let mut command = Command::new(&self.program);
        command
            .arg0("hedgerow")
            .args(&self.lead)
            .arg("--data")
            .arg(&spec.data)
            .args(["run", "--parent-pipe", "0"])
            .args(&spec.args)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own, so that Ctrl-C at the terminal reaches the parent alone.
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }
}

impl NodeProcess {
    /// Starts it; [`Self::ready`] says when it answers.
    pub fn start(launcher: Launcher, spec: NodeSpec) -> Result<Self, StartError> {
        let mut process = Self { launcher, spec, running: None };
        process.start_again()?;
        Ok(process)
    }

    /// Starts an ended process once more with its words and its data.
    pub fn start_again(&mut self) -> Result<(), StartError> {
        if self.running.is_some() {
            return Err(StartError::Running { name: self.spec.name.clone() });
        }
        let path = self.spec.log.clone();
        if let Some(folder) = path.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|source| StartError::Log { path: path.clone(), source })?;
        }
        let mut command = self.launcher.command(&self.spec).map_err(|source| StartError::Log { path, source })?;
        let mut child =
            command.spawn().map_err(|source| StartError::Execute { program: self.launcher.program.clone(), source })?;
        // Taken out because waiting for the child closes a standard input that it still holds.
        let leash = child.stdin.take().expect("standard input is a pipe");
        self.running = Some(Running { child, _leash: leash });
        Ok(())
    }

    /// Waits until the node says that it is ready, asking it every [`ASK_EVERY`].
    pub async fn ready(&mut self, within: Duration) -> Result<Status, ReadyError> {
        let deadline = Instant::now() + within;
        let client = self.admin().patience(ANSWER_WITHIN);
        let mut last = None;
        loop {
            self.check_running()?;
            if let Ok(status) = client.get::<Status>("read the status", "/admin/v1/status").await {
                if status.state == NodeState::Ready {
                    return Ok(status);
                }
                last = Some(Box::new(status));
            }
            if Instant::now() >= deadline {
                return Err(ReadyError::Late { name: self.spec.name.clone(), within, last, tail: self.last_words() });
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// Ends it at once, as a power cut would.
    pub async fn kill(&mut self) -> Result<ExitStatus, EndError> {
        self.signal(Signal::KILL)?;
        self.reap().await
    }

    /// Asks it to stop and waits; kills it when it is still there after `within`.
    pub async fn stop(&mut self, within: Duration) -> Result<Stopped, EndError> {
        self.signal(Signal::TERM)?;
        if let Ok(ended) = timeout(within, self.reap()).await {
            return ended.map(Stopped::Itself);
        }
        self.kill().await.map(|_by_signal| Stopped::Killed)
    }

    /// Whether it runs; an end by itself is noticed here and leaves the process ended.
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.ended()?.is_none() && self.running.is_some())
    }

    /// What it was started with.
    pub const fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// A client of its admin socket.
    pub fn admin(&self) -> AdminClient {
        AdminClient::in_data_dir(&self.spec.data)
    }

    /// The end of its log.
    pub fn last_words(&self) -> LogTail {
        log_tail(&self.spec.log, LAST_LINES)
    }

    fn check_running(&mut self) -> Result<(), ReadyError> {
        let name = || self.spec.name.clone();
        if self.running.is_none() {
            return Err(ReadyError::NotRunning { name: name() });
        }
        match self.ended() {
            Ok(None) => Ok(()),
            Ok(Some(exit)) => Err(ReadyError::Ended { name: self.spec.name.clone(), exit, tail: self.last_words() }),
            Err(source) => Err(ReadyError::Watch { name: self.spec.name.clone(), source }),
        }
    }

    fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(running) = &mut self.running else { return Ok(None) };
        let exit = running.child.try_wait()?;
        if exit.is_some() {
            self.running = None;
        }
        Ok(exit)
    }

    /// Signals the process group; the id is the child's until it is reaped, so that no other process can have it.
    fn signal(&self, signal: Signal) -> Result<(), EndError> {
        let not_running = || EndError::NotRunning { name: self.spec.name.clone() };
        let id = self.running.as_ref().and_then(|running| running.child.id()).ok_or_else(not_running)?;
        let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(not_running)?;
        match kill_process_group(id, signal) {
            // It has ended and only waits to be reaped.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(EndError::System { name: self.spec.name.clone(), source: error.into() }),
        }
    }

    async fn reap(&mut self) -> Result<ExitStatus, EndError> {
        let Some(running) = &mut self.running else {
            return Err(EndError::NotRunning { name: self.spec.name.clone() });
        };
        let exit = running.child.wait().await;
        let exit = exit.map_err(|source| EndError::System { name: self.spec.name.clone(), source })?;
        self.running = None;
        Ok(exit)
    }
}

fn told(status: Option<&Status>) -> String {
    match status {
        None => "no answer".to_owned(),
        Some(status) if status.reasons.is_empty() => format!("{:?}", status.state).to_lowercase(),
        Some(status) => format!("{:?}: {}", status.state, status.reasons.join(", ")).to_lowercase(),
    }
}

/// A tenth of the 300 ms in which a node should be ready.
const ASK_EVERY: Duration = Duration::from_millis(30);

/// A status is answered from memory; a node that takes longer is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

const LAST_LINES: usize = 20;

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
