//! The last of a sequence, in bounded memory, for readers who come when they like.

use std::collections::VecDeque;

/// Keeps the last entries of all that were pushed, numbered from 1 on.
#[derive(Debug)]
pub(super) struct Ring<T> {
    kept: VecDeque<T>,
    pushed: u64,
    bound: usize,
}

/// What a reader gets who has seen everything up to a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// How many entries after that number are kept no more.
    pub missed: u64,
    /// Those that follow, with their numbers, oldest first and without a gap.
    pub entries: Vec<(u64, T)>,
}

impl<T: Clone> Ring<T> {
    /// An empty ring of at most so many entries.
    pub(super) fn new(bound: usize) -> Self {
        assert!(bound > 0, "a ring keeps something");
        Self { kept: VecDeque::new(), pushed: 0, bound }
    }

    /// Takes an entry in, at the expense of the oldest, and gives its number.
    pub(super) fn push(&mut self, entry: T) -> u64 {
        if self.kept.len() == self.bound {
            self.kept.pop_front();
        }
        self.kept.push_back(entry);
        self.pushed += 1;
        self.pushed
    }

    /// At most so many of what came after the entry `seen`. A number that was not given yet is of an earlier ring, so that its
    /// reader has seen nothing of this one.
    pub(super) fn after(&self, seen: u64, most: usize) -> Batch<T> {
        let next = if seen > self.pushed { 1 } else { seen + 1 };
        let first = self.pushed + 1 - u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
        let missed = first.saturating_sub(next);
        let skipped = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
        let entries = (next + missed..).zip(self.kept.iter().skip(skipped).take(most).cloned()).collect();
        Batch { missed, entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(pushed: u64) -> Ring<u64> {
        let mut ring = Ring::new(4);
        for number in 1..=pushed {
            assert_eq!(ring.push(number * 10), number);
        }
        ring
    }

    fn batch(missed: u64, numbers: &[u64]) -> Batch<u64> {
        Batch { missed, entries: numbers.iter().map(|number| (*number, number * 10)).collect() }
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let ring = ring(3);
        assert_eq!(ring.after(0, 9), batch(0, &[1, 2, 3]));
        assert_eq!(ring.after(2, 9), batch(0, &[3]));
        assert_eq!(ring.after(3, 9), batch(0, &[]));
        assert_eq!(ring.after(0, 2), batch(0, &[1, 2]), "the rest comes next time");
    }

    #[test]
    fn a_reader_that_fell_behind_is_told_how_much_it_missed() {
        let ring = ring(10);
        assert_eq!(ring.after(6, 9), batch(0, &[7, 8, 9, 10]), "the last that misses nothing");
        assert_eq!(ring.after(5, 9), batch(1, &[7, 8, 9, 10]));
        assert_eq!(ring.after(0, 2), batch(6, &[7, 8]));
        assert_eq!(ring.after(10, 9), batch(0, &[]));
    }

    #[test]
    fn a_number_of_an_earlier_ring_counts_for_nothing() {
        assert_eq!(ring(2).after(500, 9), batch(0, &[1, 2]));
        assert_eq!(ring(10).after(u64::MAX, 9), batch(6, &[7, 8, 9, 10]));
        assert_eq!(ring(0).after(0, 9), batch(0, &[]));
        assert_eq!(ring(0).after(1, 9), batch(0, &[]));
    }

    #[test]
    fn whatever_is_pushed_and_read_adds_up() {
        for pushed in 0..12 {
            let ring = ring(pushed);
            for seen in 0..=pushed {
                let Batch { missed, entries } = ring.after(seen, 9);
                let told = missed + u64::try_from(entries.len()).unwrap();
                assert_eq!(seen + told, pushed);
            }
        }
    }
}
