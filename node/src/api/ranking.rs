//! A ranking of peers as people and programs read it.

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::route::{Candidate, Ranking, RouteReason};
use hedgerow_protocol::view::MeshView;

use crate::admin::wire::{NearestCandidate, NearestRefused, NearestReport};
use crate::observe::milliseconds;
use crate::route::told;

/// Candidates best first with the reason for their place, then everybody else with the reason for theirs.
pub(super) fn report(view: &MeshView, ranking: &Ranking) -> NearestReport {
    let region = |node: &NodeId| {
        let member = view.members.get(node).map(|member| &member.region);
        member.or_else(|| view.contact(node).map(|(cell, _)| &cell.region)).map(ToString::to_string)
    };
    let candidate = |candidate: &Candidate| NearestCandidate {
        node: candidate.node.to_string(),
        region: region(&candidate.node),
        hops: candidate.hops,
        expected_ms: milliseconds(candidate.expected_us),
        reason: reason(candidate),
    };
    NearestReport {
        candidates: ranking.candidates.iter().map(candidate).collect(),
        refused: ranking
            .refused
            .iter()
            .map(|(node, why)| NearestRefused { node: node.to_string(), region: region(node), reason: told(why) })
            .collect(),
    }
}

fn reason(candidate: &Candidate) -> String {
    match &candidate.reason {
        RouteReason::Here => "this node".to_owned(),
        RouteReason::Measured { rtt_us, queue_depth } => {
            format!("measured round trip {:.2} ms, queue of {queue_depth}", milliseconds(*rtt_us))
        }
        RouteReason::Estimated { rtt_us, queue_depth } => {
            format!("estimated round trip {:.2} ms, none measured yet, queue of {queue_depth}", milliseconds(*rtt_us))
        }
        RouteReason::Unmeasured { queue_depth } => format!("no round trip measured yet, queue of {queue_depth}"),
        RouteReason::Abroad { queue_depth, said_ms_ago } => {
            format!(
                "as its aggregator said {:.0} s ago, queue of {queue_depth}",
                milliseconds(said_ms_ago * 1_000) / 1_000.0
            )
        }
        RouteReason::LowBattery => "its battery is low".to_owned(),
        RouteReason::Degraded(reason) => format!("asks to be passed over: {reason:?}").to_lowercase(),
    }
}
