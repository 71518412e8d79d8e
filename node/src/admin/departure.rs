//! A node that was told to leave its mesh for good: whether it was, and how that went.

use std::sync::Arc;
use std::time::Instant;

use hedgerow_protocol::core::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::core::{CommandError, CoreHandle};

/// How far a departure is. Clones share it.
#[derive(Clone, Debug)]
pub struct Departure(Arc<watch::Sender<Phase>>);

/// The steps of a departure, of which only a failure leads back.
#[derive(Clone, Debug, Default)]
pub(super) enum Phase {
    /// Nobody asked for it.
    #[default]
    Stays,
    /// It was asked for.
    Leaves {
        /// When.
        since: Instant,
    },
    /// The mesh was told, and the node knows it after a crash.
    Left {
        /// When it was asked for.
        since: Instant,
        /// When it was done.
        at: Instant,
        /// Whether somebody who asked was told.
        told: bool,
    },
    /// The core could not.
    Failed(Arc<CommandError>),
}

impl Departure {
    /// Of a node that nobody told to leave.
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// Asks for it. A departure under way goes on, and one that is done stays done.
    pub(super) fn ask(&self) {
        self.0.send_if_modified(|phase| {
            let begins = matches!(phase, Phase::Stays | Phase::Failed(_));
            if begins {
                *phase = Phase::Leaves { since: Instant::now() };
            }
            begins
        });
    }

    pub(super) fn phase(&self) -> Phase {
        self.0.borrow().clone()
    }

    /// Whether it leaves, or has left.
    pub(super) fn is_asked(&self) -> bool {
        matches!(*self.0.borrow(), Phase::Leaves { .. } | Phase::Left { .. })
    }

    /// Whether it has left.
    pub fn is_done(&self) -> bool {
        matches!(*self.0.borrow(), Phase::Left { .. })
    }

    /// Resolves once the node has left.
    pub async fn done(&self) {
        self.reached(|phase| matches!(phase, Phase::Left { .. })).await;
    }

    /// Resolves once somebody was told that the node has left.
    pub async fn heard(&self) {
        self.reached(|phase| matches!(phase, Phase::Left { told: true, .. })).await;
    }

    /// Somebody is told how far it is.
    pub(super) fn tell(&self) -> Phase {
        self.0.send_if_modified(|phase| match phase {
            Phase::Left { told, .. } => !std::mem::replace(told, true),
            Phase::Stays | Phase::Leaves { .. } | Phase::Failed(_) => false,
        });
        self.phase()
    }

    async fn reached(&self, is_it: impl FnMut(&Phase) -> bool) {
        let mut phases = self.0.subscribe();
        // The sender lives as long as this value.
        drop(phases.wait_for(is_it).await);
    }

    /// Has the core leave whenever it is asked for, until the node stops.
    pub async fn carry_out(self, core: CoreHandle, stop: CancellationToken) {
        let mut phases = self.0.subscribe();
        loop {
            let asked = async {
                let asked = phases.wait_for(|phase| matches!(phase, Phase::Leaves { .. })).await;
                asked.ok().map(|phase| phase.clone())
            };
            let since = tokio::select! {
                () = stop.cancelled() => return,
                asked = asked => match asked {
                    Some(Phase::Leaves { since }) => since,
                    Some(Phase::Stays | Phase::Left { .. } | Phase::Failed(_)) | None => return,
                },
            };
            tracing::info!("this node leaves the mesh for good");
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = core.command(Command::Leave) => outcome,
            };
            self.0.send_replace(match outcome {
                Ok(()) => Phase::Left { since, at: Instant::now(), told: false },
                Err(error) => Phase::Failed(Arc::new(error)),
            });
        }
    }
}
