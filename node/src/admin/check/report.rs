//! What came of a check, for people and programs.

use hedgerow_attest::id::NodeId;

use super::ask::{Answers, Outcome};
use super::judge::{Finding, findings, loss_percent};
use crate::admin::wire::{LinkCheck, MemberCheck, NetcheckReport, Notable};
use crate::net::LinkFigures;
use crate::observe::milliseconds;

/// Everything that was said, and what is notable of it.
pub(in crate::admin) fn report(me: &NodeId, answers: &Answers) -> NetcheckReport {
    NetcheckReport {
        members: answers.iter().map(|(node, outcome)| member(node, node == me, outcome)).collect(),
        notable: findings(answers).into_iter().map(notable).collect(),
    }
}

fn member(node: &NodeId, me: bool, outcome: &Outcome) -> MemberCheck {
    let asked = MemberCheck { node: node.to_string(), me, ..MemberCheck::default() };
    match outcome {
        Ok(said) => MemberCheck {
            answered_ms: said.clock.map(|clock| clock.took.as_secs_f64() * 1_000.0),
            clock_offset_ms: said.clock.map(|clock| offset_ms(clock.ahead_us)),
            clock_error_ms: said.clock.map(|clock| clock.took.as_secs_f64() * 500.0),
            links: said.links.values().map(link).collect(),
            ..asked
        },
        Err(why) => MemberCheck { failure: Some(why.clone()), ..asked },
    }
}

fn link(link: &LinkFigures) -> LinkCheck {
    LinkCheck {
        node: link.node.to_string(),
        rtt_ms: milliseconds(link.rtt_us),
        sent_packets: link.sent_packets,
        lost_packets: link.lost_packets,
        loss_percent: loss_percent(link),
        path: link.path.name().to_owned(),
    }
}

fn notable(finding: Finding) -> Notable {
    match finding {
        Finding::Silent { node, why } => Notable::Silent { node: node.to_string(), failure: why },
        Finding::OneSided { node, peer } => Notable::OneSided { node: node.to_string(), peer: peer.to_string() },
        Finding::Loss { node, peer, percent } => {
            Notable::Loss { node: node.to_string(), peer: peer.to_string(), percent }
        }
        Finding::Clock { node, clock } => Notable::Clock {
            node: node.to_string(),
            offset_ms: offset_ms(clock.ahead_us),
            error_ms: clock.took.as_secs_f64() * 500.0,
        },
    }
}

/// A double holds it exactly up to centuries.
fn offset_ms(us: i128) -> f64 {
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde_json::json;

    use super::super::ask::{Answered, Clock};
    use super::*;
    use crate::core::testing::node;
    use crate::net::Path;

    #[test]
    fn the_form_of_a_report_in_json_is_frozen() {
        let lossy =
            LinkFigures { node: node(1), rtt_us: 1_500, sent_packets: 200, lost_packets: 5, path: Path::Relayed };
        let clock = Clock { took: Duration::from_millis(4), ahead_us: -2_500_000 };
        let answers = Answers::from([
            (node(1), Ok(Answered { clock: None, links: BTreeMap::new() })),
            (node(2), Ok(Answered { clock: Some(clock), links: BTreeMap::from([(node(1), lossy)]) })),
            (node(3), Err("no link to the node".to_owned())),
        ]);
        let [one, two, three] = [1, 2, 3].map(|number| node(number).to_string());
        let link = json!({
            "node": one, "rtt_ms": 1.5, "sent_packets": 200, "lost_packets": 5, "loss_percent": 2.5, "path": "relayed"
        });
        let expected = json!({
            "members": [
                { "node": one, "me": true, "links": [] },
                { "node": two, "me": false, "answered_ms": 4.0, "clock_offset_ms": -2500.0, "clock_error_ms": 2.0, "links": [link] },
                { "node": three, "me": false, "links": [], "failure": "no link to the node" },
            ],
            "notable": [
                { "kind": "silent", "node": three, "failure": "no link to the node" },
                { "kind": "one-sided", "node": two, "peer": one },
                { "kind": "loss", "node": two, "peer": one, "percent": 2.5 },
                { "kind": "clock", "node": two, "offset_ms": -2500.0, "error_ms": 2.0 },
            ],
        });
        assert_eq!(serde_json::to_value(report(&node(1), &answers)).unwrap(), expected);
    }
}
