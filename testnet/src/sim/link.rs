//! Links between nodes: QUIC connections as the transport of a node makes, keeps and loses them.

use super::parcel::Parcel;
use super::time::{MS, Micros, S};

/// Silence after which a connection is given up, as in a node.
pub(crate) const IDLE_TIMEOUT: Micros = 6 * S;
/// Silence after which a packet is sent to keep a connection alive, as in a node.
pub(crate) const KEEP_ALIVE: Micros = 2 * S;
/// A whole dial, as in a node.
pub(crate) const DIAL_TIMEOUT: Micros = 3 * S;
/// First and longest wait after a failed dial, as in a node.
const BACKOFF: (Micros, Micros) = (250 * MS, 4 * S);
/// Messages that wait for a dial.
const OUTBOX: usize = 256;
/// Wait of QUIC before a handshake packet is sent again (RFC 9002, section 6.2.2, with its initial round trip).
pub(crate) const HANDSHAKE_PTO: Micros = 999 * MS;
/// Bytes that both ends send for a handshake with membership certificates, each about half.
pub(crate) const HANDSHAKE_BYTES: u64 = 3_000;

/// One end of a link.
#[derive(Debug)]
pub(crate) struct LinkEnd {
    /// The node at the other end.
    pub(crate) peer: u32,
    /// How it is.
    pub(crate) state: LinkState,
    /// When this end sent anything last.
    pub(crate) sent: Micros,
}

/// How one end of a link is.
#[derive(Debug)]
pub(crate) enum LinkState {
    /// Established; the number tells this connection from earlier ones between the two.
    Up(u64),
    /// This end dials.
    Dialling,
    /// The last dial failed: not before that moment, after so many failures.
    Backoff {
        /// When the next dial may begin.
        until: Micros,
        /// How many dials failed in a row.
        failures: u32,
    },
}

/// All links of one node.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// Its ends of them, by peer.
    ends: Vec<LinkEnd>,
    /// What leaves when a dial succeeds, and to whom. Kept apart from the ends: few dial, and every node has many.
    waiting: Vec<(u32, Parcel)>,
}

impl Links {
    /// The end towards that peer.
    pub(crate) fn to(&mut self, peer: u32) -> Option<&mut LinkEnd> {
        let place = self.place(peer).ok()?;
        self.ends.get_mut(place)
    }

    /// Whether a link to that peer is up.
    pub(crate) fn is_up(&self, peer: u32) -> bool {
        self.connection(peer).is_some()
    }

    /// The number of the connection to that peer, while it is up.
    pub(crate) fn connection(&self, peer: u32) -> Option<u64> {
        let end = self.place(peer).ok().and_then(|place| self.ends.get(place))?;
        match end.state {
            LinkState::Up(connection) => Some(connection),
            LinkState::Dialling | LinkState::Backoff { .. } => None,
        }
    }

    /// Peers to whom a link is up.
    pub(crate) fn up(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.ends.iter().filter_map(|end| match end.state {
            LinkState::Up(connection) => Some((end.peer, connection)),
            LinkState::Dialling | LinkState::Backoff { .. } => None,
        })
    }

    /// The link is up; returns what waited for it.
    pub(crate) fn established(&mut self, peer: u32, connection: u64, now: Micros) -> Vec<Parcel> {
        let end = self.entry(peer, now);
        end.sent = now;
        end.state = LinkState::Up(connection);
        let leaves = self.waiting.extract_if(.., |(to, _)| *to == peer).map(|(_, parcel)| parcel).collect();
        // Whoever dialled half of its cell at its start will not again.
        self.waiting.shrink_to_fit();
        leaves
    }

    /// Begins a dial, unless one runs, the link is up or the last failure is too fresh. True when it begins.
    pub(crate) fn dial(&mut self, peer: u32, now: Micros) -> bool {
        let end = self.entry(peer, now);
        let may = matches!(end.state, LinkState::Backoff { until, .. } if until <= now);
        if may {
            end.state = LinkState::Dialling;
        }
        may
    }

    /// Lets a message wait for the dial that runs; without one, or with too many, it is lost.
    pub(crate) fn wait(&mut self, peer: u32, parcel: Parcel) {
        let dials = self.to(peer).is_some_and(|end| matches!(end.state, LinkState::Dialling));
        if dials && self.waiting.iter().filter(|(to, _)| *to == peer).count() < OUTBOX {
            self.waiting.push((peer, parcel));
        }
    }

    /// The dial failed, and what waited for it is lost.
    pub(crate) fn dial_failed(&mut self, peer: u32, now: Micros, failures: u32) {
        let (least, most) = BACKOFF;
        let until = now + (least << failures.min(8)).min(most);
        let end = self.entry(peer, now);
        if matches!(end.state, LinkState::Dialling) {
            end.state = LinkState::Backoff { until, failures: failures + 1 };
            self.waiting.retain(|(to, _)| *to != peer);
        }
    }

    /// Forgets the end towards that peer.
    pub(crate) fn remove(&mut self, peer: u32) {
        if let Ok(place) = self.place(peer) {
            self.ends.remove(place);
            self.waiting.retain(|(to, _)| *to != peer);
        }
    }

    fn entry(&mut self, peer: u32, now: Micros) -> &mut LinkEnd {
        let place = match self.place(peer) {
            Ok(place) => place,
            Err(place) => {
                let state = LinkState::Backoff { until: 0, failures: 0 };
                if self.ends.len() == self.ends.capacity() {
                    self.ends.reserve_exact(4);
                }
                self.ends.insert(place, LinkEnd { peer, state, sent: now });
                place
            }
        };
        &mut self.ends[place]
    }

    fn place(&self, peer: u32) -> Result<usize, usize> {
        self.ends.binary_search_by_key(&peer, |end| end.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_dial_is_not_repeated_at_once_and_never_waits_longer_than_the_bound() {
        let mut links = Links::default();
        assert!(links.dial(7, 0));
        assert!(!links.dial(7, 0), "one dial at a time");
        links.dial_failed(7, S, 0);
        assert!(!links.dial(7, S + 249 * MS));
        assert!(links.dial(7, S + 250 * MS));
        links.dial_failed(7, 2 * S, 30);
        assert!(!links.dial(7, 6 * S - 1));
        assert!(links.dial(7, 6 * S));
        assert!(links.established(7, 1, 6 * S).is_empty());
        assert_eq!(links.up().collect::<Vec<_>>(), [(7, 1)]);
        links.remove(7);
        assert!(!links.is_up(7));
    }
}
