//! A ranking of peers as people and programs read it.

use hedgerow_protocol::route::{Candidate, Ranking, RouteReason};
use hedgerow_protocol::view::MeshView;
use serde_json::{Value, json};

use crate::observe::milliseconds;
use crate::route::told;

/// Candidates best first with the reason for their place, then everybody else with the reason for theirs.
pub(crate) fn ranking_json(view: &MeshView, ranking: &Ranking) -> Value {
    let region = |node| view.members.get(node).map(|member| member.region.to_string());
    let candidates: Vec<_> = ranking
        .candidates
        .iter()
        .map(|candidate| {
            json!({
                "node": candidate.node.to_string(),
                "region": region(&candidate.node),
                "hops": candidate.hops,
                "expected_ms": milliseconds(candidate.expected_us),
                "reason": reason(candidate),
            })
        })
        .collect();
    let refused: Vec<_> = ranking
        .refused
        .iter()
        .map(|(node, why)| json!({ "node": node.to_string(), "region": region(node), "reason": told(why) }))
        .collect();
    json!({ "candidates": candidates, "refused": refused })
}

fn reason(candidate: &Candidate) -> String {
    match &candidate.reason {
        RouteReason::Here => "this node".to_owned(),
        RouteReason::Measured { rtt_us, queue_depth } => {
            format!("measured round trip {:.2} ms, queue of {queue_depth}", milliseconds(*rtt_us))
        }
        RouteReason::Unmeasured { queue_depth } => format!("no round trip measured yet, queue of {queue_depth}"),
        RouteReason::Degraded(reason) => format!("asks to be passed over: {reason:?}").to_lowercase(),
    }
}
