//! Where explorations begin.

use super::check::{Check, Play};
use super::setting::{Bounds, Setting, Wish};
use super::world::Act;
use crate::defect::Defect;

const TICK: Play = Play::Do(Act::Tick { late: 0 });

/// Everybody has looked at the vacancy: whoever of the candidates looks at its clock next asks for the lease.
const VACANT: &[Play] = &[wake(0), wake(1), wake(2), TICK];

/// The first candidate holds the lease by the vote of the third node; the second heard nothing.
const LED: &[Play] = &[wake(0), Play::Lose(0, 1), Play::Post(0, 2), Play::Post(2, 0)];

/// Beside a holder the second candidate asked in vain, waited, and is about to ask under a term that beats the holder's.
#[rustfmt::skip]
const RIVALLED: &[Play] = &[
    wake(1), Play::Lose(1, 0), Play::Post(1, 2), Play::Post(2, 1),
    TICK, wake(0), Play::Lose(0, 1), Play::Post(0, 2), Play::Post(2, 0),
    wake(1), Play::Lose(1, 0), Play::Lose(1, 2),
    TICK, wake(0), Play::Lose(0, 1), Play::Post(0, 2), Play::Post(2, 0),
    wake(1),
    TICK, wake(0), Play::Lose(0, 1), Play::Post(0, 2), Play::Post(2, 0),
];

/// The holder had something decided with the vote of the third node, and told nobody.
const DECIDED: &[Play] =
    &[Play::Do(Act::Propose(0, Wish::Placement(1))), Play::Lose(0, 1), Play::Post(0, 2), Play::Post(2, 0)];

/// The holder proposes something more, and the third node hears of it.
const AHEAD: &[Play] = &[Play::Do(Act::Propose(0, Wish::Placement(2))), Play::Lose(0, 1), Play::Post(0, 2)];

/// The second candidate accepted what the holder proposed, and the holder does not know.
const HALF_ACCEPTED: &[Play] =
    &[Play::Do(Act::Propose(0, Wish::Placement(1))), Play::Post(0, 1), Play::Lose(1, 0), Play::Lose(0, 2)];

/// The holder gave back, which the third node has not heard yet, and was started again.
const LEFT: &[Play] = &[Play::Do(Act::HandOver(0)), Play::Lose(0, 1), Play::Do(Act::Restart(0)), wake(0)];

/// Three voters and no holder.
pub(super) fn vacant(defect: Option<Defect>, bounds: Bounds) -> Check {
    Check::new(Setting::of_three(defect, bounds), &[VACANT])
}

/// Three voters, a holder, and something for either candidate to propose.
pub(super) fn led(defect: Option<Defect>, bounds: Bounds, wishes: [&[Wish]; 2]) -> Check {
    Check::new(Setting::of_three(defect, bounds).wishing(wishes), &[VACANT, LED])
}

/// Three voters, a holder, and a rival that is about to ask.
pub(super) fn rivalled(defect: Option<Defect>, bounds: Bounds, wishes: [&[Wish]; 2]) -> Check {
    Check::new(Setting::of_three(defect, bounds).wishing(wishes), &[VACANT, LED, RIVALLED])
}

/// A slot was decided, and the holder alone knows.
pub(super) fn decided(defect: Option<Defect>, bounds: Bounds) -> Check {
    Check::new(Setting::of_three(defect, bounds).wishing(PLACEMENTS), &[VACANT, LED, RIVALLED, DECIDED])
}

/// A slot was decided, the holder alone knows, and the voter whose vote it had hears of the slot after that.
pub(super) fn ahead(defect: Option<Defect>, bounds: Bounds) -> Check {
    Check::new(Setting::of_three(defect, bounds).wishing(SECOND), &[VACANT, LED, RIVALLED, DECIDED, AHEAD])
}

/// A value was accepted by the holder and the second candidate; the holder does not know.
pub(super) fn half_accepted(defect: Option<Defect>, bounds: Bounds) -> Check {
    Check::new(Setting::of_three(defect, bounds).wishing(PLACEMENTS), &[VACANT, LED, HALF_ACCEPTED])
}

/// The same, after which the holder exchanged the value and had the other one decided with the vote of the third node.
/// Nothing sound does that.
pub(super) fn exchanged(defect: Defect, bounds: Bounds) -> Check {
    let openings = [VACANT, LED, HALF_ACCEPTED, AHEAD, &[Play::Post(2, 0)]];
    Check::new(Setting::of_three(Some(defect), bounds).wishing(PLACEMENTS), &openings)
}

/// The former holder was started again, and what it gave back is still under way.
pub(super) fn left(defect: Option<Defect>, bounds: Bounds) -> Check {
    Check::new(Setting::of_three(defect, bounds), &[VACANT, LED, RIVALLED, LEFT])
}

/// A sole voter that holds the lease, and that may make the others voters.
pub(super) fn sole(defect: Option<Defect>, bounds: Bounds) -> Check {
    let wishes: [&[Wish]; 2] = [&[Wish::Voters(&[0, 1, 2]), Wish::Placement(1)], &[Wish::Placement(3)]];
    Check::new(Setting::of_one(defect, bounds).wishing(wishes), &[&[wake(0), wake(1), wake(2)]])
}

const fn wake(node: usize) -> Play {
    Play::Do(Act::Wake(node))
}

/// Values for one slot: two of the first candidate's, one of the second's.
const PLACEMENTS: [&[Wish]; 2] = [&[Wish::Placement(1), Wish::Placement(2)], &[Wish::Placement(3)]];

/// Nothing more of the first candidate's.
const SECOND: [&[Wish]; 2] = [&[], &[Wish::Placement(3)]];
