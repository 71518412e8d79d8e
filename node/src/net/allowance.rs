//! How often somebody may do something: a token bucket for each, in a bounded table.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How often each did it. Whoever has all of its allowance again is forgotten for others.
#[derive(Debug)]
pub struct Allowance<K> {
    /// At once.
    burst: u32,
    /// After so long one is given back.
    refill: Duration,
    /// As many are remembered.
    entries_max: usize,
    used: BTreeMap<K, Used>,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    times: u32,
    since: Instant,
}

impl<K: Copy + Ord> Allowance<K> {
    /// `burst` at once, one more after each `refill`, remembered for so many.
    pub fn new(burst: u32, refill: Duration, entries_max: usize) -> Self {
        Self { burst, refill, entries_max, used: BTreeMap::new() }
    }

    /// Takes one from the allowance of somebody; `false` when there is none left, or no room to count it.
    pub fn take(&mut self, who: K, now: Instant) -> bool {
        if self.used.len() >= self.entries_max && !self.used.contains_key(&who) && !self.make_room(now) {
            return false;
        }
        let used = self.used.entry(who).or_insert(Used { times: 0, since: now });
        used.earn(self.refill, now);
        if used.times >= self.burst {
            return false;
        }
        if used.times == 0 {
            used.since = now;
        }
        used.times += 1;
        true
    }

    /// Whether nothing is left of somebody's allowance.
    pub fn is_spent(&self, who: &K, now: Instant) -> bool {
        self.used.get(who).is_some_and(|used| {
            let mut used = *used;
            used.earn(self.refill, now);
            used.times >= self.burst
        })
    }

    /// Looked for only where somebody has no entry and there is no room for one: it looks at all of them.
    fn make_room(&mut self, now: Instant) -> bool {
        let refill = self.refill;
        self.used.retain(|_, used| {
            used.earn(refill, now);
            used.times > 0
        });
        self.used.len() < self.entries_max
    }
}

impl Used {
    fn earn(&mut self, refill: Duration, now: Instant) {
        while self.times > 0 && now.saturating_duration_since(self.since) >= refill {
            self.times -= 1;
            self.since += refill;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFILL: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_spent_and_earned_back() {
        let (mut allowance, start) = (Allowance::new(3, REFILL, 10), Instant::now());
        for _ in 0..3 {
            assert!(!allowance.is_spent(&'a', start));
            assert!(allowance.take('a', start));
        }
        assert!(allowance.is_spent(&'a', start) && !allowance.take('a', start));
        assert!(!allowance.is_spent(&'b', start) && allowance.take('b', start));
        assert!(!allowance.is_spent(&'a', start + REFILL) && allowance.take('a', start + REFILL));
        assert!(allowance.is_spent(&'a', start + REFILL) && !allowance.take('a', start + REFILL));
        assert!(allowance.take('a', start + 2 * REFILL));
    }

    #[test]
    fn the_table_is_bounded_and_empties() {
        let (mut allowance, start) = (Allowance::new(3, REFILL, 100), Instant::now());
        for who in 0..100 {
            assert!(allowance.take(who, start));
        }
        assert!(!allowance.take(100, start) && !allowance.is_spent(&100, start));
        assert!(allowance.take(100, start + REFILL));
        assert_eq!(allowance.used.len(), 1);
    }
}
