//! Ranking the nodes that hold a model warm.

use crate::fact::DegradedReason;
use crate::name::{ModelName, ModelVersion};
use crate::view::{MemberState, MemberView, MeshView};
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
    /// It asked to be passed over where another can do the work, so it comes last.
    Degraded(DegradedReason),
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

/// Ranks all members for a query.
#[must_use]
pub fn rank(view: &MeshView, query: &RankQuery) -> Ranking {
    let mut ranking = Ranking { candidates: Vec::new(), refused: Vec::new() };
    for member in view.members.values() {
        match judge(view, member, query) {
            Ok(candidate) => ranking.candidates.push(candidate),
            Err(reason) => ranking.refused.push((member.node, reason)),
        }
    }
    ranking.candidates.sort_by_key(|candidate| {
        let (degraded, hearsay_us) = match candidate.reason {
            RouteReason::Here | RouteReason::Measured { .. } => (false, 0),
            RouteReason::Estimated { rtt_us, .. } => (false, rtt_us),
            RouteReason::Unmeasured { .. } => (false, u64::MAX),
            RouteReason::Degraded(_) => (true, 0),
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
    let mut versions = member.health.warm.iter().filter(|warm| warm.model == query.model).peekable();
    if versions.peek().is_none() {
        return Err(RefusalReason::NotWarm);
    }
    if !versions.any(|warm| query.version.as_ref().is_none_or(|version| *version == warm.version)) {
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
        (None, _, _) if here => RouteReason::Here,
        (None, Some(rtt_us), _) => RouteReason::Measured { rtt_us, queue_depth },
        (None, None, Some(rtt_us)) => RouteReason::Estimated { rtt_us, queue_depth },
        (None, None, None) => RouteReason::Unmeasured { queue_depth },
    };
    Ok(Candidate { node: member.node, hops: u8::from(!here), expected_us, reason })
}

#[cfg(test)]
#[path = "rank_tests.rs"]
mod tests;
