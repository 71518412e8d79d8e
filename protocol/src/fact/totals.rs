//! What many members are together: sums that add up, however the members were grouped.

use super::record::{Energy, Health};
use super::rollup::Liveness;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::name::NodeClass;
use serde::{Deserialize, Serialize};

/// Node classes that totals count one by one.
pub const CLASSES_COUNTED_MAX: usize = 16;

/// Ranges of queue depths that are told apart: 0, 1, 2 to 3, 4 to 7, and so on; the last is open.
pub const QUEUE_RANGES: usize = 12;

/// Members, counted and added up. Totals of disjoint groups merge into the totals of both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Members that answer and mean to stay.
    pub alive: u32,
    /// Members that did not answer lately.
    pub suspect: u32,
    /// Members that did not answer when verified.
    pub down: u32,
    /// Members that stop or drain.
    pub leaving: u32,
    /// Of those that are alive: on battery, charged or low.
    pub on_battery: u32,
    /// Members that are alive, by class, in the order of the classes' names; beyond [`CLASSES_COUNTED_MAX`] classes the last
    /// are left out.
    #[serde(deserialize_with = "bounded_vec::<_, _, CLASSES_COUNTED_MAX>")]
    pub classes: Vec<(NodeClass, u32)>,
    /// Requests that wait or run, on members that are alive.
    pub queue_depth: u64,
    /// Memory that is free for models and sessions, on members that are alive.
    pub free_memory_mib: u64,
    /// How the requests are spread.
    pub queues: QueueSketch,
}

impl Totals {
    /// One member more, seen so and known to be of that class.
    pub fn count(&mut self, liveness: Liveness, leaving: bool, class: &NodeClass, health: &Health) {
        match liveness {
            Liveness::Suspect => self.suspect = self.suspect.saturating_add(1),
            Liveness::Down => self.down = self.down.saturating_add(1),
            Liveness::Alive if leaving => self.leaving = self.leaving.saturating_add(1),
            Liveness::Alive => {
                self.alive = self.alive.saturating_add(1);
                self.on_battery = self.on_battery.saturating_add(u32::from(health.energy != Energy::Mains));
                self.add_class(class, 1);
                self.queue_depth = self.queue_depth.saturating_add(u64::from(health.queue_depth));
                self.free_memory_mib = self.free_memory_mib.saturating_add(u64::from(health.free_memory_mib));
                self.queues.count(health.queue_depth);
            }
        }
    }

    /// The totals of both groups, which must have no member in common.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.alive, other.alive),
            (&mut self.suspect, other.suspect),
            (&mut self.down, other.down),
            (&mut self.leaving, other.leaving),
            (&mut self.on_battery, other.on_battery),
        ] {
            *sum = sum.saturating_add(more);
        }
        other.classes.iter().for_each(|(class, count)| self.add_class(class, *count));
        self.queue_depth = self.queue_depth.saturating_add(other.queue_depth);
        self.free_memory_mib = self.free_memory_mib.saturating_add(other.free_memory_mib);
        self.queues.merge(&other.queues);
    }

    /// All that are counted.
    #[must_use]
    pub fn members(&self) -> u32 {
        [self.suspect, self.down, self.leaving].into_iter().fold(self.alive, u32::saturating_add)
    }

    fn add_class(&mut self, class: &NodeClass, more: u32) {
        match self.classes.binary_search_by(|(known, _)| known.cmp(class)) {
            Ok(place) => {
                if let Some((_, count)) = self.classes.get_mut(place) {
                    *count = count.saturating_add(more);
                }
            }
            Err(place) => {
                self.classes.insert(place, (class.clone(), more));
                self.classes.truncate(CLASSES_COUNTED_MAX);
            }
        }
    }
}

/// How many members have queues of which depth, in powers of two: sketches add up exactly, and a quantile read from one is at
/// most twice the true one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueSketch(pub [u32; QUEUE_RANGES]);

impl QueueSketch {
    /// One member more.
    pub fn count(&mut self, queue_depth: u32) {
        if let Some(range) = self.0.get_mut(range_of(queue_depth)) {
            *range = range.saturating_add(1);
        }
    }

    /// The members of both.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, more)| *mine = mine.saturating_add(more));
    }

    /// The depth that so many per mille of the queues do not exceed, rounded up to the end of its range; nothing where nobody
    /// was counted. The last range has no end and says where it begins.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Option<u32> {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = (all * per_mille.min(1_000)).div_ceil(1_000).max(1);
        let mut seen = 0;
        let range = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        })?;
        Some(if range + 1 == QUEUE_RANGES { 1 << (range - 1) } else { (1_u32 << range) - 1 })
    }
}

/// 0, 1, 2 to 3, 4 to 7, …
fn range_of(queue_depth: u32) -> usize {
    let bits = u32::BITS - queue_depth.leading_zeros();
    usize::try_from(bits).map_or(QUEUE_RANGES - 1, |bits| bits.min(QUEUE_RANGES - 1))
}

#[cfg(test)]
#[path = "totals_tests.rs"]
mod tests;
