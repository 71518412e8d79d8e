//! Each rule left out that concerns a cell: a property is broken where it holds for the machine as it is.

use super::check::{Check, ONE_HOLDER, ONE_VALUE, PROMISES, holds};
use super::scene;
use super::setting::{Bounds, Wish};
use crate::defect::Defect;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;

/// Explores everything with the rule, and without it until that property is broken.
fn convicts(defect: Defect, property: &'static str, scene: impl Fn(Option<Defect>) -> Check) {
    holds(scene(None));
    breaks(scene(Some(defect)), property);
}

fn breaks(check: Check, property: &'static str) {
    let defect = check.setting.planted;
    let found = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let done = check.checker().finish_when(found).spawn_bfs().join();
    println!("{defect:?}: {} states until {property:?} is broken", done.unique_state_count());
    let Some(path) = done.discovery(property) else { panic!("{defect:?} never breaks {property:?}") };
    path.into_actions().iter().for_each(|step| println!("    {step:?}"));
}

#[test]
fn a_voter_that_forgets_for_how_long_it_promised() {
    let bounds = Bounds { ticks: 1, late: 0, crashes: 1, ..Bounds::CALM };
    convicts(Defect::NoRestartWait, ONE_HOLDER, |defect| scene::rivalled(defect, bounds, [&[], &[]]));
}

#[test]
fn a_quorum_of_those_that_are_seen() {
    let bounds = Bounds { ticks: 1, late: 0, ..Bounds::CALM };
    convicts(Defect::QuorumOfOwnView, ONE_HOLDER, |defect| scene::vacant(defect, bounds));
}

#[test]
fn a_lease_that_counts_from_the_answer() {
    let bounds = Bounds { ticks: 2, ..Bounds::CALM };
    convicts(Defect::LeaseFromReceipt, ONE_HOLDER, |defect| scene::vacant(defect, bounds));
}

#[test]
fn a_promise_that_is_not_written_before_it_is_given() {
    let bounds = Bounds { ticks: 2, late: 0, notes: false, crashes: 1, ..Bounds::CALM };
    convicts(Defect::TermNotPersisted, PROMISES, |defect| scene::vacant(defect, bounds));
}

#[test]
fn voters_that_are_replaced() {
    let bounds = Bounds { ticks: 2, late: 0, proposals: 1, notes: false, ..Bounds::CALM };
    // As one change at a time, and as a core without the rule proposes it.
    let (one, many): (&'static [Wish], &'static [Wish]) = (&[Wish::Voters(&[0, 2])], &[Wish::Voters(&[0])]);
    convicts(Defect::VotersReplaced, ONE_HOLDER, |defect| {
        scene::rivalled(defect, bounds, [if defect.is_some() { many } else { one }, &[]])
    });
}

#[test]
fn a_holder_that_forgets_what_was_accepted() {
    let bounds = Bounds { ticks: 2, late: 0, proposals: 1, notes: false, ..Bounds::CALM };
    convicts(Defect::AcceptedNotReproposed, ONE_VALUE, |defect| scene::decided(defect, bounds));
}

#[test]
fn a_value_exchanged_in_the_middle_of_a_term() {
    let bounds = Bounds { ticks: 3, late: 0, notes: false, ..Bounds::CALM };
    holds(scene::half_accepted(None, bounds));
    breaks(scene::exchanged(Defect::AcceptedReplacedAtSameTerm, bounds), ONE_VALUE);
}

#[test]
fn a_voter_that_runs_ahead_of_the_register() {
    let bounds = Bounds { ticks: 2, late: 0, proposals: 1, notes: false, ..Bounds::CALM };
    convicts(Defect::NewVoterWithoutHead, ONE_VALUE, |defect| scene::ahead(defect, bounds));
}

#[test]
fn a_restart_taken_for_a_renewal() {
    let bounds = Bounds { ticks: 2, ..Bounds::CALM };
    convicts(Defect::RestartTakenForRenewal, ONE_HOLDER, |defect| scene::left(defect, bounds));
}

#[test]
fn a_grant_that_arrives_after_the_release() {
    let bounds = Bounds { ticks: 1, handovers: 1, ..Bounds::CALM };
    convicts(Defect::GrantAfterReleaseCounted, ONE_HOLDER, |defect| scene::led(defect, bounds, [&[], &[]]));
}
