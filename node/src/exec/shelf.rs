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
pub struct Shelf(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    states: BTreeMap<(ModelRef, Sha256Digest), State>,
    /// Models that have become warm so far.
    warmed: u64,
}

#[derive(Debug)]
enum State {
    Fetching,
    /// With its number among those that became warm.
    Warm(Arc<Model>, u64),
    Failed(String),
}

impl Shelf {
    /// The warm model of that name and version; of several, or of any version, the one that became warm last, which is the one
    /// that was deployed last. Texts of versions have no order.
    pub fn warm(&self, name: &ModelName, version: Option<&ModelVersion>) -> Option<WarmModel> {
        let places = self.lock();
        let asked = |model: &ModelRef| model.model == *name && version.is_none_or(|version| *version == model.version);
        let warm = places.states.iter().filter_map(|((model, manifest), state)| match state {
            State::Warm(runs, number) if asked(model) => Some((number, model, manifest, runs)),
            State::Warm(..) | State::Fetching | State::Failed(_) => None,
        });
        let (_, model, manifest, runs) = warm.max_by_key(|(number, ..)| **number)?;
        Some(WarmModel { model: model.clone(), manifest: *manifest, runs: runs.clone() })
    }

    /// The models that answer, in order.
    pub fn warm_models(&self) -> Vec<ModelRef> {
        let places = self.lock();
        let warm = places.states.iter().filter(|(_, state)| matches!(state, State::Warm(..)));
        let mut models: Vec<_> = warm.map(|((model, _), _)| model.clone()).collect();
        models.dedup();
        models
    }

    /// Everything that is on the shelf.
    pub fn rows(&self) -> Vec<ShelfRow> {
        let row = |((model, manifest), state): (&(ModelRef, Sha256Digest), &State)| {
            let (state, reason) = match state {
                State::Fetching => ("fetching", None),
                State::Warm(..) => ("warm", None),
                State::Failed(reason) => ("failed", Some(reason.clone())),
            };
            ShelfRow { model: model.clone(), manifest: *manifest, state, reason }
        };
        self.lock().states.iter().map(row).collect()
    }

    /// Whether this very artifact is warm or on its way.
    pub(super) fn has(&self, place: &(ModelRef, Sha256Digest)) -> bool {
        self.lock().states.get(place).is_some_and(|state| !matches!(state, State::Failed(_)))
    }

    pub(super) fn fetching(&self, place: (ModelRef, Sha256Digest)) {
        self.lock().states.insert(place, State::Fetching);
    }

    /// Notes how a loading ended, unless the place was given up meanwhile.
    pub(super) fn settle(&self, place: &(ModelRef, Sha256Digest), outcome: Result<Model, String>) {
        let mut places = self.lock();
        let Places { states, warmed } = &mut *places;
        let Some(state) = states.get_mut(place) else { return };
        *state = match outcome {
            Ok(runs) => {
                *warmed += 1;
                State::Warm(Arc::new(runs), *warmed)
            }
            Err(reason) => State::Failed(reason),
        };
    }

    /// Drops what is not in `wanted`; requests that run finish first, since they hold the model. A warm model goes on
    /// answering until what is wanted in its place is warm. Gives back the models that answered and do so no more.
    pub(super) fn retain(&self, wanted: &BTreeMap<ModelRef, Sha256Digest>) -> Vec<ModelRef> {
        let mut places = self.lock();
        let awaited: Vec<ModelName> = wanted
            .iter()
            .filter(|(model, manifest)| {
                let place = ((*model).clone(), **manifest);
                !matches!(places.states.get(&place), Some(State::Warm(..)))
            })
            .map(|(model, _)| model.model.clone())
            .collect();
        let mut gone = Vec::new();
        places.states.retain(|(model, manifest), state| {
            let is_warm = matches!(state, State::Warm(..));
            let stays = wanted.get(model) == Some(manifest) || is_warm && awaited.contains(&model.model);
            if is_warm && !stays {
                gone.push(model.clone());
            }
            stays
        });
        gone
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
