//! Where each value of a run lies in one piece of memory.

use std::ops::Range;

use smallvec::SmallVec;

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

/// Memory of which some ranges are written while the rest is read.
#[derive(Debug)]
pub(super) struct Carved<'a> {
    /// The ranges that are written, in the order in which they were named.
    pub(super) written: SmallVec<[&'a mut [u8]; 4]>,
    /// What lies before, between and behind, each with its place.
    rest: SmallVec<[(usize, &'a [u8]); 5]>,
}

impl<'a> Carved<'a> {
    /// # Panics
    /// When two ranges overlap.
    pub(super) fn new<'r>(memory: &'a mut [u8], ranges: impl Iterator<Item = &'r Range<usize>>) -> Self {
        let mut sorted: SmallVec<[_; 4]> = ranges.enumerate().collect();
        let mut written: SmallVec<[&'a mut [u8]; 4]> = sorted.iter().map(|_| &mut [][..]).collect();
        sorted.retain(|(_, range)| !range.is_empty());
        sorted.sort_unstable_by_key(|(_, range)| range.start);
        let (mut rest, mut place, mut behind) = (SmallVec::new(), 0, memory);
        for (position, range) in sorted {
            let (before, from) = behind.split_at_mut(range.start - place);
            let (own, after) = from.split_at_mut(range.len());
            rest.push((place, &*before));
            written[position] = own;
            (place, behind) = (range.end, after);
        }
        rest.push((place, &*behind));
        Self { written, rest }
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
    fn some_ranges_are_written_while_others_are_read() {
        let mut memory: Vec<u8> = (0..10).collect();
        for ranges in [vec![2..4, 6..7], vec![6..7, 2..4, 4..6], vec![3..5, 0..0], vec![0..0, 7..7], vec![]] {
            let carved = Carved::new(&mut memory, ranges.iter());
            let bytes = |range: &Range<usize>| range.clone().map(|at| u8::try_from(at).unwrap()).collect::<Vec<_>>();
            for (written, range) in carved.written.iter().zip(&ranges) {
                assert_eq!(written.to_vec(), bytes(range));
            }
            for range in [0..2, 8..10, 9..9] {
                assert_eq!(carved.read(&range), bytes(&range));
            }
        }
        let carved = Carved::new(&mut memory, [2..4, 6..7].iter());
        assert_eq!(carved.read(&(4..6)), [4, 5]);
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn what_is_written_cannot_be_read() {
        let mut memory = [0; 10];
        Carved::new(&mut memory, [2..4, 6..7].iter()).read(&(3..5));
    }
}
