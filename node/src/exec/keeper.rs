//! Keeps the shelf as the placement wants it: what is placed here is brought, verified and warmed; what is not is let go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_inference::exec::{ExecLimits, Model};
use hedgerow_protocol::core::Command;
use hedgerow_protocol::fact::Health;
use hedgerow_protocol::name::ModelRef;
use hedgerow_protocol::view::MeshView;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fetch::bring;
use super::library::Library;
use super::pool::Pool;
use super::shelf::Shelf;
use crate::core::CoreHandle;
use crate::net::Net;
use crate::observe::chain;

/// How often the queue's depth is told to the core, which tells it with acknowledgements; half the period of probes.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Pause before a model that could not be brought is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

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
    /// What one model may take.
    pub limits: ExecLimits,
}

/// The task that keeps the shelf.
#[derive(Debug)]
pub struct Keeper {
    parts: KeeperParts,
    loads: JoinSet<ModelRef>,
    told: Option<Health>,
}

impl Keeper {
    /// A keeper that has not begun.
    pub fn new(parts: KeeperParts) -> Self {
        Self { parts, loads: JoinSet::new(), told: None }
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
                Some(loaded) = self.loads.join_next() => match loaded {
                    Ok(model) => tracing::debug!(%model, "a model's loading has ended"),
                    Err(error) => tracing::error!(%error, "a model's loading failed"),
                },
                _ = tell.tick() => {
                    self.follow(&views.borrow().clone());
                    self.tell().await;
                }
            }
        }
    }

    /// Starts what is missing and drops what is no longer placed here.
    fn follow(&mut self, view: &MeshView) {
        let wanted = placed_here(view);
        self.parts.shelf.retain(&wanted);
        for (model, manifest) in wanted {
            if !self.parts.shelf.has(&model, manifest) && self.loads.len() < LOADS_MAX {
                self.parts.shelf.fetching(model.clone(), manifest);
                self.loads.spawn(load(self.parts.clone(), model, manifest));
            }
        }
    }

    /// Tells the core what this node can do, where that has changed.
    async fn tell(&mut self) {
        let health =
            Health { queue_depth: self.parts.pool.depth(), warm: self.parts.shelf.warm_models(), ..Health::default() };
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

/// What the adopted placement of this node's cell puts here.
fn placed_here(view: &MeshView) -> BTreeMap<ModelRef, Sha256Digest> {
    let placement = view.cell.and_then(|cell| view.placements.get(&cell));
    let models = placement.into_iter().flat_map(|placement| &placement.models);
    let mine = models.filter(|(_, placed)| placed.nodes.contains(&view.me));
    mine.map(|(model, placed)| (model.clone(), placed.manifest)).collect()
}

/// Brings and loads one model; a failure stands on the shelf for [`RETRY_AFTER`] and is tried again by the next look.
async fn load(parts: KeeperParts, model: ModelRef, manifest: Sha256Digest) -> ModelRef {
    let outcome = bring_and_load(&parts, manifest).await;
    match &outcome {
        Ok(_) => tracing::info!(%model, "a model is warm"),
        Err(reason) => tracing::warn!(%model, reason, "a model could not be loaded"),
    }
    let failed = outcome.is_err();
    if failed {
        tokio::time::sleep(RETRY_AFTER).await;
    }
    parts.shelf.settle(&model, manifest, outcome);
    model
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
    let view = parts.core.view();
    let mut last = "no other node answers".to_owned();
    for peer in holders_first(&view, manifest) {
        match bring(&parts.net, &parts.library, peer, manifest).await {
            Ok(()) => return Ok(()),
            Err(error) => last = chain(&error),
        }
    }
    Err(last)
}

fn holders_first(view: &Arc<MeshView>, manifest: Sha256Digest) -> Vec<NodeId> {
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
