//! What the simulator says of a testnet of processes on one machine, to stand beside what such a testnet shows.

use super::geography::Spread;
use super::mesh::MeshPlan;
use super::oracle::{Samples, Violation};
use super::parcel::WireMode;
use super::scenario::{Case, Fault, FaultKind, MeshSpec, Preset, WeatherSpec, Who, play};
use super::time::{MINUTE, Micros, S};
use hedgerow_protocol::defect::Sound;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why the simulation says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// A promise was broken; its seed plays it again.
    #[error("simulate the crashes with seed {seed}: {first}")]
    Violated {
        /// The seed.
        seed: u64,
        /// What was broken first.
        first: Violation,
    },
    /// Not every crash was known everywhere before its node came back.
    #[error("simulate the crashes with seed {seed}: {known} of {crashes} were known before the node was back")]
    Unknown {
        /// The seed.
        seed: u64,
        /// Crashes that were known.
        known: usize,
        /// Crashes that there were.
        crashes: u32,
    },
}

/// From each crash of one node in a cell on one machine until the last running one saw it down.
pub(crate) fn local_crashes(nodes: u32, crashes: u32, seed: u64) -> Result<Samples, LocalError> {
    let case = case(nodes, crashes);
    let outcome = play(Arc::new(MeshPlan::new(&case.mesh.regions())), &case, seed, Sound);
    if let Some(first) = outcome.violations.into_iter().next() {
        return Err(LocalError::Violated { seed, first });
    }
    let known = outcome.measures.crash_known;
    if known.len() != crashes as usize {
        return Err(LocalError::Unknown { seed, known: known.len(), crashes });
    }
    Ok(known)
}

/// One crash after the other: each node is back and seen before the next one goes.
fn case(nodes: u32, crashes: u32) -> Case {
    let crash = |number: u32| Fault {
        kind: FaultKind::Crash,
        who: Who::One,
        // The odd milliseconds keep crashes from always meeting the nodes' periods at the same point.
        at: 5 * S + Micros::from(number) * (BETWEEN + 137_000),
        every: None,
        span: Some(OUTAGE),
        up_to: None,
        ppm: 0,
    };
    Case {
        name: "local".to_owned(),
        seeds: 1,
        span: 5 * S + Micros::from(crashes) * (BETWEEN + S),
        settle: MINUTE,
        calm: None,
        wire: WireMode::Struct,
        preset: Preset::Local,
        metered: false,
        disks: true,
        twice: false,
        division: None,
        talkers: 0,
        clients: 0,
        mesh: MeshSpec { regions: 1, nodes, joiners: 0, spread: Spread::None },
        // Packets of one machine are not lost; processes that wait for a processor are the jitter.
        weather: WeatherSpec { jitter_ms: 1, ..WeatherSpec::default() },
        faults: (0..crashes).map(crash).collect(),
        steps: Vec::new(),
        convicts: BTreeMap::new(),
        expectations: Vec::new(),
    }
}

/// Well above the time in which a crash is known.
const OUTAGE: Micros = 15 * S;

/// Leaves as much again for the return to be seen.
const BETWEEN: Micros = 30 * S;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crash_is_measured_and_a_seed_gives_the_same_figures_again() {
        let known = local_crashes(5, 3, 1).expect("no promise is broken");
        assert_eq!(known.len(), 3);
        let (least, most) = (known.percentile(0).unwrap(), known.percentile(100).unwrap());
        assert!(S / 2 <= least && most < OUTAGE, "{known:?}");
        assert_eq!(local_crashes(5, 3, 1).expect("the same again"), known);
    }
}
