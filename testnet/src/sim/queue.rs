//! The queue of what will happen, by time and then by the order in which it was foreseen.

use super::time::Micros;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things that will happen. Slots are reused, so that a long run needs no more memory than its busiest moment.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    /// When something happens, and its turn among what happens at that moment together with its slot: every event passes
    /// through here, and smaller entries stay nearer to the processor.
    order: BinaryHeap<Reverse<(Micros, u64)>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    foreseen: u64,
}

/// Bits of a slot's number; the turn has the others. Sixteen million things may be foreseen at once, and a million million
/// in one run.
const SLOT_BITS: u32 = 24;

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { order: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), foreseen: 0 }
    }
}

impl<E> Queue<E> {
    /// Foresees something.
    pub(crate) fn push(&mut self, at: Micros, event: E) {
        self.foreseen += 1;
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(event);
            slot
        } else {
            self.slots.push(Some(event));
            u32::try_from(self.slots.len() - 1).expect("a slot has fewer bits than that")
        };
        assert!(
            slot >> SLOT_BITS == 0 && self.foreseen >> (u64::BITS - SLOT_BITS) == 0,
            "more than a run ever foresees"
        );
        self.order.push(Reverse((at, self.foreseen << SLOT_BITS | u64::from(slot))));
    }

    /// The next thing up to that moment, and when it happens.
    pub(crate) fn pop_until(&mut self, until: Micros) -> Option<(Micros, E)> {
        let Reverse((at, turn)) = *self.order.peek()?;
        if at > until {
            return None;
        }
        self.order.pop();
        let slot = u32::try_from(turn & ((1 << SLOT_BITS) - 1)).expect("a slot has fewer bits than that");
        self.free.push(slot);
        let event = self.slots[slot as usize].take();
        debug_assert!(event.is_some(), "a queued slot is full");
        event.map(|event| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_at_one_moment_happens_in_the_order_in_which_it_was_foreseen() {
        let mut queue = Queue::default();
        for (at, name) in [(5, "c"), (3, "a"), (3, "b"), (9, "d")] {
            queue.push(at, name);
        }
        let happened: Vec<_> = std::iter::from_fn(|| queue.pop_until(5)).collect();
        assert_eq!(happened, [(3, "a"), (3, "b"), (5, "c")]);
        queue.push(4, "late");
        assert_eq!(queue.pop_until(8), Some((4, "late")));
        assert_eq!(queue.slots.len(), 4);
    }
}
