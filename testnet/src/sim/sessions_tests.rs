//! Small meshes whose placements change all the time: what is promised holds, and without one of the rules it does not.

use super::super::geography::Spread;
use super::super::scenario::{Case, Fault, FaultKind, MeshSpec, Outcome, Preset, WeatherSpec, Who, play};
use super::super::time::{MINUTE, Micros, S};
use super::*;
use crate::sim::bugs::Planted;
use crate::sim::parcel::WireMode;
use hedgerow_protocol::defect::{Defect, Sound};

/// Two cells of four; now and then a node is cut off for so long that its groups move.
fn case() -> Case {
    let fault = |kind, every: Micros, span: Micros| Fault {
        kind,
        who: Who::One,
        at: S,
        every: Some(every),
        span: Some(span),
        up_to: None,
        ppm: 0,
    };
    Case {
        name: "sessions".to_owned(),
        seeds: 1,
        span: 2 * MINUTE,
        settle: 0,
        calm: Some(MINUTE),
        wire: WireMode::Struct,
        preset: Preset::Local,
        metered: false,
        disks: true,
        twice: false,
        talkers: 0,
        clients: 1,
        division: None,
        mesh: MeshSpec { regions: 2, nodes: 4, joiners: 0, spread: Spread::Region },
        weather: WeatherSpec::default(),
        steps: Vec::new(),
        convicts: BTreeMap::new(),
        faults: vec![fault(FaultKind::Policy, 12 * S, S), fault(FaultKind::Isolate, 40 * S, 50 * S)],
        expectations: Vec::new(),
    }
}

fn played<D: Defects>(seed: u64, defects: D) -> Outcome {
    let case = case();
    play(Arc::new(MeshPlan::new(&case.mesh.regions())), &case, seed, defects)
}

#[test]
fn sessions_move_and_lose_nothing() {
    let outcome = played(1, Sound);
    assert_eq!(outcome.violations, []);
    assert!(outcome.sometimes["a read was judged"] > 0, "{:?}", outcome.sometimes);
    assert!(outcome.sometimes["a replica dropped what it had handed over"] > 0, "{:?}", outcome.sometimes);
    assert_eq!(played(1, Sound).digest, outcome.digest, "a seed gives the same again");
}

/// A retirement that forces takes longer to be missed: `sim bugs` waits for it.
#[test]
fn what_is_read_and_what_is_taken_is_missed_when_its_rule_is_left_out() {
    let broken = |defect| (1..=4).find_map(|seed| Some(played(seed, Planted(defect)).violations.first()?.invariant));
    let found = [Defect::TransitionReadsNewOnly, Defect::TighteningWaits].map(broken);
    assert_eq!(found, [Invariant::ReadsMissNothing, Invariant::ConstraintsHold].map(Some));
}
