//! The machine as it is, where no defect is to be shown.

use super::check::{Check, holds};
use super::scene;
use super::setting::{Bounds, Rate, Wish};

const CLOCKS: [[Rate; 3]; 3] =
    [[Rate::Slow, Rate::Fast, Rate::Fast], [Rate::Fast, Rate::Slow, Rate::Fast], [Rate::Slow, Rate::Slow, Rate::Fast]];

fn by_all_clocks(mut check: Check) -> Check {
    check.setting.clocks = CLOCKS.to_vec();
    check
}

const NONE: [&[Wish]; 2] = [&[], &[]];

/// One value of each candidate's.
const ONE_EACH: [&[Wish]; 2] = [&[Wish::Placement(1)], &[Wish::Placement(3)]];

/// The holder removes the other candidate.
const REMOVAL: [&[Wish]; 2] = [&[Wish::Voters(&[0, 2]), Wish::Placement(1)], &[Wish::Placement(3)]];

#[test]
fn two_candidates_that_ask_at_once_by_clocks_that_run_apart() {
    holds(by_all_clocks(scene::vacant(None, Bounds { ticks: 2, late: 0, ..Bounds::CALM })));
}

#[test]
fn a_crash_while_writes_are_under_way() {
    let bounds = Bounds { ticks: 1, late: 0, notes: false, crashes: 1, slow_disk: true, ..Bounds::CALM };
    holds(by_all_clocks(scene::vacant(None, bounds)));
}

#[test]
fn a_rival_that_asks_when_the_lease_ends() {
    holds(by_all_clocks(scene::rivalled(None, Bounds { ticks: 2, ..Bounds::CALM }, NONE)));
}

#[test]
fn letters_that_arrive_twice() {
    holds(scene::rivalled(None, Bounds { ticks: 1, copies: 1, ..Bounds::CALM }, NONE));
}

#[test]
fn a_value_under_way_when_the_lease_ends() {
    let bounds = Bounds { ticks: 2, notes: false, proposals: 1, ..Bounds::CALM };
    holds(scene::rivalled(None, bounds, ONE_EACH));
}

#[test]
fn a_value_that_both_candidates_may_accept() {
    let bounds = Bounds { ticks: 2, late: 0, notes: false, proposals: 1, ..Bounds::CALM };
    holds(scene::led(None, bounds, ONE_EACH));
}

#[test]
fn a_voter_removed_when_the_lease_ends() {
    let bounds = Bounds { ticks: 2, late: 0, notes: false, proposals: 1, ..Bounds::CALM };
    holds(scene::rivalled(None, bounds, REMOVAL));
}

#[test]
fn a_sole_voter_that_makes_three() {
    holds(by_all_clocks(scene::sole(None, Bounds { ticks: 3, late: 0, notes: false, proposals: 1, ..Bounds::CALM })));
}

#[test]
#[ignore = "five minutes"]
fn all_of_it_further() {
    let quiet = Bounds { late: 0, notes: false, ..Bounds::CALM };
    holds(scene::vacant(None, Bounds { ticks: 2, crashes: 1, slow_disk: true, ..quiet }));
    holds(scene::rivalled(None, Bounds { ticks: 2, crashes: 1, proposals: 1, ..quiet }, ONE_EACH));
    holds(scene::rivalled(None, Bounds { ticks: 2, late: 0, crashes: 1, copies: 1, ..Bounds::CALM }, NONE));
    holds(by_all_clocks(scene::led(None, Bounds { ticks: 2, handovers: 1, ..Bounds::CALM }, NONE)));
    holds(by_all_clocks(scene::sole(None, Bounds { ticks: 3, late: 1, proposals: 1, ..quiet })));
    holds(scene::sole(None, Bounds { ticks: 3, proposals: 2, ..quiet }));
    holds(scene::decided(None, Bounds { ticks: 3, proposals: 1, ..quiet }));
    holds(scene::rivalled(None, Bounds { ticks: 2, proposals: 2, ..quiet }, REMOVAL));
    holds(scene::led(None, Bounds { ticks: 3, proposals: 2, ..quiet }, ONE_EACH));
    holds(by_all_clocks(scene::vacant(None, Bounds { ticks: 3, ..Bounds::CALM })));
}
