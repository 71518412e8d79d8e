//! From an artifact to answers: the one place that loads and runs models.

use std::{cell::RefCell, collections::BTreeMap, error::Error, fs, path::Path};

use anyhow::Context as _;
use hedgerow_inference::{
    artifact::{Opened, open},
    exec::{ExecLimits, Lane, Model},
    tensor::Tensor,
};

/// Above what any case needs: they are trusted, and what is measured is not the bound.
pub(crate) const MEMORY_BYTES_MAX: u64 = 4 << 30;
pub(crate) const SYMBOL_MAX: u64 = 1 << 16;

/// A model in memory, and the threads and memory with which it answers.
pub(crate) struct Loaded {
    model: Model,
    lane: RefCell<Lane>,
}

impl Loaded {
    /// Loads a model that answers on so many threads.
    pub(crate) fn new(opened: &Opened, threads: usize) -> Result<Self, String> {
        let limits = ExecLimits { memory_bytes_max: MEMORY_BYTES_MAX, symbol_max: SYMBOL_MAX, ..ExecLimits::default() };
        let model = Model::load(opened, limits).map_err(chain)?;
        let lane = Lane::with_threads(threads, "lane").map_err(chain)?;
        Ok(Self { model, lane: RefCell::new(lane) })
    }

    pub(crate) fn run(&self, inputs: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, String> {
        self.model.run_in(&mut self.lane.borrow_mut(), inputs, None).map_err(chain)
    }

    /// Bytes of the weights.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.model.resident_bytes()
    }

    /// Bytes at the peak of a request, weights included, as far as its extents tell.
    pub(crate) fn planned_bytes(&self, inputs: &BTreeMap<String, Tensor>) -> Result<u64, String> {
        let threads = self.lane.borrow().threads();
        self.model.planned_bytes(inputs, threads).map_err(chain)
    }
}

/// Opens the artifact of a folder.
pub(crate) fn stored(folder: &Path) -> anyhow::Result<Opened> {
    let manifest = fs::read(folder.join("manifest")).context("read the artifact that `answer` writes")?;
    open(&manifest, |layer, _| fs::read(folder.join(layer.to_string())).ok()).context("open the artifact")
}

/// A message with its causes.
pub(crate) fn chain(error: impl Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::new(error))
}
