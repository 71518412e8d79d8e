//! `hedgerow-testnet sim …`: what may be typed, and what is done.

use super::scenario::{Case, Finished, Report, Scenario, convict, load, names, play};
use super::{bugs, placement, shrink, swarm};
use crate::arguments::Format;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use hedgerow_protocol::defect::Sound;
use rustix::time::{ClockId, clock_gettime};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::mesh::MeshPlan;

/// Whole meshes in virtual time.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Play a scenario and compare what is measured with what it expects
    Run(RunArguments),
    /// List the scenarios that come with the program
    List,
    /// Play scenarios that are made up, until so many cell-hours have passed without a violation
    Swarm(swarm::SwarmArguments),
    /// Plant every known defect and demand that it is found
    Bugs(bugs::BugsArguments),
}

/// `sim run`
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArguments {
    /// A name that `sim list` prints, or a TOML file
    pub(crate) scenario: String,
    /// Only this case of it
    #[arg(long)]
    pub(crate) case: Option<String>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many seeds, instead of the number that each case names
    #[arg(long)]
    pub(crate) seeds: Option<u64>,
    /// Nodes in all, instead of the number that each case names
    #[arg(long)]
    pub(crate) nodes: Option<u32>,
    /// Virtual minutes after the mesh has formed, instead of the time that each case names
    #[arg(long)]
    pub(crate) minutes: Option<u64>,
    /// Runs at a time [default: one per processor; one where a case asks for two equal digests]
    #[arg(long)]
    pub(crate) jobs: Option<usize>,
    /// When a run violates something, look for the fewest faults that still do
    #[arg(long)]
    pub(crate) shrink: bool,
    /// How the report is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Also print every path that is taken only sometimes, and how often it was
    #[arg(long)]
    pub(crate) paths: bool,
    /// Write the report as JSON to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// What a command has to say, and whether everything is as it must be.
#[derive(Debug)]
pub(crate) struct Said {
    /// For standard output.
    pub(crate) text: String,
    /// Otherwise the program ends with 1.
    pub(crate) holds: bool,
}

/// Does what was typed.
pub(crate) fn run(command: SimCommand) -> anyhow::Result<Said> {
    match command {
        SimCommand::Run(arguments) if arguments.scenario == placement::NAME => placement::run(&arguments),
        SimCommand::Run(arguments) => run_scenario(&arguments),
        SimCommand::List => list(),
        SimCommand::Swarm(arguments) => swarm::swarm(&arguments),
        SimCommand::Bugs(arguments) => bugs::bugs(&arguments),
    }
}

fn list() -> anyhow::Result<Said> {
    let line = |name: &str| anyhow::Ok(format!("{name:<12}{}", load(name)?.about));
    let mut lines = names().map(line).collect::<Result<Vec<_>, _>>()?;
    lines.push(format!("{:<12}{}", placement::NAME, placement::ABOUT));
    Ok(Said { text: lines.join("\n"), holds: true })
}

fn run_scenario(arguments: &RunArguments) -> anyhow::Result<Said> {
    let scenario = chosen(arguments)?;
    let started = std::time::Instant::now();
    let mut jobs = Vec::new();
    for (place, case) in scenario.cases.iter().enumerate() {
        let seeds = arguments.seeds.unwrap_or(case.seeds);
        jobs.extend((arguments.seed..arguments.seed + seeds).map(|seed| (place, seed)));
    }
    let twice = scenario.cases.iter().any(|case| case.twice);
    let threads = arguments.jobs.unwrap_or_else(|| if twice { 1 } else { processors() });
    let plans: Vec<Arc<MeshPlan>> =
        scenario.cases.iter().map(|case| Arc::new(MeshPlan::new(&case.mesh.regions()))).collect();
    let finished = in_parallel(&jobs, threads, |(place, seed)| {
        let case = &scenario.cases[*place];
        let before = cpu_seconds();
        let outcome = play(Arc::clone(&plans[*place]), case, *seed, Sound);
        let cpu_s = cpu_seconds() - before;
        let again = case.twice.then(|| play(Arc::clone(&plans[*place]), case, *seed, Sound).digest);
        let same_again = again.map(|digest| digest == outcome.digest);
        Finished { case: *place, seed: *seed, outcome, same_again, cpu_s }
    });
    let trials: Vec<_> = (0..).zip(&scenario.cases).flat_map(|(place, case)| case.trials(place)).collect();
    let convictions = in_parallel(&trials, threads, |(place, planted, breaks)| {
        let case: &Case = &scenario.cases[*place];
        let seeds = arguments.seed..arguments.seed + arguments.seeds.unwrap_or(case.seeds);
        convict(&plans[*place], case, seeds, *planted, *breaks)
    });
    let report =
        Report::new(&arguments.scenario, &scenario, &finished, started.elapsed().as_secs_f64()).convicting(convictions);
    let mut text = printed(arguments, &report, || report.text(arguments.paths))?;
    if arguments.shrink
        && let Some(run) = finished.iter().find(|run| run.outcome.violated > 0)
    {
        let smaller = shrink::shrink(&scenario.cases[run.case], run.seed, Sound);
        text = format!("{text}\n{smaller}");
    }
    Ok(Said { text, holds: report.holds() })
}

/// A report as it was asked for; it is written to a file too where one is named.
pub(super) fn printed(
    arguments: &RunArguments,
    report: &impl serde::Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<String> {
    let json = serde_json::to_string_pretty(report)?;
    if let Some(path) = &arguments.report {
        std::fs::write(path, &json).with_context(|| format!("write the report to {}", path.display()))?;
    }
    Ok(match arguments.output {
        Format::Table => text(),
        Format::Json => json,
    })
}

/// The scenario with what the arguments change in it.
fn chosen(arguments: &RunArguments) -> anyhow::Result<Scenario> {
    let mut scenario = load(&arguments.scenario)?;
    if let Some(name) = &arguments.case {
        scenario.cases.retain(|case| case.name == *name);
        if scenario.cases.is_empty() {
            bail!("scenario {} has no case {name:?}", arguments.scenario);
        }
    }
    for case in &mut scenario.cases {
        change(case, arguments)?;
    }
    Ok(scenario)
}

fn change(case: &mut Case, arguments: &RunArguments) -> anyhow::Result<()> {
    if let Some(nodes) = arguments.nodes {
        case.mesh = case.mesh.with_nodes(nodes).with_context(|| {
            format!("case {}: {nodes} nodes do not fill cells of {} nodes", case.name, case.mesh.nodes)
        })?;
    }
    if let Some(minutes) = arguments.minutes {
        case.span = minutes * super::time::MINUTE;
    }
    Ok(())
}

/// Does all jobs on so many threads; results are in the order of the jobs.
pub(crate) fn in_parallel<J: Sync, R: Send>(jobs: &[J], threads: usize, work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let (tx, rx) = mpsc::sync_channel(jobs.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            let (tx, next, work) = (tx.clone(), &next, &work);
            scope.spawn(move || {
                while let Some((at, job)) = next_job(jobs, next) {
                    tx.send((at, work(job))).expect("the channel has room for every result");
                }
            });
        }
    });
    drop(tx);
    let mut results: Vec<(usize, R)> = rx.into_iter().collect();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn next_job<'a, J>(jobs: &'a [J], next: &AtomicUsize) -> Option<(usize, &'a J)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(at).map(|job| (at, job))
}

/// Processors that this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// CPU time of the calling thread.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
