//! Where each value of a run lies in one piece of memory.

use std::ops::Range;

/// Values begin at multiples of this, as vectors are read fastest.
const ALIGNMENT: usize = 64;

/// Memory that is given out and taken back in the order of the steps of a plan.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Taken ranges, by their beginning.
    taken: Vec<Range<usize>>,
    /// Bytes at the peak.
    most: usize,
}

impl Arena {
    /// A range of so many bytes: the tightest gap between what is taken, else behind all of it.
    pub(super) fn take(&mut self, bytes: usize) -> Range<usize> {
        let length = bytes.next_multiple_of(ALIGNMENT);
        if length == 0 {
            return 0..0;
        }
        let mut begin = 0;
        let mut best: Option<(usize, usize, usize)> = None;
        for (at, range) in self.taken.iter().enumerate() {
            let gap = range.start - begin;
            if gap >= length && best.is_none_or(|(tightest, ..)| gap < tightest) {
                best = Some((gap, at, begin));
            }
            begin = range.end;
        }
        let (at, start) = best.map_or((self.taken.len(), begin), |(_, at, start)| (at, start));
        self.taken.insert(at, start..start + length);
        self.most = self.most.max(start + length);
        start..start + bytes
    }

    /// Takes a range back.
    pub(super) fn give(&mut self, range: &Range<usize>) {
        if !range.is_empty() {
            self.taken.retain(|taken| taken.start != range.start);
        }
    }

    /// Bytes that all of it needs.
    pub(super) fn bytes(&self) -> usize {
        self.most
    }
}

/// Memory of which two ranges are written while the rest is read.
#[derive(Debug)]
pub(super) struct Carved<'a> {
    pub(super) result: &'a mut [u8],
    pub(super) scratch: &'a mut [u8],
    /// What lies before, between and behind, each with its place.
    rest: [(usize, &'a [u8]); 3],
}

impl<'a> Carved<'a> {
    /// # Panics
    /// When the two ranges overlap.
    pub(super) fn new(memory: &'a mut [u8], result: &Range<usize>, scratch: &Range<usize>) -> Self {
        let (first, second) = if result.start <= scratch.start { (result, scratch) } else { (scratch, result) };
        // An empty range lies nowhere; here it lies where it disturbs nothing.
        let first = if first.is_empty() { &(0..0) } else { first };
        let second = &if second.is_empty() { first.end..first.end } else { second.clone() };
        let (before, rest) = memory.split_at_mut(first.start);
        let (one, rest) = rest.split_at_mut(first.len());
        let (between, rest) = rest.split_at_mut(second.start - first.end);
        let (two, behind) = rest.split_at_mut(second.len());
        let rest = [(0, &*before), (first.end, &*between), (second.end, &*behind)];
        let (result, scratch) = if result.start <= scratch.start { (one, two) } else { (two, one) };
        Self { result, scratch, rest }
    }

    /// A range that is only read.
    ///
    /// # Panics
    /// When it overlaps one that is written.
    pub(super) fn read(&self, range: &Range<usize>) -> &'a [u8] {
        if range.is_empty() {
            return &[];
        }
        let (start, bytes) = self.rest.iter().rev().find(|(start, _)| *start <= range.start).expect("the first is 0");
        &bytes[range.start - start..range.end - start]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_by_what_fits_best() {
        let mut arena = Arena::default();
        let [a, b, c, d] = [200, 64, 100, 1].map(|bytes| arena.take(bytes));
        assert_eq!([&a, &b, &c, &d], [&(0..200), &(256..320), &(320..420), &(448..449)]);
        arena.give(&a);
        arena.give(&c);
        assert_eq!(arena.take(120), 320..440);
        assert_eq!(arena.take(10), 0..10);
        assert_eq!(arena.take(0), 0..0);
        arena.give(&(0..0));
        assert_eq!(arena.take(300), 512..812);
        assert_eq!(arena.bytes(), 832);
    }

    #[test]
    fn two_ranges_are_written_while_others_are_read() {
        let mut memory: Vec<u8> = (0..10).collect();
        for (result, scratch) in [(2..4, 6..7), (6..7, 2..4), (3..5, 0..0), (0..0, 3..5), (0..0, 0..0)] {
            let carved = Carved::new(&mut memory, &result, &scratch);
            let bytes = |range: &Range<usize>| range.clone().map(|at| u8::try_from(at).unwrap()).collect::<Vec<_>>();
            assert_eq!(carved.result.to_vec(), bytes(&result));
            assert_eq!(carved.scratch.to_vec(), bytes(&scratch));
            for range in [0..2, 8..10, 9..9] {
                assert_eq!(carved.read(&range), bytes(&range));
            }
        }
        let carved = Carved::new(&mut memory, &(2..4), &(6..7));
        assert_eq!(carved.read(&(4..6)), [4, 5]);
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn what_is_written_cannot_be_read() {
        let mut memory = [0; 10];
        Carved::new(&mut memory, &(2..4), &(6..7)).read(&(3..5));
    }
}
