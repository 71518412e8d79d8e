//! The directed cases that come with the program, and what directed cases do when they are not reached.

use super::conviction::convict;
use super::library::load;
use super::play::{Outcome, play};
use super::spec::{Case, Scenario};
use crate::sim::mesh::MeshPlan;
use crate::sim::oracle::Invariant;
use hedgerow_protocol::defect::Sound;
use std::sync::Arc;

/// A mesh of a hundred has no steps, and takes longer than all others together.
fn directed() -> Vec<Case> {
    let cases = load("review").expect("it comes with the program").cases;
    cases.into_iter().filter(|case| !case.steps.is_empty()).collect()
}

fn plan(case: &Case) -> Arc<MeshPlan> {
    Arc::new(MeshPlan::new(&case.mesh.regions()))
}

#[test]
fn every_sequence_is_reached_and_breaks_nothing() {
    for case in directed() {
        let outcome = play(plan(&case), &case, 1, Sound);
        assert_eq!((outcome.missed, outcome.violations), (None, Vec::new()), "{}", case.name);
    }
}

#[test]
fn without_its_rule_a_sequence_breaks_the_promise_that_it_names() {
    let cases = directed();
    let trials: Vec<_> = (0..).zip(&cases).flat_map(|(place, case)| case.trials(place)).collect();
    assert!(trials.len() >= 12, "most sequences were found as faults of a naive rule");
    for (place, planted, breaks) in trials {
        let case = &cases[place];
        let conviction = convict(&plan(case), case, 1..1 + case.seeds, planted, breaks);
        assert!(conviction.seed.is_some(), "{}", conviction.text());
    }
}

#[test]
fn steps_can_be_written_down_and_played_again() {
    for case in directed() {
        let text = toml::to_string(&case).expect("a case is a table");
        let again: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(format!("{:?}", again.steps), format!("{:?}", case.steps));
    }
}

/// Outside of what the protocol promises to survive; what is shown is that it would be seen.
#[test]
fn a_folder_that_is_restored_makes_its_voter_forget_what_it_granted() {
    let steps = "{ cast = { A = 'holder', B = 'voter' } }, { copy-disk = 'B' }, 'mark', { crash = 'A' },
         { until = { promised = 'B' } }, { start = 'A' }, { stop = 'B' }, { wait = '1s' },
         { restore-disk = 'B' }, { start = 'B' }, { wait = '5s' }";
    let outcomes: Vec<Outcome> = (1..=8).map(|seed| played_with(steps, seed)).collect();
    assert!(outcomes.iter().all(|outcome| outcome.missed.is_none()), "{outcomes:?}");
    // Whether it is asked under an earlier term than it granted before depends on who campaigns first.
    let broken = |outcome: &Outcome| {
        outcome.violations.iter().any(|violation| violation.invariant == Invariant::GrantsGoForward)
    };
    assert!(outcomes.iter().any(broken), "{outcomes:?}");
}

fn missed(steps: &str) -> Option<String> {
    played(steps).missed
}

/// What a mesh of three makes of these steps.
fn played(steps: &str) -> Outcome {
    played_with(steps, 1)
}

fn played_with(steps: &str, seed: u64) -> Outcome {
    let text = format!(
        "about = 'x'\n[[case]]\nname = 'x'\nfor = '0s'\nsettle = '20s'\nmesh = {{ nodes = 3 }}\nsteps = [{steps}]"
    );
    let scenario: Scenario = toml::from_str(&text).expect("a scenario");
    let [case] = scenario.cases.as_slice() else { panic!("one case") };
    play(plan(case), case, seed, Sound)
}

#[test]
fn a_sequence_that_is_not_reached_says_where_it_ended() {
    let cast = "{ cast = { A = 'holder', B = 'voter' } }";
    let reached = "{ until = { leads = 'A', voters = 3 } }, { never = { leads = 'B', within = '2s' } }";
    assert_eq!(missed(&format!("{cast}, {reached}")), None);
    let stays = missed(&format!("{cast}, {{ until = {{ leads = 'B', within = '2s' }} }}")).unwrap();
    assert_eq!(stays, "step 2 of 2: not so: { leads = \"B\", within = \"2000000us\" } after 2 s");
    let becomes = missed(&format!("{cast}, {{ crash = 'A' }}, {{ never = {{ leads = 'nobody' }} }}")).unwrap();
    assert!(becomes.starts_with("step 3 of 3: became so: "), "{becomes}");
    assert_eq!(missed("{ crash = 'Q' }"), Some("step 1 of 1: nobody is called Q".to_owned()));
    assert_eq!(missed("{ cast = { J = 'joiner' } }"), Some("step 1 of 1: nobody can be J".to_owned()));
    let running = missed(&format!("{cast}, {{ start = 'B' }}")).unwrap();
    assert_eq!(running, "step 2 of 2: B runs already, or does not run");
    let bare = missed(&format!("{cast}, {{ crash = 'B' }}, {{ restore-disk = 'B' }}")).unwrap();
    assert_eq!(bare, "step 3 of 3: there is no copy of the disk of B");
}
