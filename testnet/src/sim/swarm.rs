//! Scenarios that are made up: a random mesh, random weather, and a random choice of faults (swarm testing: Groce, Zhang,
//! Eide, Chen, Regehr, ISSTA 2012; leaving faults out at random finds more than always having all of them).

use super::command::{Said, in_parallel, processors};
use super::dice::{Dice, mix};
use super::geography::Spread;
use super::mesh::MeshPlan;
use super::oracle::Violation;
use super::parcel::WireMode;
use super::scenario::{Case, DivisionSpec, Fault, FaultKind, MeshSpec, Outcome, Preset, WeatherSpec, Who, play};
use super::time::{HOUR, MINUTE, MS, Micros, S};
use anyhow::Context as _;
use clap::Args;
use hedgerow_protocol::defect::{Defects, Sound};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// `sim swarm`
#[derive(Clone, Debug, Args)]
pub(crate) struct SwarmArguments {
    /// Cell-hours to play
    #[arg(long, default_value_t = 10.0)]
    pub(crate) cell_hours: f64,
    /// The first seed; with `--progress` the one after the last that was played
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep what was reached in this file, and go on from there
    #[arg(long, value_name = "FILE")]
    pub(crate) progress: Option<PathBuf>,
    /// Runs at a time [default: one per processor]
    #[arg(long)]
    pub(crate) jobs: Option<usize>,
    /// Play this one seed only, and print its scenario
    #[arg(long, value_name = "SEED", conflicts_with_all = ["progress", "cell_hours"])]
    pub(crate) only: Option<u64>,
}

/// What a swarm has reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    next_seed: u64,
    cell_hours: f64,
    runs: u64,
    violated: u64,
    failures: Vec<Failure>,
    sometimes: BTreeMap<String, u64>,
}

/// A run that broke a promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Failure {
    seed: u64,
    first: String,
}

/// Plays scenarios until enough time has passed without a violation.
pub(crate) fn swarm(arguments: &SwarmArguments) -> anyhow::Result<Said> {
    if let Some(seed) = arguments.only {
        return only(seed);
    }
    let mut progress = restore(arguments)?;
    let goal = progress.cell_hours + arguments.cell_hours;
    let jobs = arguments.jobs.unwrap_or_else(processors);
    while progress.cell_hours < goal && progress.failures.len() < FAILURES_MAX {
        let batch = (jobs as u64) * 4;
        let seeds: Vec<u64> = (progress.next_seed..progress.next_seed + batch).collect();
        for (seed, case, outcome) in in_parallel(&seeds, jobs, |seed| played(*seed, Sound)) {
            progress.add(seed, &case, &outcome);
        }
        progress.next_seed += batch;
        keep(arguments, &progress)?;
    }
    Ok(Said { text: progress.text(), holds: progress.violated == 0 })
}

/// Failures after which a swarm stops: more of them say no more.
const FAILURES_MAX: usize = 8;

fn only(seed: u64) -> anyhow::Result<Said> {
    let (_, case, outcome) = played(seed, Sound);
    let shown = toml::to_string(&case).context("print the scenario")?;
    let violations: Vec<String> = outcome.violations.iter().map(Violation::to_string).collect();
    let text =
        format!("{shown}\n# digest {}, {} violations\n{}", outcome.digest, outcome.violated, violations.join("\n"));
    Ok(Said { text, holds: outcome.violated == 0 })
}

/// The scenario of a seed, played.
pub(crate) fn played<D: Defects>(seed: u64, defects: D) -> (u64, Case, Outcome) {
    let case = make_up(seed);
    let plan = Arc::new(MeshPlan::new(&case.mesh.regions()));
    let outcome = play(plan, &case, seed, defects);
    (seed, case, outcome)
}

fn restore(arguments: &SwarmArguments) -> anyhow::Result<Progress> {
    let fresh = Progress { next_seed: arguments.seed, ..Progress::default() };
    match &arguments.progress {
        Some(path) if path.exists() => {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            serde_json::from_str(&text).with_context(|| format!("use the progress in {}", path.display()))
        }
        Some(_) | None => Ok(fresh),
    }
}

fn keep(arguments: &SwarmArguments, progress: &Progress) -> anyhow::Result<()> {
    let Some(path) = &arguments.progress else { return Ok(()) };
    let text = serde_json::to_string_pretty(progress)?;
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).with_context(|| format!("write {}", fresh.display()))?;
    std::fs::rename(&fresh, path).with_context(|| format!("replace {}", path.display()))
}

impl Progress {
    fn add(&mut self, seed: u64, case: &Case, outcome: &Outcome) {
        self.runs += 1;
        self.cell_hours += outcome.virtual_us as f64 / HOUR as f64 * f64::from(case.mesh.regions);
        self.violated += outcome.violated;
        if let Some(first) = outcome.violations.first() {
            self.failures.push(Failure { seed, first: first.to_string() });
        }
        for (path, count) in &outcome.sometimes {
            *self.sometimes.entry((*path).to_owned()).or_default() += count;
        }
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = self.sometimes.iter().map(|(path, count)| format!("{count:>9}  {path}")).collect();
        for Failure { seed, first } in &self.failures {
            lines.push(format!("seed {seed}: {first}\n  again: hedgerow-testnet sim swarm --only {seed}"));
        }
        let Self { cell_hours, runs, violated, .. } = self;
        lines.push(format!("{runs} made-up scenarios, {cell_hours:.1} cell-hours, {violated} violations"));
        lines.join("\n")
    }
}

/// The scenario that a seed stands for.
pub(crate) fn make_up(seed: u64) -> Case {
    let mut dice = ChaCha8Rng::seed_from_u64(mix(seed ^ SWARM_SALT));
    let nodes = [3, 4, 5, 5, 7, 7, 9, 12, 20, 30];
    let nodes = *dice.pick(&nodes).expect("the list is not empty");
    let regions = if nodes <= 7 && dice.chance(250_000) { 2 } else { 1 };
    let wire = if dice.chance(100_000) { WireMode::Bytes } else { WireMode::Struct };
    // A mesh that is disturbed while its cells still grow is another one than a mesh that has settled.
    let is_young = dice.chance(300_000);
    let first = if is_young { 4 * S } else { 30 * S };
    let mut faults: Vec<Fault> = Vec::new();
    for (kind, odds_ppm, often) in MENU {
        if dice.chance(*odds_ppm) {
            faults.push(fault(*kind, first, *often, &mut dice));
        }
    }
    let division = division(seed, nodes, &mut faults);
    lose_quorums(seed, &mut faults);
    let clients = u32::from(dice.chance(500_000));
    Case {
        name: format!("swarm-{seed}"),
        seeds: 1,
        span: dice.within((5 * MINUTE, 20 * MINUTE)),
        settle: if is_young { 0 } else { dice.within((0, 40 * S)) },
        wire,
        mesh: MeshSpec { regions, nodes, joiners: 0, spread: Spread::Region },
        weather: weather(wire, &mut dice),
        preset: Preset::Local,
        metered: false,
        disks: true,
        twice: false,
        division,
        talkers: 0,
        faults,
        steps: Vec::new(),
        convicts: BTreeMap::new(),
        expectations: Vec::new(),
        calm: Some(2 * MINUTE),
        clients,
    }
}

/// In every third scenario cells are split, and merged when many have left: the limits are such that the cells of the
/// scenario come beyond them.
fn division(seed: u64, nodes: u32, faults: &mut Vec<Fault>) -> Option<DivisionSpec> {
    let mut dice = ChaCha8Rng::seed_from_u64(mix(seed ^ DIVISION_SALT));
    if !dice.chance(333_333) {
        return None;
    }
    let share = *dice.pick(&[2, 3]).unwrap_or(&2);
    let split_above = (nodes as usize * share / 4).max(4);
    let split_after = dice.within((2 * S, MINUTE));
    let merge_after = dice.within((5 * S, 60 * S));
    for _ in 0..dice.below(4) {
        let at = dice.within((MINUTE, 4 * MINUTE));
        faults.push(Fault {
            kind: FaultKind::Leave,
            who: Who::Third,
            at,
            every: None,
            span: None,
            up_to: None,
            ppm: 0,
        });
    }
    Some(DivisionSpec { split_above, split_after, merge_below: split_above / 2, merge_after })
}

/// In every eighth scenario cells lose their quorum, and operators have them go on.
fn lose_quorums(seed: u64, faults: &mut Vec<Fault>) {
    let mut dice = ChaCha8Rng::seed_from_u64(mix(seed ^ RECOVERY_SALT));
    if dice.chance(125_000) {
        let fault = fault(FaultKind::LoseQuorum, 2 * MINUTE, 90 * S, &mut dice);
        faults.push(Fault { at: fault.at + 30 * S, ..fault });
    }
}

/// Keeps lost quorums apart from the rest of a scenario, which is the same with them and without.
const RECOVERY_SALT: u64 = 0x00ec_03e8;

/// Keeps the limits of cells apart from the rest of a scenario, which is the same with them and without.
const DIVISION_SALT: u64 = 0x0000_d171;

/// Keeps the stream that makes a scenario up apart from those that play it.
const SWARM_SALT: u64 = 0x0053_a24d;

/// Faults, in how many of a million scenarios each is, and the shortest mean time between two of a kind.
const MENU: &[(FaultKind, u32, Micros)] = &[
    (FaultKind::Crash, 700_000, 15 * S),
    (FaultKind::Restart, 300_000, 30 * S),
    (FaultKind::Partition, 300_000, 60 * S),
    (FaultKind::OneWay, 300_000, 60 * S),
    (FaultKind::Bridge, 200_000, 60 * S),
    (FaultKind::Isolate, 300_000, 40 * S),
    (FaultKind::FlappingLink, 200_000, 10 * S),
    (FaultKind::Pause, 400_000, 20 * S),
    (FaultKind::Suspend, 250_000, 30 * S),
    (FaultKind::Drift, 500_000, 60 * S),
    (FaultKind::Drain, 150_000, 120 * S),
    (FaultKind::SlowDisk, 300_000, 40 * S),
    (FaultKind::FullDisk, 250_000, 60 * S),
    (FaultKind::Leave, 150_000, 200 * S),
    (FaultKind::Jump, 150_000, 60 * S),
    (FaultKind::Congestion, 300_000, 20 * S),
    (FaultKind::Policy, 500_000, 3 * S),
];

fn fault(kind: FaultKind, first: Micros, often: Micros, dice: &mut ChaCha8Rng) -> Fault {
    let everybody = [Who::One, Who::One, Who::Holder, Who::Holder, Who::Third, Who::Most];
    let alone = [Who::One, Who::Holder];
    let who = match kind {
        FaultKind::Crash | FaultKind::Pause | FaultKind::Suspend => *dice.pick(&everybody).unwrap_or(&Who::One),
        FaultKind::Drift => Who::All,
        FaultKind::Restart
        | FaultKind::Partition
        | FaultKind::OneWay
        | FaultKind::Bridge
        | FaultKind::Isolate
        | FaultKind::FlappingLink
        | FaultKind::Drain
        | FaultKind::SlowDisk
        | FaultKind::FullDisk
        | FaultKind::FlashJoin
        | FaultKind::Jump
        | FaultKind::Congestion
        | FaultKind::Policy
        | FaultKind::LoseQuorum
        | FaultKind::Leave => *dice.pick(&alone).unwrap_or(&Who::One),
    };
    let (least, most) = match kind {
        FaultKind::Crash => (100 * MS, 20 * S),
        FaultKind::Pause | FaultKind::Suspend => (50 * MS, 8 * S),
        FaultKind::FlappingLink => (S, 5 * S),
        FaultKind::Restart | FaultKind::Drain => (500 * MS, 20 * S),
        FaultKind::Partition | FaultKind::OneWay | FaultKind::Bridge | FaultKind::Isolate => (2 * S, 90 * S),
        FaultKind::SlowDisk | FaultKind::FullDisk | FaultKind::Congestion => (5 * S, 60 * S),
        FaultKind::LoseQuorum => (20 * S, 100 * S),
        FaultKind::Drift | FaultKind::Leave | FaultKind::FlashJoin | FaultKind::Jump | FaultKind::Policy => (S, S),
    };
    Fault {
        kind,
        who,
        at: dice.below(first),
        every: Some(often + dice.below(often * 4)),
        span: Some(least),
        up_to: Some(most),
        // Within the bound of the election, which is one percent.
        ppm: 9_000,
    }
}

fn weather(wire: WireMode, dice: &mut ChaCha8Rng) -> WeatherSpec {
    let loss = [0.0, 0.0, 1.0, 5.0, 10.0, 20.0, 30.0];
    let rare = [0.0, 0.0, 1.0, 10.0];
    let jitter = [0, 3, 10, 40];
    let of = |list: &[f64], dice: &mut ChaCha8Rng| dice.pick(list).copied().unwrap_or_default();
    WeatherSpec {
        loss_percent: of(&loss, dice),
        duplicate_percent: of(&rare, dice),
        late_percent: of(&rare, dice),
        flip_percent: if wire == WireMode::Bytes { of(&rare, dice) } else { 0.0 },
        jitter_ms: dice.pick(&jitter).copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_scenario_can_be_written_down_and_played_again() {
        for seed in 1..40 {
            let case = make_up(seed);
            let text = toml::to_string(&case).unwrap();
            let again: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(format!("{case:?}"), format!("{again:?}"));
        }
    }
}
