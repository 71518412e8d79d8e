//! One thing that happened on this node, and the line that it makes in the log.

use std::net::SocketAddr;

use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::region::Region;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::core::Event;
use hedgerow_protocol::id::Term;
use hedgerow_protocol::name::ModelRef;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// What the mesh core tells.
    Core(Event),
    /// A link came up, moved or went down.
    Link {
        /// What became of it.
        change: LinkChange,
        /// The link, as it was last where it is down.
        link: LinkSeen,
    },
    /// Another node leads a cell, or nobody does.
    Aggregator {
        /// The region of the cell.
        region: Region,
        /// The cell.
        cell: CellId,
        /// Who holds the lease, if anybody.
        holder: Option<NodeId>,
        /// Its term, or that of the last holder.
        term: Term,
    },
    /// This node has its next certificate.
    CertificateRenewed {
        /// Its serial.
        serial: u64,
        /// Its last second.
        until: UnixSeconds,
    },
    /// An attempt to renew it failed.
    CertificateNotRenewed {
        /// Why, with what to do.
        why: String,
        /// How many attempts failed in a row.
        failures: u32,
    },
    /// Handshakes or messages were refused.
    Refused {
        /// The reason under which they are counted.
        reason: String,
        /// How many since this reason was told last.
        times: u64,
    },
    /// The operator wants to see nothing more of a node.
    Forgotten {
        /// The node.
        node: NodeId,
    },
    /// A model answers on this node.
    ModelWarm {
        /// Which.
        model: ModelRef,
    },
    /// A model could not be loaded; it is tried again.
    ModelFailed {
        /// Which.
        model: ModelRef,
        /// Why.
        why: String,
    },
    /// A model answers on this node no more.
    ModelRemoved {
        /// Which.
        model: ModelRef,
    },
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// It is usable.
    Up,
    /// It goes on by another way.
    Moved,
    /// It ended.
    Down,
}

/// A link as an operator wants to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSeen {
    /// The member at its other end.
    pub node: NodeId,
    /// Where that is.
    pub address: SocketAddr,
    /// The member through which it runs, if it is not direct.
    pub relay: Option<NodeId>,
    /// Smoothed round trip, microseconds.
    pub rtt_us: u64,
}

impl Happening {
    /// Whether readers are told. A lease of this node shows to them as the aggregator of the cell, as it does to all nodes.
    pub(super) fn is_kept(&self) -> bool {
        !matches!(self, Self::Core(Event::LeaseAcquired { .. } | Event::LeaseLost { .. }))
    }

    /// The same with no text of any length.
    pub(super) fn bounded(self) -> Self {
        match self {
            Self::CertificateNotRenewed { why, failures } => Self::CertificateNotRenewed { why: cut(why), failures },
            Self::Refused { reason, times } => Self::Refused { reason: cut(reason), times },
            Self::ModelFailed { model, why } => Self::ModelFailed { model, why: cut(why) },
            short @ (Self::Core(_)
            | Self::Link { .. }
            | Self::Aggregator { .. }
            | Self::CertificateRenewed { .. }
            | Self::Forgotten { .. }
            | Self::ModelWarm { .. }
            | Self::ModelRemoved { .. }) => short,
        }
    }

    /// Links and refusals are logged where they are noticed, with more than is told here.
    pub(super) fn log(&self) {
        match self {
            Self::Core(event) => log(event),
            Self::Link { change, link } => tracing::trace!(node = %link.node.short(), ?change, "a link changed"),
            Self::Refused { reason, times } => tracing::trace!(reason, times, "refused"),
            Self::Aggregator { region, cell, holder, term } => {
                let holder = holder.map(|holder| holder.short());
                tracing::info!(%region, cell = %cell.short(), holder, %term, "the aggregator of a cell changed");
            }
            Self::CertificateRenewed { serial, until } => {
                tracing::info!(serial, %until, "renewed this node's certificate")
            }
            Self::CertificateNotRenewed { why, failures } => {
                tracing::warn!(error = why, failures, "did not renew this node's certificate")
            }
            Self::Forgotten { node } => tracing::info!(node = %node.short(), "a node is shown no more"),
            Self::ModelWarm { model } => tracing::info!(%model, "a model is warm"),
            Self::ModelFailed { model, why } => tracing::warn!(%model, reason = why, "a model could not be loaded"),
            Self::ModelRemoved { model } => tracing::info!(%model, "a model answers here no more"),
        }
    }
}

fn log(event: &Event) {
    match event {
        Event::Running { incarnation } => tracing::info!(%incarnation, "this node speaks"),
        Event::Refuted { incarnation } => tracing::info!(%incarnation, "this node was thought dead and said otherwise"),
        Event::MemberChanged { node, from, to } => tracing::info!(node = %node.short(), ?from, ?to, "a member changed"),
        Event::LeaseAcquired { cell, term } => {
            tracing::info!(cell = %cell.short(), %term, "this node is the aggregator")
        }
        Event::LeaseLost { cell, term } => {
            tracing::info!(cell = %cell.short(), %term, "this node is no longer the aggregator")
        }
        Event::VotersChanged { cell, epoch, voters } => {
            tracing::info!(cell = %cell.short(), %epoch, voters, "the voters of a cell changed");
        }
        Event::PlacementAdopted { cell, epoch } => {
            tracing::info!(cell = %cell.short(), %epoch, "a placement was adopted")
        }
        Event::PlacementRefused { cell, epoch, fault } => {
            tracing::warn!(cell = %cell.short(), %epoch, ?fault, "a placement that breaks a rule was decided");
        }
        Event::TwoBirths { kept, other } => {
            tracing::warn!(kept = %kept.short(), other = %other.short(), "an issuer signed two births for one region");
        }
        Event::Revoked { node, reason } => tracing::warn!(node = %node.short(), %reason, "a node is out for good"),
        Event::CellRecovered { cell, generation, voters } => {
            tracing::warn!(cell = %cell.short(), %generation, voters, "the operators gave a cell other voters");
        }
        Event::TwoRecoveries { cell, generation, kept, other } => tracing::error!(
            cell = %cell.short(), %generation, %kept, %other,
            "the operators signed two recoveries for one generation: sign one for the next"
        ),
        Event::CellEnded { cell, into } => {
            let into: Vec<String> = into.iter().map(|cell| cell.short()).collect();
            tracing::info!(cell = %cell.short(), ?into, "a cell ended, others took its place");
        }
        Event::ClockJump => tracing::warn!("the clocks jumped: leases are void until asked for afresh"),
        Event::ClockSuspect { ppm } => {
            tracing::error!(ppm, "the clock of this machine runs wrong: this node votes and leads no more");
        }
        Event::ClockTrusted => tracing::warn!("the clock of this machine runs right again"),
        Event::StorageLost { kind } => tracing::error!(?kind, "storage failed: this node votes and leads no more"),
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Longest text that is kept with an event; the log of the process has all of it.
const TEXT_CHARS_MAX: usize = 500;
