//! Anti-entropy: gossip loses facts, so every few seconds two nodes compare what they know and make up the difference.

use super::effects::Effects;
use super::fact_store::{FactStore, bucket, difference};
use super::interface::Lane;
use crate::fact::VerifiedFact;
use crate::time::Mono;
use crate::wire::{DIGEST_ENTRIES_MAX, FactEntry, PUSH_FACTS_MAX, SUMMARY_BUCKETS, VerifiedExchange, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of facts in one push; with the largest fact on top it stays below a frame.
const PUSH_BYTES: usize = 128 * 1024;

/// When to compare next.
#[derive(Debug)]
pub(crate) struct Exchange {
    period: Duration,
    next: Mono,
}

impl Exchange {
    pub(crate) fn new(period: Duration) -> Self {
        Self { period, next: Mono(0) }
    }

    pub(crate) fn next_deadline(&self) -> Mono {
        self.next
    }

    /// Whether a comparison is due; the next one is then set, up to a fifth earlier, so that nodes do not march in step.
    pub(crate) fn is_due(&mut self, fx: &mut Effects<'_>) -> bool {
        if fx.now < self.next {
            return false;
        }
        self.next = fx.now + (self.period - fx.jitter(self.period / 5));
        true
    }
}

/// Opens a comparison.
pub(crate) fn summarise(fx: &mut Effects<'_>, facts: &FactStore, to: NodeId) {
    let summary = VerifiedExchange::Summary(facts.summary());
    fx.send(to, Lane::Probe, VerifiedMessage::Exchange(summary));
}

/// Answers a summary with what is here in the buckets that differ.
pub(crate) fn on_summary(fx: &mut Effects<'_>, facts: &FactStore, from: NodeId, theirs: &[u64; SUMMARY_BUCKETS]) {
    let mut mask = difference(&facts.summary(), theirs);
    let mut entries: Vec<FactEntry> = facts.entries(mask).map(|(entry, _)| entry).collect();
    // Too much for one message: leave whole buckets for another time, and which ones to chance.
    while entries.len() > DIGEST_ENTRIES_MAX && mask.count_ones() > 1 {
        let bit = fx.below(SUMMARY_BUCKETS);
        mask &= !(1 << bit);
        entries.retain(|entry| mask >> bucket(entry.key) & 1 == 1);
    }
    if mask != 0 && entries.len() <= DIGEST_ENTRIES_MAX {
        let digest = VerifiedExchange::Digest { buckets: mask, entries };
        fx.send(from, Lane::Rpc, VerifiedMessage::Exchange(digest));
    }
}

/// Answers a digest: sends what the other side lacks, asks for what this one does.
pub(crate) fn on_digest(fx: &mut Effects<'_>, facts: &FactStore, from: NodeId, mask: u16, theirs: &[FactEntry]) {
    let theirs: BTreeMap<u64, FactEntry> = theirs.iter().map(|entry| (entry.key, *entry)).collect();
    let mine: BTreeMap<u64, FactEntry> = facts.entries(mask).map(|(entry, _)| (entry.key, entry)).collect();
    let missing_there = facts
        .entries(mask)
        .filter(|(entry, _)| theirs.get(&entry.key).is_none_or(|theirs| theirs.version < entry.version));
    let push_list: Vec<&VerifiedFact> = missing_there.filter_map(|(_, key)| facts.get(key)).collect();
    push(fx, from, push_list);
    let missing_here =
        theirs.values().filter(|theirs| mine.get(&theirs.key).is_none_or(|mine| mine.version < theirs.version));
    let keys: Vec<u64> = missing_here.map(|entry| entry.key).take(DIGEST_ENTRIES_MAX).collect();
    if !keys.is_empty() {
        fx.send(from, Lane::Rpc, VerifiedMessage::Exchange(VerifiedExchange::Pull(keys)));
    }
}

/// Answers a pull.
pub(crate) fn on_pull(fx: &mut Effects<'_>, facts: &FactStore, from: NodeId, keys: &[u64]) {
    let mut wanted: Vec<&VerifiedFact> = keys.iter().filter_map(|key| facts.by_hash(*key)).collect();
    wanted.sort_by(|a, b| a.key().cmp(b.key()));
    push(fx, from, wanted);
}

/// Sends facts in as many messages as they need, in the order given.
pub(crate) fn push<'f>(fx: &mut Effects<'_>, to: NodeId, facts: impl IntoIterator<Item = &'f VerifiedFact>) {
    let mut page: Vec<VerifiedFact> = Vec::new();
    let mut bytes = 0;
    for fact in facts {
        page.push(fact.clone());
        bytes += fact.signed().to_bytes().len();
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
    fx.send(to, Lane::Rpc, VerifiedMessage::Exchange(VerifiedExchange::Push(facts)));
}
