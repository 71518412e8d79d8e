//! Emulated delay and cuts around a node's own socket, for testnets on kernels without netem.
//!
//! A rule matches the address of the peer. Delay holds back what we send; a cut drops what we send,
//! what we receive, or both. Nothing is reordered between packets of equal delay.

use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use quinn::udp::{EcnCodepoint, Transmit};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::{DELAY_MS_MAX, DELAYED_MAX, RULES_MAX};

/// What happens to the packets exchanged with one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Address of the peer's socket; port 0 stands for every port of that address.
    pub peer: SocketAddr,
    /// Added to everything we send, milliseconds; at most [`super::limits::DELAY_MS_MAX`].
    #[serde(default)]
    pub delay_ms: u32,
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

impl Cut {
    fn drops_in(self) -> bool {
        matches!(self, Self::Both | Self::In)
    }

    fn drops_out(self) -> bool {
        matches!(self, Self::Both | Self::Out)
    }
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
    /// Two rules for one peer; which one holds would depend on their order.
    #[error("two emulation rules for {peer}")]
    Twice {
        /// The peer named twice.
        peer: SocketAddr,
    },
}

/// The rules of one node, changeable while it runs; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Emulation(Arc<Shared>);

impl Emulation {
    /// Replaces all rules; an empty list ends the emulation.
    pub fn set(&self, rules: &[Rule]) -> Result<(), EmulationError> {
        if rules.len() > RULES_MAX {
            return Err(EmulationError::TooMany { count: rules.len() });
        }
        let mut table = BTreeMap::new();
        for rule in rules {
            if rule.delay_ms > DELAY_MS_MAX {
                return Err(EmulationError::TooSlow { peer: rule.peer, delay_ms: rule.delay_ms });
            }
            let peer = canonical(rule.peer);
            if table.insert(peer, Rule { peer, ..*rule }).is_some() {
                return Err(EmulationError::Twice { peer });
            }
        }
        self.replace(table);
        Ok(())
    }

    /// The rules in force, by peer.
    pub fn rules(&self) -> Vec<Rule> {
        let rules = self.0.rules.read().expect("no holder of the lock panics");
        rules.values().copied().collect()
    }

    /// Packets dropped since the start: by a cut, or because the queue of delayed packets was full.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Whether a packet from `peer` is dropped on arrival.
    pub(super) fn drops_inbound(&self, peer: SocketAddr) -> bool {
        let cut = self.rule(peer).is_some_and(|rule| rule.cut.drops_in());
        if cut {
            self.count_dropped();
        }
        cut
    }

    /// What becomes of a packet to `peer`.
    pub(super) fn outbound(&self, peer: SocketAddr) -> Outbound {
        match self.rule(peer) {
            Some(rule) if rule.cut.drops_out() => {
                self.count_dropped();
                Outbound::Drop
            }
            Some(rule) if rule.delay_ms > 0 => Outbound::Delay(Duration::from_millis(u64::from(rule.delay_ms))),
            Some(_) | None => Outbound::Pass,
        }
    }

    pub(super) fn count_dropped(&self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn replace(&self, table: BTreeMap<SocketAddr, Rule>) {
        *self.0.rules.write().expect("no holder of the lock panics") = table;
    }

    fn rule(&self, peer: SocketAddr) -> Option<Rule> {
        let peer = canonical(peer);
        let rules = self.0.rules.read().expect("no holder of the lock panics");
        rules.get(&peer).or_else(|| rules.get(&SocketAddr::new(peer.ip(), 0))).copied()
    }
}

#[derive(Debug, Default)]
struct Shared {
    rules: RwLock<BTreeMap<SocketAddr, Rule>>,
    dropped: AtomicU64,
}

/// What the rules say about one outgoing packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outbound {
    Pass,
    Drop,
    Delay(Duration),
}

/// A packet held back; `order` keeps packets of one due time in the order in which they were sent.
#[derive(Debug)]
pub(super) struct Delayed {
    due: Instant,
    order: u64,
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    contents: Vec<u8>,
    segment_size: Option<usize>,
    src_ip: Option<std::net::IpAddr>,
}

impl Delayed {
    pub(super) fn new(transmit: &Transmit<'_>, due: Instant, order: u64) -> Self {
        Self {
            due,
            order,
            destination: transmit.destination,
            ecn: transmit.ecn,
            contents: transmit.contents.to_vec(),
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        }
    }

    fn transmit(&self) -> Transmit<'_> {
        Transmit {
            destination: self.destination,
            ecn: self.ecn,
            contents: &self.contents,
            segment_size: self.segment_size,
            src_ip: self.src_ip,
        }
    }
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Delayed {}

impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delayed {
    /// Reversed, so that the earliest packet is the greatest and leaves a [`BinaryHeap`] first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.due, other.order).cmp(&(self.due, self.order))
    }
}

/// Sends each held packet when it is due, until `stop`.
pub(super) async fn release(
    socket: Arc<dyn quinn::AsyncUdpSocket>,
    mut held: mpsc::Receiver<Delayed>,
    stop: CancellationToken,
) {
    let mut queue = BinaryHeap::<Delayed>::new();
    let mut poller = socket.clone().create_io_poller();
    loop {
        let due = queue.peek().map(|packet| packet.due);
        tokio::select! {
            () = stop.cancelled() => return,
            packet = held.recv(), if queue.len() < DELAYED_MAX => match packet {
                Some(packet) => queue.push(packet),
                None => return,
            },
            () = until(due) => {
                let Some(packet) = queue.pop() else { continue };
                while let Err(error) = socket.try_send(&packet.transmit()) {
                    if error.kind() != std::io::ErrorKind::WouldBlock {
                        tracing::trace!(%error, peer = %packet.destination, "dropped a delayed packet");
                        break;
                    }
                    if std::future::poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// An IPv4 peer has one name, whether the socket speaks IPv4 or both versions.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_for_the_port_wins_over_one_for_the_address() {
        let emulation = Emulation::default();
        let rules = [
            Rule { peer: "10.0.0.1:0".parse().unwrap(), delay_ms: 20, cut: Cut::None },
            Rule { peer: "10.0.0.1:7".parse().unwrap(), delay_ms: 5, cut: Cut::Out },
            Rule { peer: "10.0.0.2:9".parse().unwrap(), delay_ms: 0, cut: Cut::In },
        ];
        emulation.set(&rules).unwrap();
        assert_eq!(emulation.rules(), rules);
        let outbound = |peer: &str| emulation.outbound(peer.parse().unwrap());
        assert_eq!(outbound("10.0.0.1:6"), Outbound::Delay(Duration::from_millis(20)));
        assert_eq!(outbound("10.0.0.1:7"), Outbound::Drop);
        assert_eq!(outbound("[::ffff:10.0.0.1]:7"), Outbound::Drop);
        assert_eq!(outbound("10.0.0.2:9"), Outbound::Pass);
        assert_eq!(outbound("10.0.0.2:8"), Outbound::Pass);
        assert!(emulation.drops_inbound("10.0.0.2:9".parse().unwrap()));
        assert!(!emulation.drops_inbound("10.0.0.1:7".parse().unwrap()));
        assert_eq!(emulation.dropped(), 3);
    }

    #[test]
    fn refused_rules_leave_those_in_force() {
        let emulation = Emulation::default();
        let rule = Rule { peer: "10.0.0.1:7".parse().unwrap(), delay_ms: 5, cut: Cut::Both };
        emulation.set(&[rule]).unwrap();
        assert_eq!(emulation.set(&[rule, rule]), Err(EmulationError::Twice { peer: rule.peer }));
        let slow = Rule { delay_ms: DELAY_MS_MAX + 1, ..rule };
        assert_eq!(emulation.set(&[slow]), Err(EmulationError::TooSlow { peer: rule.peer, delay_ms: slow.delay_ms }));
        assert_eq!(emulation.set(&vec![rule; RULES_MAX + 1]), Err(EmulationError::TooMany { count: RULES_MAX + 1 }));
        assert_eq!(emulation.rules(), [rule]);
    }

    #[test]
    fn the_form_of_rules_in_json_is_frozen() {
        let text = r#"{"peer":"127.0.0.1:4334","delay_ms":20,"cut":"in"}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        assert_eq!(rule, Rule { peer: "127.0.0.1:4334".parse().unwrap(), delay_ms: 20, cut: Cut::In });
        assert_eq!(serde_json::to_string(&rule).unwrap(), text);
        assert!(serde_json::from_str::<Rule>(r#"{"peer":"127.0.0.1:1","loss":1}"#).is_err());
    }
}
