//! Which models are on this node, and how far each is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hedgerow_attest::digest::Sha256Digest;
use hedgerow_inference::exec::Model;
use hedgerow_protocol::name::{ModelName, ModelRef, ModelVersion};

/// A model that answers.
#[derive(Clone, Debug)]
pub struct WarmModel {
    /// Name and version.
    pub model: ModelRef,
    /// sha256 of its manifest.
    pub manifest: Sha256Digest,
    /// The model.
    pub runs: Arc<Model>,
}

/// One row of what an operator sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShelfRow {
    /// Name and version.
    pub model: ModelRef,
    /// sha256 of its manifest.
    pub manifest: Sha256Digest,
    /// `fetching`, `warm`, or `failed`.
    pub state: &'static str,
    /// Why it failed.
    pub reason: Option<String>,
}

/// The models on this node. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Mutex<BTreeMap<ModelRef, Place>>>);

#[derive(Debug)]
struct Place {
    manifest: Sha256Digest,
    state: State,
}

#[derive(Debug)]
enum State {
    Fetching,
    Warm(Arc<Model>),
    Failed(String),
}

impl Shelf {
    /// The warm model of that name: of that version, or of the latest by the order of version texts.
    pub fn warm(&self, name: &ModelName, version: Option<&ModelVersion>) -> Option<WarmModel> {
        let places = self.lock();
        let mut found = places.iter().rev().filter_map(|(model, place)| match &place.state {
            State::Warm(runs) => Some(WarmModel { model: model.clone(), manifest: place.manifest, runs: runs.clone() }),
            State::Fetching | State::Failed(_) => None,
        });
        found.find(|warm| warm.model.model == *name && version.is_none_or(|version| *version == warm.model.version))
    }

    /// The models that answer, in order.
    pub fn warm_models(&self) -> Vec<ModelRef> {
        let places = self.lock();
        let warm = places.iter().filter(|(_, place)| matches!(place.state, State::Warm(_)));
        warm.map(|(model, _)| model.clone()).collect()
    }

    /// Everything that is placed here.
    pub fn rows(&self) -> Vec<ShelfRow> {
        let row = |(model, place): (&ModelRef, &Place)| {
            let (state, reason) = match &place.state {
                State::Fetching => ("fetching", None),
                State::Warm(_) => ("warm", None),
                State::Failed(reason) => ("failed", Some(reason.clone())),
            };
            ShelfRow { model: model.clone(), manifest: place.manifest, state, reason }
        };
        self.lock().iter().map(row).collect()
    }

    /// Whether this very artifact is warm or on its way.
    pub(super) fn has(&self, model: &ModelRef, manifest: Sha256Digest) -> bool {
        let places = self.lock();
        let place = places.get(model).filter(|place| place.manifest == manifest);
        place.is_some_and(|place| !matches!(place.state, State::Failed(_)))
    }

    pub(super) fn fetching(&self, model: ModelRef, manifest: Sha256Digest) {
        self.lock().insert(model, Place { manifest, state: State::Fetching });
    }

    pub(super) fn settle(&self, model: &ModelRef, manifest: Sha256Digest, outcome: Result<Model, String>) {
        let state = match outcome {
            Ok(runs) => State::Warm(Arc::new(runs)),
            Err(reason) => State::Failed(reason),
        };
        self.lock().insert(model.clone(), Place { manifest, state });
    }

    /// Drops what is not in `wanted`; requests that run finish first, since they hold the model.
    pub(super) fn retain(&self, wanted: &BTreeMap<ModelRef, Sha256Digest>) {
        self.lock().retain(|model, place| wanted.get(model) == Some(&place.manifest));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ModelRef, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
