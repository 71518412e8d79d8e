//! The processes of both engines, and the programs that prepare for them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Far beyond what one measurement takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program with its arguments, in a folder; it ends with this one.
pub(super) fn program<S: AsRef<OsStr>>(name: impl AsRef<OsStr>, arguments: &[S], folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    // What scripts compile is nobody's to keep.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONWARNINGS", "ignore");
    command
}

/// Runs a program to its end; what it says on its error output is for whoever waits.
pub(super) async fn finish(mut command: Command, purpose: &'static str) -> anyhow::Result<Vec<u8>> {
    let ended = command.stdout(Stdio::piped()).spawn().context(purpose)?.wait_with_output().await.context(purpose)?;
    anyhow::ensure!(ended.status.success(), "{purpose}: it ended with {}", ended.status);
    Ok(ended.stdout)
}

/// A process that answers each line with a line of JSON.
pub(super) struct Engine {
    _process: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    what: &'static str,
}

impl Engine {
    /// Starts a program on those cores and waits until it has loaded its model.
    pub(super) async fn start<T: DeserializeOwned>(
        what: &'static str,
        words: &[PathBuf],
        folder: &Path,
        cores: &[usize],
    ) -> anyhow::Result<(Self, T)> {
        let list = cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let mut arguments = vec![PathBuf::from("-c"), PathBuf::from(list)];
        arguments.extend_from_slice(words);
        let mut command = program("taskset", &arguments, folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("start an engine with taskset")?;
        let ask = process.stdin.take().context("speak to an engine")?;
        let answers = BufReader::new(process.stdout.take().context("hear an engine")?).lines();
        let mut engine = Self { _process: process, ask, answers, what };
        let ready = engine.answer().await?;
        Ok((engine, ready))
    }

    pub(super) async fn ask<T: DeserializeOwned>(&mut self, question: &str) -> anyhow::Result<T> {
        self.ask.write_all(format!("{question}\n").as_bytes()).await.with_context(|| format!("ask {}", self.what))?;
        self.answer().await
    }

    async fn answer<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let line =
            timeout(PATIENCE, self.answers.next_line()).await.with_context(|| format!("wait for {}", self.what))?;
        let line = line?.with_context(|| format!("hear {}, which ended", self.what))?;
        serde_json::from_str(&line).with_context(|| format!("understand {}: {line}", self.what))
    }
}
