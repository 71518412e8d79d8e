//! What is notable of what members said.

use hedgerow_attest::id::NodeId;

use super::ask::{Answers, Clock};
use crate::net::LinkFigures;

/// More than so much of what is sent is notable if lost.
const LOSS_PERCENT: f64 = 1.0;
/// Fewer lost packets say nothing: the first of a connection measure the way (guess).
const LOST_LEAST: u64 = 3;
/// A clock that is off by more is notable: leases take so much for a machine that stood still.
const CLOCK_US: i128 = 1_000_000;

/// Something that somebody should look at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Finding {
    Silent { node: NodeId, why: String },
    OneSided { node: NodeId, peer: NodeId },
    Loss { node: NodeId, peer: NodeId, percent: f64 },
    Clock { node: NodeId, clock: Clock },
}

/// What is notable: first who is silent, then links, then clocks.
pub(super) fn findings(answers: &Answers) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (node, outcome) in answers {
        if let Err(why) = outcome {
            findings.push(Finding::Silent { node: *node, why: why.clone() });
        }
    }
    findings.extend(one_sided(answers).into_iter().map(|(node, peer)| Finding::OneSided { node, peer }));
    let said = || answers.iter().filter_map(|(node, outcome)| Some((*node, outcome.as_ref().ok()?)));
    for (node, said) in said() {
        for link in said.links.values().filter(|link| is_lossy(link)) {
            findings.push(Finding::Loss { node, peer: link.node, percent: loss_percent(link) });
        }
    }
    for (node, said) in said() {
        if let Some(clock) = said.clock.filter(is_off) {
            findings.push(Finding::Clock { node, clock });
        }
    }
    findings
}

/// The pairs of members that answered of whom the first has a link to the second, and the second none to the first.
pub(super) fn one_sided(answers: &Answers) -> Vec<(NodeId, NodeId)> {
    let mut pairs = Vec::new();
    for (node, outcome) in answers {
        let Ok(said) = outcome else { continue };
        for peer in said.links.keys() {
            if let Some(Ok(other)) = answers.get(peer)
                && !other.links.contains_key(node)
            {
                pairs.push((*node, *peer));
            }
        }
    }
    pairs
}

/// How much of what was sent over a link was lost.
pub(super) fn loss_percent(link: &LinkFigures) -> f64 {
    if link.sent_packets == 0 {
        return 0.0;
    }
    100.0 * link.lost_packets as f64 / link.sent_packets as f64
}

fn is_lossy(link: &LinkFigures) -> bool {
    link.lost_packets >= LOST_LEAST && loss_percent(link) > LOSS_PERCENT
}

/// Whether it is off by more than may be, whatever the error.
fn is_off(clock: &Clock) -> bool {
    let error_us = i128::try_from(clock.took.as_micros() / 2).unwrap_or(i128::MAX);
    clock.ahead_us.saturating_abs() > CLOCK_US.saturating_add(error_us)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ask::Answered;
    use super::*;
    use crate::core::testing::node;
    use crate::net::Path;

    fn link(peer: u8, sent_packets: u64, lost_packets: u64) -> LinkFigures {
        LinkFigures { node: node(peer), rtt_us: 100, sent_packets, lost_packets, path: Path::Direct }
    }

    fn said(ahead_us: i128, took_ms: u64, links: &[LinkFigures]) -> Result<Answered, String> {
        let clock = Clock { took: Duration::from_millis(took_ms), ahead_us };
        let links = links.iter().map(|link| (link.node, *link)).collect();
        Ok(Answered { clock: Some(clock), links })
    }

    fn of(answers: Vec<(u8, Result<Answered, String>)>) -> Answers {
        answers.into_iter().map(|(number, outcome)| (node(number), outcome)).collect()
    }

    #[test]
    fn a_mesh_that_is_well_has_nothing_notable() {
        // A link to a member of another cell is nobody's to contradict.
        let answers = of(vec![
            (1, said(0, 10, &[link(2, 1_000, 10), link(9, 50, 0)])),
            (2, said(1_004_000, 10, &[link(1, 20, 2)])),
        ]);
        assert_eq!(findings(&answers), []);
        assert_eq!(loss_percent(&link(1, 0, 0)), 0.0);
    }

    #[test]
    fn whatever_is_wrong_is_found() {
        let answers = of(vec![
            (1, said(0, 10, &[link(2, 1_000, 11), link(3, 9, 0), link(4, 9, 0)])),
            (2, said(-1_006_000, 10, &[link(1, 200, 3), link(4, 9, 0)])),
            (3, said(2_000_000, 2_100, &[])),
            (4, Err("no link".to_owned())),
        ]);
        let expected = [
            Finding::Silent { node: node(4), why: "no link".to_owned() },
            Finding::OneSided { node: node(1), peer: node(3) },
            Finding::Loss { node: node(1), peer: node(2), percent: 1.1 },
            Finding::Loss { node: node(2), peer: node(1), percent: 1.5 },
            Finding::Clock { node: node(2), clock: Clock { took: Duration::from_millis(10), ahead_us: -1_006_000 } },
        ];
        assert_eq!(findings(&answers), expected, "a clock of which little is known is not held to be off");
    }
}
