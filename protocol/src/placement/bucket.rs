//! Round trips in a few coarse classes, so that jitter does not change who is near.

/// How far a node is from the home cell. Within a bucket distance does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct RttBucket(u8);

/// Upper edges of all buckets but the last, in microseconds of round trip.
const EDGES_US: [u64; 4] = [5_000, 15_000, 50_000, 150_000];

/// A node leaves its bucket only by more than this, or by half of the edge upwards and a quarter of it downwards where that
/// is more. Twice what a jitter of 2 ms around any value can make, which must move nothing; the shares are a guess that a
/// week of measured round trips would settle.
const MARGIN_US: u64 = 4_000;

impl RttBucket {
    /// The nearest bucket, also for nodes of the home cell itself: a cell is near by construction.
    pub const NEAREST: Self = Self(0);

    /// The farthest bucket, also for nodes of which no round trip is known.
    pub const FARTHEST: Self = Self(4);

    /// All buckets, nearest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=Self::FARTHEST.0).map(Self)
    }

    /// The bucket of a round trip that was never placed before.
    #[must_use]
    pub fn of(rtt_us: u64) -> Self {
        let beyond = EDGES_US.iter().zip(1_u8..).filter(|(edge, _)| rtt_us > **edge);
        Self(beyond.map(|(_, bucket)| bucket).max().unwrap_or(0))
    }

    /// The bucket of a node that was in this one: this one still, unless the round trip left it by more than the margin.
    #[must_use]
    pub fn settle(self, rtt_us: u64) -> Self {
        let edge = |bucket: u8| EDGES_US.get(usize::from(bucket)).copied();
        let beyond = edge(self.0).is_some_and(|edge| rtt_us > edge + (edge / 2).max(MARGIN_US));
        let below = self.0.checked_sub(1).and_then(edge);
        let within = below.is_some_and(|edge| rtt_us < edge.saturating_sub((edge / 4).max(MARGIN_US)));
        if beyond || within { Self::of(rtt_us) } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges_belong_to_the_nearer_bucket() {
        let buckets: Vec<u8> =
            [0, 5_000, 5_001, 15_000, 50_000, 50_001, 150_001, u64::MAX].map(|rtt| RttBucket::of(rtt).0).to_vec();
        assert_eq!(buckets, [0, 0, 1, 1, 2, 3, 4, 4]);
        assert_eq!(RttBucket::all().last(), Some(RttBucket::of(u64::MAX)));
        assert_eq!(usize::from(RttBucket::FARTHEST.0), EDGES_US.len());
    }

    #[test]
    fn a_bucket_is_left_only_by_more_than_its_margin() {
        let near = RttBucket::NEAREST;
        assert_eq!([near.settle(9_000), near.settle(9_001)], [near, RttBucket(1)]);
        let middle = RttBucket(1);
        assert_eq!([middle.settle(1_000), middle.settle(999)], [middle, near]);
        assert_eq!([middle.settle(22_500), middle.settle(22_501)], [middle, RttBucket(2)]);
        assert_eq!(middle.settle(400_000), RttBucket::FARTHEST);
        assert_eq!([RttBucket(3).settle(37_500), RttBucket(3).settle(37_499)], [RttBucket(3), RttBucket(2)]);
    }

    proptest! {
        #[test]
        fn two_milliseconds_around_any_value_change_no_bucket(
            centre in 0_u64..400_000,
            jitter in proptest::collection::vec(0_u64..=4_000, 2..20),
        ) {
            let rtts: Vec<u64> = jitter.iter().map(|jitter| (centre + jitter).saturating_sub(2_000)).collect();
            let first = RttBucket::of(rtts[0]);
            for rtt in rtts {
                prop_assert_eq!(first.settle(rtt), first);
            }
        }
    }
}
