//! Keeps the shelf as the placement wants it: what is placed here is brought, verified and warmed; what is not is let go.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_inference::exec::{ExecLimits, Model};
use hedgerow_protocol::core::Command;
use hedgerow_protocol::fact::{Energy, Health, WARM_MAX};
use hedgerow_protocol::name::ModelRef;
use hedgerow_protocol::view::MeshView;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::fetch::Fetching;
use super::library::Library;
use super::pool::Pool;
use super::shelf::Shelf;
use crate::core::CoreHandle;
use crate::net::Net;
use crate::observe::{Conditions, Counters, EventLog, Happening, chain, energy, free_memory_mib};

/// How often the queue's depth is told to the core, which tells it with acknowledgements; half the period of probes.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// How often memory and energy are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Free memory is told in steps of so many MiB.
const MEMORY_STEP_MIB: u32 = 64;
/// Pause before a model that could not be loaded is tried again; doubled up to [`RETRY_MAX`], since a model that does not fit
/// this node fits it no better a moment later.
const RETRY_MIN: Duration = Duration::from_secs(2);
/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// What the keeper works with.
#[derive(Clone, Debug)]
pub struct KeeperParts {
    /// The mesh as this node sees it.
    pub core: CoreHandle,
    /// Where artifacts come from.
    pub net: Net,
    /// Where they are kept.
    pub library: Library,
    /// Where the models stand.
    pub shelf: Shelf,
    /// Whose queue is told.
    pub pool: Pool,
    /// For which the node asks to be passed over.
    pub conditions: Conditions,
    /// Where peers are counted that send what was not asked for.
    pub counters: Counters,
    /// Where it is told which models answer.
    pub events: EventLog,
    /// What one model may take.
    pub limits: ExecLimits,
}

/// The task that keeps the shelf.
#[derive(Debug)]
pub struct Keeper {
    parts: KeeperParts,
    loads: JoinSet<(Place, bool)>,
    /// Of each place on its way.
    loading: BTreeMap<Place, AbortHandle>,
    /// What was wanted when partial files of anything else were removed last.
    tidied: Option<BTreeMap<ModelRef, Sha256Digest>>,
    tidying: JoinSet<()>,
    retries: BTreeMap<Place, Retry>,
    told: Option<Health>,
    /// When memory and energy were looked at last, and what was seen.
    looked: Option<Instant>,
    free_memory_mib: u32,
    energy: Energy,
}

/// A model and the very artifact.
type Place = (ModelRef, Sha256Digest);

/// When a model that could not be loaded is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Retry {
    at: Instant,
    wait: Duration,
}

impl Retry {
    fn after(last: Option<Self>, now: Instant) -> Self {
        let wait = last.map_or(RETRY_MIN, |last| (last.wait * 2).min(RETRY_MAX));
        Self { at: now + wait, wait }
    }
}

impl Keeper {
    /// A keeper that has not begun.
    pub fn new(parts: KeeperParts) -> Self {
        Self {
            parts,
            loads: JoinSet::new(),
            loading: BTreeMap::new(),
            tidied: None,
            tidying: JoinSet::new(),
            retries: BTreeMap::new(),
            told: None,
            looked: None,
            free_memory_mib: 0,
            energy: Energy::Mains,
        }
    }

    /// Follows the view until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut views = self.parts.core.views();
        let mut tell = tokio::time::interval(TELL_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = views.changed() => match changed {
                    Ok(()) => self.follow(&views.borrow_and_update().clone()),
                    Err(_ended) => return,
                },
                Some(loaded) = self.loads.join_next() => {
                    self.loaded(loaded);
                    // At once: a model that is warm here and unknown to the router answers nobody.
                    self.tell().await;
                }
                _ = tell.tick() => {
                    self.follow(&views.borrow().clone());
                    self.tell().await;
                }
            }
        }
    }

    /// Takes the outcome of a load, `true` where the model is warm.
    fn loaded(&mut self, outcome: Result<(Place, bool), JoinError>) {
        // What it left in part may be wanted no longer.
        self.tidied = None;
        match outcome {
            Ok((place, warm)) => {
                self.loading.remove(&place);
                let last = self.retries.remove(&place);
                if !warm {
                    self.retries.insert(place, Retry::after(last, Instant::now()));
                }
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => tracing::error!(%error, "a model's loading failed"),
        }
    }

    /// Starts what is missing and drops what is no longer placed here.
    fn follow(&mut self, view: &MeshView) {
        let placed = placed_here(view);
        if let Some(placed) = &placed {
            self.tidy(placed);
        }
        let wanted = placed.unwrap_or_default();
        for model in self.parts.shelf.retain(&wanted) {
            self.parts.events.record(Happening::ModelRemoved { model });
        }
        self.loading.retain(|(model, manifest), load| {
            let stays = wanted.get(model) == Some(manifest);
            if !stays {
                load.abort();
            }
            stays
        });
        self.retries.retain(|(model, manifest), _| wanted.get(model) == Some(manifest));
        let now = Instant::now();
        for place in wanted {
            let due = self.retries.get(&place).is_none_or(|retry| retry.at <= now);
            if due && !self.parts.shelf.has(&place) && self.loads.len() < LOADS_MAX {
                self.parts.shelf.fetching(place.clone());
                let load = self.loads.spawn(load(self.parts.clone(), place.clone()));
                self.loading.insert(place, load);
            }
        }
    }

    /// Removes what is here in part of models that are placed here no longer.
    fn tidy(&mut self, placed: &BTreeMap<ModelRef, Sha256Digest>) {
        while self.tidying.try_join_next().is_some() {}
        if self.tidied.as_ref() == Some(placed) || !self.tidying.is_empty() {
            return;
        }
        self.tidied = Some(placed.clone());
        let (library, manifests) = (self.parts.library.clone(), placed.values().copied().collect());
        self.tidying.spawn(async move {
            if let Err(error) = library.keep_parts(manifests).await {
                tracing::warn!(%error, "what is left of models that are no longer placed here stays on the disk");
            }
        });
    }

    /// Tells the core what this node can do, where that has changed.
    async fn tell(&mut self) {
        let mut warm = self.parts.shelf.warm_models();
        warm.truncate(WARM_MAX);
        let degraded = self.parts.conditions.degraded();
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.looked = Some(Instant::now());
            // In steps, so that a few pages more or less are no news.
            self.free_memory_mib = free_memory_mib() / MEMORY_STEP_MIB * MEMORY_STEP_MIB;
            self.energy = energy();
        }
        let Self { free_memory_mib, energy, .. } = *self;
        let health = Health { queue_depth: self.parts.pool.depth(), free_memory_mib, energy, degraded, warm };
        if self.told.as_ref() == Some(&health) {
            return;
        }
        match self.parts.core.command(Command::SetHealth(health.clone())).await {
            Ok(()) => self.told = Some(health),
            Err(error) => tracing::debug!(%error, "the core was not told this node's health"),
        }
    }
}

/// Models that load at the same time; their blobs share one disk and one uplink.
const LOADS_MAX: usize = 2;

/// What the adopted placement of this node's cell puts here; `None` as long as none is known, as just after a start.
fn placed_here(view: &MeshView) -> Option<BTreeMap<ModelRef, Sha256Digest>> {
    let placement = view.cell.and_then(|cell| view.placements.get(&cell))?;
    let mine = placement.models.iter().filter(|(_, placed)| placed.nodes.contains(&view.me));
    Some(mine.map(|(model, placed)| (model.clone(), placed.manifest)).collect())
}

/// Brings and loads one model; how it ended stands on the shelf, and is said for the next try.
async fn load(parts: KeeperParts, place: Place) -> (Place, bool) {
    let (model, manifest) = (place.0.clone(), place.1);
    // A place whose loading panicked would be on its way for ever.
    let outcome = AssertUnwindSafe(bring_and_load(&parts, manifest)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_message| Err("its loading panicked".to_owned()));
    let loaded = outcome.is_ok();
    parts.events.record(match &outcome {
        Ok(_) => Happening::ModelWarm { model },
        Err(reason) => Happening::ModelFailed { model, why: reason.clone() },
    });
    parts.shelf.settle(&place, outcome);
    (place, loaded)
}

async fn bring_and_load(parts: &KeeperParts, manifest: Sha256Digest) -> Result<Model, String> {
    let opened = match parts.library.open(manifest).await {
        Ok(opened) => opened,
        Err(_not_whole) => {
            bring_from_anyone(parts, manifest).await?;
            parts.library.open(manifest).await.map_err(|error| chain(&error))?
        }
    };
    let limits = parts.limits;
    let loaded = tokio::task::spawn_blocking(move || Model::load(&opened, limits)).await;
    loaded.map_err(|error| chain(&error))?.map_err(|error| chain(&error))
}

/// Asks those that say they hold it warm, then everybody else: whoever it was pushed through holds it without being placed.
async fn bring_from_anyone(parts: &KeeperParts, manifest: Sha256Digest) -> Result<(), String> {
    let peers = holders_first(&parts.core.view(), manifest);
    let KeeperParts { net, library, counters, .. } = parts;
    Fetching { net, library, counters, peers: &peers }.bring(manifest).await.map_err(|error| chain(&error))
}

fn holders_first(view: &MeshView, manifest: Sha256Digest) -> Vec<NodeId> {
    let warm: Vec<NodeId> = view
        .deployments
        .iter()
        .filter(|row| row.deployment.manifest == manifest)
        .flat_map(|row| row.warm.iter().copied())
        .collect();
    let mut others: Vec<_> =
        view.members.values().filter(|member| member.node != view.me && member.state.serves()).collect();
    others.sort_by_key(|member| (!warm.contains(&member.node), member.rtt_us.unwrap_or(u64::MAX), member.node));
    others.into_iter().map(|member| member.node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_longer_each_time_up_to_a_bound() {
        let now = Instant::now();
        let mut retry = None;
        let mut waits_s = Vec::new();
        for _ in 0..7 {
            let next = Retry::after(retry, now);
            assert_eq!(next.at, now + next.wait);
            waits_s.push(next.wait.as_secs());
            retry = Some(next);
        }
        assert_eq!(waits_s, [2, 4, 8, 16, 32, 60, 60]);
    }
}
