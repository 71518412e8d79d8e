//! What stands between the nodes of a testnet, and in front of each: which rules every node is to have.
//!
//! The supervisor keeps this beside the nodes, because a node forgets its rules when it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use clap::Args;
use hedgerow::net::{Cut, EmulationError, EmulationSettings, Firewall, Loss, Rule};
use serde::{Deserialize, Serialize};

use crate::plan::{Plan, PlannedNode, region_name};

/// What a link does to each packet, in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(crate) struct LinkQuality {
    /// Added to the way of every packet, milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub(crate) delay_ms: u32,
    /// At most so much more, at random, milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub(crate) jitter_ms: u32,
    /// How many packets in a hundred are lost, with at most four decimals
    #[arg(long, default_value = "0", value_parser = parse_loss, value_name = "PERCENT")]
    pub(crate) loss_percent: Loss,
    /// Thousands of bits each second; 0 is no limit
    #[arg(long, default_value_t = 0, value_name = "KBPS")]
    pub(crate) rate_kbps: u32,
    /// KiB that may wait for the rate; 0 is a tenth of a second of it
    #[arg(long, default_value_t = 0, value_name = "KIB", requires = "rate_kbps")]
    pub(crate) queue_kib: u32,
    /// Nothing gets through
    #[arg(long)]
    pub(crate) cut: bool,
}

/// Why links are not as they were asked for; none has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    /// Name a node, a region or all.
    #[error("find {name} among the nodes and regions; name one such as n3 or r2, or `all`")]
    Unknown {
        /// What was named.
        name: String,
    },
    /// A node has no link to itself.
    #[error("link {from} with {to}: there are no two nodes")]
    NoPair {
        /// One end.
        from: String,
        /// The other.
        to: String,
    },
    /// A node would not take the rules.
    #[error("have {name} emulate this: {why}")]
    Refused {
        /// The node.
        name: String,
        /// What is wrong with its rules.
        why: EmulationError,
    },
}

/// What every node is to emulate.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    nodes: Vec<PlannedNode>,
    addresses: BTreeMap<String, Vec<SocketAddr>>,
    wanted: BTreeMap<String, EmulationSettings>,
}

impl Links {
    /// All links are clear and all firewalls open. `addresses` says from where a node's packets come, and where they go.
    pub(crate) fn new(plan: Plan, addresses: impl Fn(&PlannedNode) -> Vec<SocketAddr>) -> Self {
        let nodes: Vec<_> = plan.nodes().collect();
        let addresses = nodes.iter().map(|node| (node.name.clone(), addresses(node))).collect();
        Self { nodes, addresses, wanted: BTreeMap::new() }
    }

    /// Sets the links from some nodes to some others, and back unless `is_one_way`; returns whose rules changed. The
    /// quality that does nothing makes them clear again.
    pub(crate) fn set(
        &mut self,
        from: &str,
        to: &str,
        quality: LinkQuality,
        is_one_way: bool,
    ) -> Result<BTreeSet<String>, LinkError> {
        let (senders, receivers) = (self.named(from)?, self.named(to)?);
        let ways = [(&senders, &receivers), (&receivers, &senders)];
        let mut wanted = self.wanted.clone();
        let mut changed = BTreeSet::new();
        for (senders, receivers) in ways.into_iter().take(if is_one_way { 1 } else { 2 }) {
            for sender in senders {
                for receiver in receivers.iter().filter(|receiver| *receiver != sender) {
                    let settings = wanted.entry(sender.clone()).or_default();
                    for peer in &self.addresses[receiver] {
                        settings.rules.retain(|rule| rule.peer != *peer);
                        settings.rules.extend(quality.rule(*peer));
                    }
                    changed.insert(sender.clone());
                }
            }
        }
        if changed.is_empty() {
            return Err(LinkError::NoPair { from: from.to_owned(), to: to.to_owned() });
        }
        for name in &changed {
            let refused = |why| LinkError::Refused { name: name.clone(), why };
            wanted[name].check().map_err(refused)?;
        }
        self.wanted = wanted;
        Ok(changed)
    }

    /// Sets the firewalls in front of some nodes; returns of which.
    pub(crate) fn set_firewall(&mut self, who: &str, firewall: Firewall) -> Result<BTreeSet<String>, LinkError> {
        let names = self.named(who)?;
        for name in &names {
            self.wanted.entry(name.clone()).or_default().firewall = firewall;
        }
        Ok(names)
    }

    /// Makes every link clear and opens every firewall; returns where something was, now or before: a node that missed it the last
    /// time is told again.
    pub(crate) fn heal(&mut self) -> BTreeSet<String> {
        self.wanted.values_mut().for_each(|wanted| *wanted = EmulationSettings::default());
        self.wanted.keys().cloned().collect()
    }

    /// What a node is to emulate.
    pub(crate) fn of(&self, name: &str) -> EmulationSettings {
        self.wanted.get(name).cloned().unwrap_or_default()
    }

    fn named(&self, name: &str) -> Result<BTreeSet<String>, LinkError> {
        let is_meant = |node: &&PlannedNode| name == "all" || node.name == name || region_name(node.region) == name;
        let names: BTreeSet<_> = self.nodes.iter().filter(is_meant).map(|node| node.name.clone()).collect();
        if names.is_empty() { Err(LinkError::Unknown { name: name.to_owned() }) } else { Ok(names) }
    }
}

impl LinkQuality {
    /// The rule at the sender, if there has to be one.
    fn rule(self, peer: SocketAddr) -> Option<Rule> {
        let Self { delay_ms, jitter_ms, loss_percent, rate_kbps, queue_kib, cut } = self;
        let cut = if cut { Cut::Out } else { Cut::None };
        (self != Self::default()).then_some(Rule { peer, delay_ms, jitter_ms, loss_percent, rate_kbps, queue_kib, cut })
    }
}

fn parse_loss(text: &str) -> Result<Loss, String> {
    let percent: f64 = text.parse().map_err(|_no_number| "not a number".to_owned())?;
    Loss::from_percent(percent).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four nodes in two regions, each with two addresses.
    fn links() -> Links {
        Links::new(Plan::new(4, 2).expect("a plan"), |node| {
            [1, 2].map(|network| SocketAddr::from(([10, network, 0, node.number as u8], 4334))).to_vec()
        })
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Towards whom a node has rules, by the last byte of their addresses, each of which is there twice.
    fn towards(links: &Links, name: &str) -> Vec<u8> {
        let last = |rule: &Rule| match rule.peer.ip() {
            std::net::IpAddr::V4(ip) => ip.octets()[3],
            std::net::IpAddr::V6(_) => unreachable!("all are of version 4"),
        };
        let mut all: Vec<_> = links.of(name).rules.iter().map(last).collect();
        let twice = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(twice, 2 * all.len());
        all
    }

    const FAR: LinkQuality = LinkQuality {
        delay_ms: 40,
        jitter_ms: 5,
        loss_percent: Loss::NONE,
        rate_kbps: 1_000,
        queue_kib: 64,
        cut: false,
    };

    #[test]
    fn a_link_between_regions_is_one_between_each_two_nodes_of_them() {
        let mut links = links();
        assert_eq!(links.set("r1", "r2", FAR, false), Ok(names(&["n1", "n2", "n3", "n4"])));
        assert_eq!(["n1", "n2", "n3", "n4"].map(|name| towards(&links, name)), [[3, 4], [3, 4], [1, 2], [1, 2]]);
        let peer = "10.1.0.3:4334".parse().expect("an address");
        let rule = Rule { delay_ms: 40, jitter_ms: 5, rate_kbps: 1_000, queue_kib: 64, ..Rule::towards(peer) };
        assert_eq!(links.of("n1").rules[0], rule);
    }

    #[test]
    fn a_link_of_one_way_leaves_the_other_and_a_clear_one_takes_rules_away() {
        let mut links = links();
        let cut = LinkQuality { cut: true, ..LinkQuality::default() };
        assert_eq!(links.set("n1", "all", cut, true), Ok(names(&["n1"])));
        assert_eq!((towards(&links, "n1"), links.of("n2")), (vec![2, 3, 4], EmulationSettings::default()));
        assert!(links.of("n1").rules.iter().all(|rule| *rule == Rule { cut: Cut::Out, ..Rule::towards(rule.peer) }));
        assert_eq!(links.set("n1", "n3", FAR, false), Ok(names(&["n1", "n3"])));
        assert_eq!((towards(&links, "n1"), towards(&links, "n3")), (vec![2, 3, 4], vec![1]));
        assert_eq!(links.set("n1", "r2", LinkQuality::default(), false), Ok(names(&["n1", "n3", "n4"])));
        assert_eq!((towards(&links, "n1"), towards(&links, "n3")), (vec![2], vec![]));
    }

    #[test]
    fn firewalls_and_links_leave_each_other_and_are_healed_together() {
        let mut links = links();
        links.set("n1", "n2", FAR, true).expect("a pair");
        assert_eq!(links.set_firewall("r1", Firewall::Stateful), Ok(names(&["n1", "n2"])));
        let of = |links: &Links, name: &str| (links.of(name).firewall, towards(links, name));
        assert_eq!(of(&links, "n1"), (Firewall::Stateful, vec![2]));
        links.set_firewall("n2", Firewall::Open).expect("a node");
        assert_eq!(of(&links, "n2"), (Firewall::Open, vec![]));
        assert_eq!(links.heal(), names(&["n1", "n2"]));
        assert_eq!(of(&links, "n1"), (Firewall::Open, vec![]));
        assert_eq!(links.heal(), names(&["n1", "n2"]), "one that did not hear of it is told again");
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let mut links = links();
        let unknown = |name: &str| Err(LinkError::Unknown { name: name.to_owned() });
        assert_eq!(links.set("n1", "n9", FAR, false), unknown("n9"));
        assert_eq!(links.set_firewall("r3", Firewall::Stateful), unknown("r3"));
        let pair = LinkError::NoPair { from: "n1".to_owned(), to: "n1".to_owned() };
        assert_eq!(links.set("n1", "n1", FAR, false), Err(pair));
        let slow = LinkQuality { delay_ms: 10_001, ..FAR };
        let refused = links.set("r1", "r2", slow, false).expect_err("too slow");
        assert!(matches!(refused, LinkError::Refused { why: EmulationError::TooSlow { delay_ms: 10_001, .. }, .. }));
        assert_eq!(links.heal(), names(&[]));
    }
}
