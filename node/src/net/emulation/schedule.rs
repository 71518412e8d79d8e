//! Things that wait for their time.

use std::collections::BinaryHeap;

use tokio::time::Instant;

/// Holds things until they are due; of those due at one time the first that came leaves first.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    waiting: BinaryHeap<Entry<T>>,
    order: u64,
    bytes: usize,
    bytes_max: usize,
}

impl<T> Schedule<T> {
    /// Empty; takes things until their bytes together would be above `bytes_max`.
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { waiting: BinaryHeap::new(), order: 0, bytes: 0, bytes_max }
    }

    /// Takes `item`, which counts for `bytes` and as much as it takes to hold it; returns whether there was room.
    pub(super) fn push(&mut self, due: Instant, bytes: usize, item: T) -> bool {
        let bytes = bytes + size_of::<Entry<T>>();
        if self.bytes + bytes > self.bytes_max {
            return false;
        }
        self.bytes += bytes;
        self.waiting.push(Entry { due, order: self.order, bytes, item });
        self.order += 1;
        true
    }

    /// The earliest time at which something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|entry| entry.due)
    }

    /// Takes out the next thing that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        let entry = self.waiting.pop()?;
        self.bytes -= entry.bytes;
        Some(entry.item)
    }
}

#[derive(Debug)]
struct Entry<T> {
    due: Instant,
    order: u64,
    bytes: usize,
    item: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed, so that the earliest is the greatest and leaves a [`BinaryHeap`] first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.due, other.order).cmp(&(self.due, self.order))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_leaves_by_time_and_then_as_it_came() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut schedule = Schedule::new(1 << 20);
        for (due, item) in [(2, "c"), (1, "a"), (2, "d"), (1, "b"), (3, "e")] {
            assert!(schedule.push(at(due), 1, item));
        }
        assert_eq!((schedule.next_due(), schedule.pop_due(start)), (Some(at(1)), None));
        let left: Vec<_> = std::iter::from_fn(|| schedule.pop_due(at(2))).collect();
        assert_eq!(left, ["a", "b", "c", "d"]);
        assert_eq!((schedule.next_due(), schedule.pop_due(at(3)), schedule.next_due()), (Some(at(3)), Some("e"), None));
    }

    #[test]
    fn what_is_above_the_bound_is_not_taken_until_there_is_room() {
        let now = Instant::now();
        let entry = size_of::<Entry<u8>>();
        let mut schedule = Schedule::new(2 * (entry + 100));
        assert!(schedule.push(now, 100, 1) && schedule.push(now, 100, 2));
        assert!(!schedule.push(now, 0, 3));
        assert_eq!(schedule.pop_due(now), Some(1));
        assert!(!schedule.push(now, 101, 3) && schedule.push(now, 100, 4));
    }
}
