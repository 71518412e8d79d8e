//! From an artifact to answers: the one place that loads and runs models.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use anyhow::Context as _;
use hedgerow_inference::{
    artifact::{Opened, open},
    exec::{ExecLimits, Model},
    tensor::Tensor,
};

/// Above what any case needs: they are trusted, and what is measured is not the bound.
pub(crate) const MEMORY_BYTES_MAX: u64 = 4 << 30;
pub(crate) const SYMBOL_MAX: u64 = 1 << 16;

/// A model in memory.
pub(crate) struct Loaded(Model);

impl Loaded {
    /// Loads a model. It answers on as many threads as the environment says, see `serve.rs`.
    pub(crate) fn new(opened: &Opened) -> Result<Self, String> {
        let limits = ExecLimits { memory_bytes_max: MEMORY_BYTES_MAX, symbol_max: SYMBOL_MAX, ..ExecLimits::default() };
        Model::load(opened, limits).map(Self).map_err(|error| chain(&error))
    }

    pub(crate) fn run(&self, inputs: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, String> {
        self.0.run(inputs).map_err(|error| chain(&error))
    }

    /// Bytes of the weights.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.0.resident_bytes()
    }
}

/// Opens the artifact of a folder.
pub(crate) fn stored(folder: &Path) -> anyhow::Result<Opened> {
    let manifest = fs::read(folder.join("manifest")).context("read the artifact that `answer` writes")?;
    open(&manifest, |layer, _| fs::read(folder.join(layer.to_string())).ok()).context("open the artifact")
}

/// A message with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
