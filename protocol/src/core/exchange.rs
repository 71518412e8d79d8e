//! Anti-entropy: gossip loses facts, so every few seconds two nodes compare what they know and make up the difference.

use super::effects::Effects;
use super::interface::Lane;
use super::shelf::{Buckets, bucket, entry};
use crate::fact::{Scope, VerifiedFact};
use crate::time::Mono;
use crate::wire::{
    DIGEST_ENTRIES_MAX, FactEntry, PUSH_FACTS_MAX, SUMMARY_BUCKETS, ScopeRoot, VerifiedExchange, VerifiedMessage,
};
use hedgerow_attest::id::NodeId;
use std::time::Duration;

/// Bytes of facts in one push; with the largest fact on top it stays below a frame.
const PUSH_BYTES: usize = 128 * 1024;

/// Accusations that were taken in so lately are still on their way to others.
const CHARGES_TRAVEL: Duration = Duration::from_millis(500);

/// Shortest time between two comparisons because accusations differ.
const REPAIR_GAP: Duration = Duration::from_millis(500);

/// When to compare next.
#[derive(Debug)]
pub(crate) struct Exchange {
    period: Duration,
    next: Mono,
    rounds: u32,
    next_directory: Mono,
    /// The accusations that this node holds, by their mark, and since when it is that.
    charges: (u16, Mono),
    /// When accusations were compared last because of marks that differed, and which those were.
    repaired: Option<(Mono, u16, u16)>,
}

impl Exchange {
    pub(crate) fn new(period: Duration) -> Self {
        let (charges, repaired) = ((0, Mono(0)), None);
        Self { period, next: Mono(0), rounds: 0, next_directory: Mono(0), charges, repaired }
    }

    pub(crate) fn next_deadline(&self) -> Mono {
        self.next
    }

    /// The mark by which others see whether they hold the same accusations.
    pub(crate) fn mark(&mut self, now: Mono, charges: u64) -> u16 {
        let [high, low, ..] = charges.to_be_bytes();
        let mark = u16::from_be_bytes([high, low]);
        if mark != self.charges.0 {
            self.charges = (mark, now);
        }
        mark
    }

    /// Whether another's mark asks for a comparison: gossip may have missed one of the two. The same difference is looked
    /// into no more often than facts are compared anyway.
    pub(crate) fn is_to_repair(&mut self, now: Mono, theirs: u16) -> bool {
        let (mine, since) = self.charges;
        let lately = self.repaired.is_some_and(|(at, my_last, their_last)| {
            let gap = if (my_last, their_last) == (mine, theirs) { self.period } else { REPAIR_GAP };
            now.since(at) < gap
        });
        if theirs == mine || now.since(since) < CHARGES_TRAVEL || lately {
            return false;
        }
        self.repaired = Some((now, mine, theirs));
        true
    }

    /// Whether a comparison is due; the next one is then set, up to a fifth earlier, so that nodes do not march in step.
    pub(crate) fn is_due(&mut self, fx: &mut Effects<'_>) -> bool {
        if fx.now < self.next {
            return false;
        }
        self.next = fx.now + (self.period - fx.jitter(self.period / 5));
        true
    }

    /// Numbers the rounds, from 1.
    pub(crate) fn count(&mut self) -> u32 {
        self.rounds = self.rounds.wrapping_add(1);
        self.rounds
    }

    /// Whether the directory is to be compared in this round; the next time is then after that pause.
    pub(crate) fn is_directory_due(&mut self, now: Mono, pause: Duration) -> bool {
        let due = now >= self.next_directory;
        if due {
            self.next_directory = now + pause;
        }
        due
    }
}

/// Opens a comparison.
pub(crate) fn summarise(fx: &mut Effects<'_>, to: NodeId, scope: Scope, summary: Buckets, others: Vec<ScopeRoot>) {
    let summary = VerifiedExchange::Summary { scope, buckets: summary.0, others };
    fx.send(to, Lane::Probe, VerifiedMessage::Exchange(summary));
}

/// Answers a summary with what is here in the buckets that differ.
pub(crate) fn list(fx: &mut Effects<'_>, to: NodeId, scope: Scope, mut mask: u16, mine: &[&VerifiedFact]) {
    let mut entries: Vec<FactEntry> = mine.iter().map(|fact| entry(fact)).collect();
    // Too much for one message: leave whole buckets for another time, and which ones to chance.
    while entries.len() > DIGEST_ENTRIES_MAX && mask.count_ones() > 1 {
        let bit = fx.below(SUMMARY_BUCKETS);
        mask &= !(1 << bit);
        entries.retain(|entry| mask >> bucket(entry.key) & 1 == 1);
    }
    if mask != 0 && entries.len() <= DIGEST_ENTRIES_MAX {
        let digest = VerifiedExchange::Digest { scope, buckets: mask, entries };
        fx.send(to, Lane::Rpc, VerifiedMessage::Exchange(digest));
    }
}

/// Answers a digest: sends what the other side lacks, asks for what this one does. `mine` is what is here in the buckets of
/// the digest, by the hashes of keys.
pub(crate) fn level(
    fx: &mut Effects<'_>,
    from: NodeId,
    scope: Scope,
    mine: &[&VerifiedFact],
    mut theirs: Vec<FactEntry>,
) {
    theirs.sort_unstable_by_key(|entry| entry.key);
    let version_there = |hash| {
        let place = theirs.binary_search_by_key(&hash, |entry| entry.key).ok()?;
        theirs.get(place).map(|entry| entry.version)
    };
    let version_here = |hash| {
        let place = mine.binary_search_by_key(&hash, |fact| fact.hash()).ok()?;
        mine.get(place).map(|fact| fact.version())
    };
    let newer_here = mine.iter().filter(|fact| version_there(fact.hash()).is_none_or(|theirs| theirs < fact.version()));
    push_in_order(fx, from, newer_here.copied().collect());
    let newer_there = theirs.iter().filter(|entry| version_here(entry.key).is_none_or(|mine| mine < entry.version));
    let keys: Vec<u64> = newer_there.map(|entry| entry.key).take(DIGEST_ENTRIES_MAX).collect();
    if !keys.is_empty() {
        fx.send(from, Lane::Rpc, VerifiedMessage::Exchange(VerifiedExchange::Pull { scope, keys }));
    }
}

/// Sends facts, those first on which others depend.
pub(crate) fn push_in_order(fx: &mut Effects<'_>, to: NodeId, mut facts: Vec<&VerifiedFact>) {
    facts.sort_by(|a, b| a.turn().cmp(&b.turn()));
    push(fx, to, facts);
}

/// Sends facts in as many messages as they need, in the order given.
pub(crate) fn push<'f>(fx: &mut Effects<'_>, to: NodeId, facts: impl IntoIterator<Item = &'f VerifiedFact>) {
    let mut page: Vec<VerifiedFact> = Vec::new();
    let mut bytes = 0;
    for fact in facts {
        page.push(fact.clone());
        bytes += fact.size();
        if bytes >= PUSH_BYTES || page.len() == PUSH_FACTS_MAX {
            send_page(fx, to, std::mem::take(&mut page));
            bytes = 0;
        }
    }
    if !page.is_empty() {
        send_page(fx, to, page);
    }
}

fn send_page(fx: &mut Effects<'_>, to: NodeId, facts: Vec<VerifiedFact>) {
    fx.send_after(to, VerifiedMessage::Exchange(VerifiedExchange::Push(facts)), fx.departure);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Output;
    use crate::id::Token;
    use crate::machine::Cx;
    use crate::time::Wall;
    use hedgerow_attest::testing::SampleMesh;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn facts_leave_after_the_write_of_a_departure_that_may_be_among_them() {
        let fact = VerifiedFact::member(SampleMesh::new(1).member(1, "eu"));
        let waits_for = |departure| -> Vec<Option<Token>> {
            let (mut rng, mut out, mut last) = (ChaCha8Rng::from_seed([1; 32]), Vec::new(), Token(0));
            let mut cx = Cx { now: Mono(0), wall: Wall(0), rng: &mut rng, out: &mut out };
            let mut fx = Effects::new(&mut cx, &mut last);
            fx.departure = departure;
            push_in_order(&mut fx, NodeId::from_bytes([2; 32]), vec![&fact]);
            out.into_iter().map(|output| if let Output::Send { after, .. } = output { after } else { None }).collect()
        };
        assert_eq!([None, Some(Token(7))].map(waits_for), [vec![None], vec![Some(Token(7))]]);
    }
}
