//! The median of a peer's last round trips: one that waited in a queue does not count.

use hedgerow_attest::id::NodeId;
use std::num::NonZeroU32;

/// Samples of one peer that count. Ledlie et al., section 4.1: a short moving median is enough; the number is Serf's.
const SAMPLES: usize = 3;

/// Peers whose samples are kept; the one that was measured longest ago is forgotten for the next. A cell of 128 that is
/// probed in turn, and as many members of other cells in between, all keep theirs; it is 6 KiB.
pub const LATENCY_PEERS_MAX: usize = 256;

/// Round trips by peer, the one measured last at the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Latencies {
    peers: Vec<Latency>,
}

/// The last round trips to one peer.
#[derive(Debug, Clone, Copy)]
struct Latency {
    /// The first eight bytes of its identifier. That is a digest: two peers that share them share a median, no more.
    peer: u64,
    /// Microseconds, the latest first.
    samples: [Option<NonZeroU32>; SAMPLES],
}

impl Latencies {
    /// Takes a sample in microseconds and returns the median of the last ones of that peer.
    pub(super) fn measured(&mut self, peer: &NodeId, rtt_us: NonZeroU32) -> NonZeroU32 {
        let peer = prefix(peer);
        let mut latency = match self.peers.iter().position(|known| known.peer == peer) {
            Some(at) => self.peers.remove(at),
            None => Latency { peer, samples: [None; SAMPLES] },
        };
        if self.peers.len() >= LATENCY_PEERS_MAX {
            self.peers.remove(0);
        }
        latency.samples.rotate_right(1);
        if let Some(latest) = latency.samples.first_mut() {
            *latest = Some(rtt_us);
        }
        self.peers.push(latency);
        latency.median().unwrap_or(rtt_us)
    }

    pub(super) fn digest(&self, hasher: &mut blake3::Hasher) {
        for latency in &self.peers {
            hasher.update(&latency.peer.to_be_bytes());
            for sample in latency.samples {
                hasher.update(&sample.map_or(0, NonZeroU32::get).to_be_bytes());
            }
        }
    }
}

impl Latency {
    /// Of two the lower: queues only ever add to a round trip.
    fn median(&self) -> Option<NonZeroU32> {
        let mut samples = self.samples;
        samples.sort_unstable();
        let missing = samples.iter().filter(|sample| sample.is_none()).count();
        samples.get(missing + (SAMPLES - missing).saturating_sub(1) / 2).copied().flatten()
    }
}

fn prefix(peer: &NodeId) -> u64 {
    peer.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u16) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    fn medians(latencies: &mut Latencies, peer: u16, samples: &[u32]) -> Vec<u32> {
        let take = |sample: &u32| latencies.measured(&node(peer), NonZeroU32::new(*sample).unwrap()).get();
        samples.iter().map(take).collect()
    }

    #[test]
    fn a_sample_that_waited_does_not_count_and_a_longer_way_does_from_the_second() {
        let mut latencies = Latencies::default();
        assert_eq!(
            medians(&mut latencies, 1, &[900, 90_000, 950, 910, 7_000, 7_100]),
            [900, 900, 950, 950, 950, 7_000]
        );
        assert_eq!(medians(&mut latencies, 2, &[40, 30]), [40, 30], "each peer has samples of its own");
    }

    #[test]
    fn the_peer_that_was_measured_longest_ago_is_forgotten() {
        let mut latencies = Latencies::default();
        let most = u16::try_from(LATENCY_PEERS_MAX).unwrap();
        for peer in 0..most {
            medians(&mut latencies, peer, &[100, 100]);
        }
        medians(&mut latencies, 0, &[100]);
        medians(&mut latencies, most, &[100]);
        assert_eq!(latencies.peers.len(), LATENCY_PEERS_MAX);
        assert_eq!(medians(&mut latencies, 0, &[500]), [100], "measured again just before");
        assert_eq!(medians(&mut latencies, 2, &[500]), [100], "the next in turn, and still known");
        assert_eq!(medians(&mut latencies, 1, &[500]), [500], "forgotten");
    }
}
