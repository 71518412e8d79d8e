//! What a node is told to emulate: a rule per peer, and a firewall. The JSON form is that of `/admin/v1/emulation`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::firewall::Firewall;
use super::loss::Loss;
use super::path::PathSettings;
use crate::net::limits::{DELAY_MS_MAX, JITTER_MS_MAX, QUEUE_KIB_MAX, RATE_KBPS_MAX, RULES_MAX};
use crate::net::socket::canonical;

/// What happens to the packets exchanged with one peer. All but the cut is about what this node sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Address of the peer's socket; port 0 stands for every port of that address, each with a path of its own.
    pub peer: SocketAddr,
    /// Added to everything we send, milliseconds; at most [`DELAY_MS_MAX`].
    #[serde(default)]
    pub delay_ms: u32,
    /// At most so much more for each datagram, milliseconds, uniformly at random; at most [`JITTER_MS_MAX`]. The order is kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter_ms: u32,
    /// How much of what we send is lost at random.
    #[serde(default, skip_serializing_if = "is_none")]
    pub loss_percent: Loss,
    /// Thousands of bits that we send each second, headers of IP and UDP included; at most [`RATE_KBPS_MAX`], 0 is no limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rate_kbps: u32,
    /// KiB that may wait for the rate; at most [`QUEUE_KIB_MAX`], and 0 is what the rate carries in
    /// [`super::super::limits::QUEUE_SPAN`], at least [`super::super::limits::QUEUE_BYTES_MIN`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub queue_kib: u32,
    /// What is dropped.
    #[serde(default)]
    pub cut: Cut,
}

/// Which directions a rule drops, seen from this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// Nothing.
    #[default]
    None,
    /// Both directions.
    Both,
    /// What the peer sends to us.
    In,
    /// What we send to the peer.
    Out,
}

/// All that a node emulates; setting it replaces what was there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmulationSettings {
    /// What is let in, whoever sent it.
    #[serde(default)]
    pub firewall: Firewall,
    /// By peer; at most [`RULES_MAX`].
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// Why a set of rules was not taken; the rules in force stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmulationError {
    /// More rules than [`RULES_MAX`]; use port 0 to match an address as a whole.
    #[error("{count} emulation rules, at most {RULES_MAX} are kept")]
    TooMany {
        /// Rules given.
        count: usize,
    },
    /// A delay above [`DELAY_MS_MAX`]; to stop traffic use a cut.
    #[error("a delay of {delay_ms} ms to {peer}, at most {DELAY_MS_MAX} ms is emulated")]
    TooSlow {
        /// The rule's peer.
        peer: SocketAddr,
        /// The delay asked for.
        delay_ms: u32,
    },
    /// A jitter above [`JITTER_MS_MAX`].
    #[error("a jitter of {jitter_ms} ms to {peer}, at most {JITTER_MS_MAX} ms is emulated")]
    TooJittery {
        /// The rule's peer.
        peer: SocketAddr,
        /// The jitter asked for.
        jitter_ms: u32,
    },
    /// A rate above [`RATE_KBPS_MAX`]; leave it out where there is to be no limit.
    #[error("a rate of {rate_kbps} kbit/s to {peer}, at most {RATE_KBPS_MAX} is emulated; leave it out for no limit")]
    TooFast {
        /// The rule's peer.
        peer: SocketAddr,
        /// The rate asked for.
        rate_kbps: u32,
    },
    /// A queue above [`QUEUE_KIB_MAX`].
    #[error("a queue of {queue_kib} KiB to {peer}, at most {QUEUE_KIB_MAX} KiB are held")]
    TooLong {
        /// The rule's peer.
        peer: SocketAddr,
        /// The queue asked for.
        queue_kib: u32,
    },
    /// A queue in which nothing would ever wait, because there is no rate to wait for: name one.
    #[error("a queue of {queue_kib} KiB to {peer} without a rate, name `rate_kbps` too")]
    NothingWaits {
        /// The rule's peer.
        peer: SocketAddr,
        /// The queue asked for.
        queue_kib: u32,
    },
    /// Two rules for one peer; which one holds would depend on their order.
    #[error("two emulation rules for {peer}")]
    Twice {
        /// The peer named twice.
        peer: SocketAddr,
    },
}

impl EmulationSettings {
    /// Whether a node would take them.
    pub fn check(&self) -> Result<(), EmulationError> {
        RuleTable::new(&self.rules).map(drop)
    }
}

impl Rule {
    /// A rule that does nothing, to be changed where it should.
    pub fn towards(peer: SocketAddr) -> Self {
        Self { peer, delay_ms: 0, jitter_ms: 0, loss_percent: Loss::NONE, rate_kbps: 0, queue_kib: 0, cut: Cut::None }
    }

    /// What it says of the direction away from this node.
    pub fn outgoing(&self) -> PathSettings {
        PathSettings {
            delay: Duration::from_millis(u64::from(self.delay_ms)),
            jitter: Duration::from_millis(u64::from(self.jitter_ms)),
            loss: self.loss_percent,
            rate_kbps: self.rate_kbps,
            queue_kib: self.queue_kib,
            is_cut: self.cut.drops_out(),
        }
    }

    const fn check(&self) -> Result<(), EmulationError> {
        let Self { peer, delay_ms, jitter_ms, loss_percent: _, rate_kbps, queue_kib, cut: _ } = *self;
        if delay_ms > DELAY_MS_MAX {
            return Err(EmulationError::TooSlow { peer, delay_ms });
        }
        if jitter_ms > JITTER_MS_MAX {
            return Err(EmulationError::TooJittery { peer, jitter_ms });
        }
        if rate_kbps > RATE_KBPS_MAX {
            return Err(EmulationError::TooFast { peer, rate_kbps });
        }
        if queue_kib > QUEUE_KIB_MAX {
            return Err(EmulationError::TooLong { peer, queue_kib });
        }
        if queue_kib > 0 && rate_kbps == 0 {
            return Err(EmulationError::NothingWaits { peer, queue_kib });
        }
        Ok(())
    }
}

impl Cut {
    pub(super) const fn drops_in(self) -> bool {
        matches!(self, Self::Both | Self::In)
    }

    const fn drops_out(self) -> bool {
        matches!(self, Self::Both | Self::Out)
    }
}

/// Checked rules by the one name of each peer.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleTable(BTreeMap<SocketAddr, Rule>);

impl RuleTable {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, EmulationError> {
        if rules.len() > RULES_MAX {
            return Err(EmulationError::TooMany { count: rules.len() });
        }
        let mut table = BTreeMap::new();
        for rule in rules {
            rule.check()?;
            let peer = canonical(rule.peer);
            if table.insert(peer, Rule { peer, ..*rule }).is_some() {
                return Err(EmulationError::Twice { peer });
            }
        }
        Ok(Self(table))
    }

    /// The rule for a peer by its canonical address: that for its port before that for all.
    pub(super) fn rule(&self, peer: SocketAddr) -> Option<&Rule> {
        self.0.get(&peer).or_else(|| self.0.get(&SocketAddr::new(peer.ip(), 0)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By peer.
    pub(super) fn rules(&self) -> Vec<Rule> {
        self.0.values().copied().collect()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_none(loss: &Loss) -> bool {
    *loss == Loss::NONE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> SocketAddr {
        "127.0.0.1:4334".parse().unwrap()
    }

    #[test]
    fn the_form_of_rules_in_json_is_frozen() {
        let short = r#"{"peer":"127.0.0.1:4334","delay_ms":20,"cut":"in"}"#;
        let rule: Rule = serde_json::from_str(short).unwrap();
        assert_eq!(rule, Rule { delay_ms: 20, cut: Cut::In, ..Rule::towards(peer()) });
        assert_eq!(serde_json::to_string(&rule).unwrap(), short);
        let whole = concat!(
            r#"{"peer":"127.0.0.1:4334","delay_ms":40,"jitter_ms":5,"loss_percent":1.5,"#,
            r#""rate_kbps":20000,"queue_kib":256,"cut":"none"}"#
        );
        let rule: Rule = serde_json::from_str(whole).unwrap();
        let loss_percent = Loss::from_percent(1.5).unwrap();
        let expected = Rule {
            delay_ms: 40,
            jitter_ms: 5,
            loss_percent,
            rate_kbps: 20_000,
            queue_kib: 256,
            ..Rule::towards(peer())
        };
        assert_eq!(rule, expected);
        assert_eq!(serde_json::to_string(&rule).unwrap(), whole);
        assert!(serde_json::from_str::<Rule>(r#"{"peer":"127.0.0.1:1","loss":1}"#).is_err());
    }

    #[test]
    fn the_form_of_settings_in_json_is_frozen() {
        let whole = r#"{"firewall":"stateful","rules":[{"peer":"127.0.0.1:4334","delay_ms":0,"cut":"both"}]}"#;
        let settings: EmulationSettings = serde_json::from_str(whole).unwrap();
        let rule = Rule { cut: Cut::Both, ..Rule::towards(peer()) };
        assert_eq!(settings, EmulationSettings { firewall: Firewall::Stateful, rules: vec![rule] });
        assert_eq!(serde_json::to_string(&settings).unwrap(), whole);
        let rules_alone = r#"{"rules":[{"peer":"127.0.0.1:4334","cut":"both"}]}"#;
        let settings = serde_json::from_str::<EmulationSettings>(rules_alone).unwrap();
        assert_eq!(settings, EmulationSettings { firewall: Firewall::Open, rules: vec![rule] });
        assert_eq!(serde_json::from_str::<EmulationSettings>("{}").unwrap(), EmulationSettings::default());
        assert!(serde_json::from_str::<EmulationSettings>(r#"{"rule":[]}"#).is_err());
        assert!(serde_json::from_str::<EmulationSettings>(r#"{"firewall":"closed"}"#).is_err());
    }

    #[test]
    fn each_fault_of_a_rule_is_refused_by_its_name() {
        let peer = peer();
        let rule = Rule { rate_kbps: 1, ..Rule::towards(peer) };
        let (delay_ms, jitter_ms) = (DELAY_MS_MAX + 1, JITTER_MS_MAX + 1);
        let (rate_kbps, queue_kib) = (RATE_KBPS_MAX + 1, QUEUE_KIB_MAX + 1);
        let cases = [
            (vec![rule; RULES_MAX + 1], EmulationError::TooMany { count: RULES_MAX + 1 }),
            (vec![Rule { delay_ms, ..rule }], EmulationError::TooSlow { peer, delay_ms }),
            (vec![Rule { jitter_ms, ..rule }], EmulationError::TooJittery { peer, jitter_ms }),
            (vec![Rule { rate_kbps, ..rule }], EmulationError::TooFast { peer, rate_kbps }),
            (vec![Rule { queue_kib, ..rule }], EmulationError::TooLong { peer, queue_kib }),
            (vec![Rule { queue_kib: 9, rate_kbps: 0, ..rule }], EmulationError::NothingWaits { peer, queue_kib: 9 }),
            (vec![rule, rule], EmulationError::Twice { peer }),
            (
                vec![rule, Rule { peer: "[::ffff:127.0.0.1]:4334".parse().unwrap(), ..rule }],
                EmulationError::Twice { peer },
            ),
        ];
        for (rules, error) in cases {
            assert_eq!(RuleTable::new(&rules).unwrap_err(), error);
        }
        let largest = Rule {
            delay_ms: DELAY_MS_MAX,
            jitter_ms: JITTER_MS_MAX,
            loss_percent: Loss::from_percent(100.0).unwrap(),
            rate_kbps: RATE_KBPS_MAX,
            queue_kib: QUEUE_KIB_MAX,
            cut: Cut::Both,
            peer,
        };
        assert_eq!(RuleTable::new(&[largest]).unwrap().rules(), [largest]);
    }

    #[test]
    fn a_rule_for_the_port_wins_over_one_for_the_address() {
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let [any, one] = ["10.0.0.1:0", "10.0.0.1:7"].map(|peer| Rule::towards(address(peer)));
        let table = RuleTable::new(&[one, any]).unwrap();
        assert_eq!(table.rules(), [any, one]);
        assert_eq!(table.rule(address("10.0.0.1:6")), Some(&any));
        assert_eq!(table.rule(address("10.0.0.1:7")), Some(&one));
        assert_eq!(table.rule(canonical(address("[::ffff:10.0.0.1]:7"))), Some(&one));
        assert_eq!(table.rule(address("10.0.0.2:7")), None);
    }
}
