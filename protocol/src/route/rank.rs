//! Ranking the nodes that hold a model warm.

use crate::fact::{DegradedReason, Energy, Liveness};
use crate::name::{ModelName, ModelRef, ModelVersion};
use crate::view::{CellView, MemberState, MemberView, MeshView};
use hedgerow_attest::id::NodeId;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankQuery {
    /// The model.
    pub model: ModelName,
    /// The version; any when nothing.
    pub version: Option<ModelVersion>,
    /// Time that is left for the answer, in microseconds; no limit when nothing.
    pub deadline_us: Option<u64>,
}

impl RankQuery {
    fn asks_for(&self, model: &ModelRef) -> bool {
        model.model == self.model && self.version.as_ref().is_none_or(|version| *version == model.version)
    }
}

/// The nodes that could answer, best first, and why the others could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    /// Best first.
    pub candidates: Vec<Candidate>,
    /// Every other member, by node.
    pub refused: Vec<(NodeId, RefusalReason)>,
}

/// A node that could answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Nodes between this one and the answer: 0 here, 1 by forwarding.
    pub hops: u8,
    /// Expected time until its answer begins to be computed, in microseconds: round trip and queue.
    pub expected_us: u64,
    /// Why it stands where it stands.
    pub reason: RouteReason,
}

/// Why a candidate stands where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteReason {
    /// It is this node.
    Here,
    /// By its measured round trip and its queue.
    Measured {
        /// Smallest round trip of the last minute, in microseconds.
        rtt_us: u64,
        /// Requests that wait or run there.
        queue_depth: u32,
    },
    /// By the round trip that coordinates predict and its queue: nobody measured one from here yet.
    Estimated {
        /// The prediction, in microseconds.
        rtt_us: u64,
        /// Requests that wait or run there.
        queue_depth: u32,
    },
    /// Nobody measured a round trip to it from here yet, and none is predicted.
    Unmeasured {
        /// Requests that wait or run there.
        queue_depth: u32,
    },
    /// It is of a cell of which only the rollup is known: by what its aggregator said of it, and the way to that cell.
    Abroad {
        /// Requests that waited or ran there.
        queue_depth: u32,
        /// Milliseconds since the aggregator said so.
        said_ms_ago: u64,
    },
    /// It asked to be passed over where another can do the work, so it comes last.
    Degraded(DegradedReason),
    /// Its battery is low, so it comes last.
    LowBattery,
}

/// Why a member is no candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// It is not alive.
    State(MemberState),
    /// It does not hold the model warm.
    NotWarm,
    /// It holds another version of it.
    OtherVersion,
    /// Its answer would come too late.
    TooLate {
        /// When it could begin, in microseconds.
        expected_us: u64,
    },
}

/// Round trip that is assumed where none was measured, in microseconds. Guess: behind everything in the same building,
/// before everything on another continent.
const RTT_UNMEASURED_US: u64 = 50_000;

/// Time that a waiting request is assumed to take, in microseconds. Guess; the time that the executor measures per model
/// would settle it once it rides on acknowledgements.
const QUEUED_US: u64 = 1_000;

/// Ranks all members for a query, and the contacts of cells whose members are not known here.
#[must_use]
pub fn rank(view: &MeshView, query: &RankQuery) -> Ranking {
    let mut ranking = Ranking { candidates: Vec::new(), refused: Vec::new() };
    for member in view.members.values() {
        match judge(view, member, query) {
            Ok(candidate) => ranking.candidates.push(candidate),
            Err(reason) => ranking.refused.push((member.node, reason)),
        }
    }
    ranking.candidates.extend(view.cells.values().filter(|cell| !cell.detail).flat_map(|cell| abroad(cell, query)));
    ranking.candidates.sort_by_key(|candidate| {
        let (degraded, hearsay_us) = match candidate.reason {
            RouteReason::Here | RouteReason::Measured { .. } => (false, 0),
            RouteReason::Estimated { rtt_us, .. } => (false, rtt_us),
            RouteReason::Unmeasured { .. } | RouteReason::Abroad { .. } => (false, u64::MAX),
            RouteReason::Degraded(_) | RouteReason::LowBattery => (true, 0),
        };
        (degraded, candidate.expected_us, hearsay_us, candidate.hops, candidate.node)
    });
    ranking
}

/// What a round trip counts for that was not measured. Coordinates are hearsay: they may put a node farther away than is
/// assumed, and decide between two of which nothing else is known, but they bring none nearer; or else whoever lied about
/// its place would be asked before those who were measured.
fn assumed_us(estimate_us: Option<u64>) -> u64 {
    estimate_us.unwrap_or(0).max(RTT_UNMEASURED_US)
}

fn judge(view: &MeshView, member: &MemberView, query: &RankQuery) -> Result<Candidate, RefusalReason> {
    if !member.state.serves() {
        return Err(RefusalReason::State(member.state));
    }
    if !member.health.warm.iter().any(|warm| warm.model == query.model) {
        return Err(RefusalReason::NotWarm);
    }
    if !member.health.warm.iter().any(|warm| query.asks_for(warm)) {
        return Err(RefusalReason::OtherVersion);
    }
    let here = member.node == view.me;
    let queue_depth = member.health.queue_depth;
    let rtt_us = if here { 0 } else { member.rtt_us.unwrap_or_else(|| assumed_us(member.estimate_us)) };
    let expected_us = rtt_us.saturating_add(u64::from(queue_depth) * QUEUED_US);
    if query.deadline_us.is_some_and(|deadline_us| expected_us >= deadline_us) {
        return Err(RefusalReason::TooLate { expected_us });
    }
    let reason = match (member.health.degraded.first(), member.rtt_us, member.estimate_us) {
        (Some(&reason), _, _) => RouteReason::Degraded(reason),
        (None, _, _) if member.health.energy == Energy::Low => RouteReason::LowBattery,
        (None, _, _) if here => RouteReason::Here,
        (None, Some(rtt_us), _) => RouteReason::Measured { rtt_us, queue_depth },
        (None, None, Some(rtt_us)) => RouteReason::Estimated { rtt_us, queue_depth },
        (None, None, None) => RouteReason::Unmeasured { queue_depth },
    };
    Ok(Candidate { node: member.node, hops: u8::from(!here), expected_us, reason })
}

/// The contacts of a cell at which the model is warm, as its aggregator said.
fn abroad<'a>(cell: &'a CellView, query: &'a RankQuery) -> impl Iterator<Item = Candidate> + 'a {
    let (rollup, said_ms_ago) = (cell.rollup.as_ref(), cell.said_ms_ago.unwrap_or(0));
    let contacts = rollup.into_iter().flat_map(|rollup| rollup.contacts.iter().map(move |contact| (rollup, contact)));
    contacts.filter_map(move |(rollup, contact)| {
        let warm = |model: &ModelRef| query.asks_for(model) && rollup.is_warm_at(contact, model);
        let serves = contact.liveness == Liveness::Alive && rollup.models.iter().any(|known| warm(&known.model));
        let queue_depth = contact.queue_depth;
        let expected_us = assumed_us(cell.estimate_us).saturating_add(u64::from(queue_depth) * QUEUED_US);
        let in_time = query.deadline_us.is_none_or(|deadline_us| expected_us < deadline_us);
        let reason = RouteReason::Abroad { queue_depth, said_ms_ago };
        (serves && in_time).then_some(Candidate { node: contact.node, hops: 1, expected_us, reason })
    })
}

#[cfg(test)]
#[path = "rank_tests.rs"]
mod tests;
