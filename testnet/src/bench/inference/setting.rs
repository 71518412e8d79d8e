//! What is needed before anything is measured: an environment for Python, the models, our program, and right answers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use tempfile::TempDir;

use super::processes::{Engine, finish, program};
use super::speed::EMPTY;

/// Everything lies in a folder that goes with this value.
pub(super) struct Setting {
    folder: TempDir,
    scripts: PathBuf,
    python: PathBuf,
    ours: PathBuf,
    ours_counted: PathBuf,
    verdicts: Vec<Verdict>,
}

/// What came of a model's answers.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Verdict {
    pub(super) name: String,
    /// Why there are none.
    pub(super) refused: Option<String>,
    /// What is wrong with them.
    pub(super) wrong: Vec<String>,
}

/// Whose process it is, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ours,
    OursCounted,
    Onnxruntime,
    OnnxruntimeWithoutArena,
}

impl Setting {
    /// Takes minutes the first time, when our program is built.
    pub(super) async fn prepare(only: &[String], python: Option<PathBuf>) -> anyhow::Result<Self> {
        anyhow::ensure!(!cfg!(debug_assertions), "measure a debug build: run it with --release");
        let folder = tempfile::tempdir().context("make a folder to work in")?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let scripts = sources.join("inference/conformance");
        anyhow::ensure!(scripts.join("whole").exists(), "find the sources in {}", sources.display());
        let (ours, ours_counted) = (built(&sources, "whole").await?, built(&sources, "whole_counted").await?);
        let python = match python {
            Some(python) => std::path::absolute(python)?,
            None => environment(folder.path(), &scripts).await?,
        };
        let mut setting = Self { folder, scripts, python, ours, ours_counted, verdicts: Vec::new() };
        setting.verdicts = setting.written(only).await?;
        Ok(setting)
    }

    /// In the order in which models are told.
    pub(super) fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| verdict.name != EMPTY)
    }

    /// Starts an engine with a model and returns it with what it says first.
    pub(super) async fn engine<T: serde::de::DeserializeOwned>(
        &self,
        side: Side,
        model: &str,
        cores: &[usize],
    ) -> anyhow::Result<(Engine, T)> {
        let case = self.folder.path().join("cases").join(model);
        let threads = PathBuf::from(cores.len().to_string());
        let words = |words: [&str; 3]| words.map(PathBuf::from);
        let (what, words) = match side {
            Side::Ours => ("our engine", vec![self.ours.clone(), "serve".into(), case, threads]),
            Side::OursCounted => ("our engine, counted", vec![self.ours_counted.clone(), case, threads]),
            Side::Onnxruntime | Side::OnnxruntimeWithoutArena => {
                let mode = if side == Side::Onnxruntime { "speed" } else { "memory" };
                let [flag, package, engine] = words(["-m", "whole", "engine"]);
                ("onnxruntime", vec![self.python.clone(), flag, package, engine, case, threads, mode.into()])
            }
        };
        Engine::start(what, &words, &self.scripts, cores).await
    }

    /// Writes the models, has ours answer and the answers judged.
    async fn written(&self, only: &[String]) -> anyhow::Result<Vec<Verdict>> {
        let mut write: Vec<OsString> = ["-m", "whole", "write"].map(OsString::from).into();
        write.extend([self.folder.path().into(), "full".into()]);
        if !only.is_empty() {
            write.push(EMPTY.into());
            write.extend(only.iter().map(OsString::from));
        }
        finish(program(&self.python, &write, &self.scripts), "write the models").await?;
        let folder = self.folder.path().as_os_str().to_owned();
        let answer = [OsString::from("answer"), folder.clone()];
        finish(program(&self.ours, &answer, &self.scripts), "answer once").await?;
        let check = ["-m".into(), "whole".into(), "verdicts".into(), folder];
        let said = finish(program(&self.python, &check, &self.scripts), "judge the answers").await?;
        serde_json::from_slice(&said).context("understand the verdicts")
    }
}

/// Builds an example and returns where it is.
async fn built(sources: &Path, example: &str) -> anyhow::Result<PathBuf> {
    let arguments = [
        "build",
        "--release",
        "--locked",
        "-p",
        "hedgerow-inference",
        "--message-format",
        "json",
        "--example",
        example,
    ];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let said = finish(program(cargo, &arguments, sources), "build our engine with cargo").await?;
    let mut found = None;
    for line in String::from_utf8(said)?.lines() {
        let message: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).context("understand cargo")?;
        if let Some(program) = message.get("executable").and_then(serde_json::Value::as_str) {
            found = Some(PathBuf::from(program));
        }
    }
    found.context("find what cargo built")
}

/// The packages that the conformance suite is run with.
async fn environment(folder: &Path, scripts: &Path) -> anyhow::Result<PathBuf> {
    let environment = folder.join("venv");
    let make = [OsString::from("-m"), "venv".into(), environment.clone().into()];
    finish(program("python3", &make, scripts), "make an environment for Python").await?;
    let python = environment.join("bin/python");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"];
    finish(program(&python, &install, scripts), "install what requirements.txt names").await?;
    Ok(python)
}
