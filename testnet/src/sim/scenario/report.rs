//! What is printed of a scenario.

use super::conviction::Conviction;
use super::play::Outcome;
use super::spec::{Case, Scenario};
use super::verdict::{Row, judge};
use crate::sim::oracle::{Measures, Violation};
use crate::sim::time::{MINUTE, S};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of a scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    scenario: String,
    about: String,
    expectations: Vec<Row>,
    runs: Vec<RunRow>,
    convictions: Vec<Conviction>,
    sometimes: BTreeMap<String, u64>,
    wall_s: f64,
    peak_rss_mb: Option<f64>,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
struct RunRow {
    case: String,
    seed: u64,
    digest: String,
    same_digest_again: Option<bool>,
    virtual_minutes: f64,
    steps: u64,
    cpu_s: f64,
    formed_s: Option<f64>,
    missed: Option<String>,
    violated: u64,
    violations: Vec<Violation>,
    replay: String,
}

/// One run as it comes in.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    /// The place of its case in the scenario.
    pub(crate) case: usize,
    /// Its seed.
    pub(crate) seed: u64,
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// Whether a second run left the same digest, where there was one.
    pub(crate) same_again: Option<bool>,
    /// CPU time of the run.
    pub(crate) cpu_s: f64,
}

impl Report {
    /// Sums up all runs of a scenario.
    pub(crate) fn new(name: &str, scenario: &Scenario, finished: &[Finished], wall_s: f64) -> Self {
        let mut expectations = Vec::new();
        for (place, case) in scenario.cases.iter().enumerate() {
            let mut measures = Measures::default();
            let of_case = finished.iter().filter(|run| run.case == place);
            of_case.clone().for_each(|run| measures.merge(&run.outcome.measures));
            if of_case.count() > 0 {
                expectations.extend(judge(case, &measures));
            }
        }
        let mut sometimes: BTreeMap<String, u64> = BTreeMap::new();
        for (path, count) in finished.iter().flat_map(|run| &run.outcome.sometimes) {
            *sometimes.entry((*path).to_owned()).or_default() += count;
        }
        let runs = finished.iter().map(|run| RunRow::new(name, &scenario.cases[run.case], run)).collect();
        let (scenario, about) = (name.to_owned(), scenario.about.clone());
        let (convictions, peak_rss_mb) = (Vec::new(), peak_rss_mb());
        Self { scenario, about, expectations, runs, convictions, sometimes, wall_s, peak_rss_mb }
    }

    /// Adds what became of nodes that were built without a rule.
    pub(crate) fn convicting(self, convictions: Vec<Conviction>) -> Self {
        Self { convictions, ..self }
    }

    /// Whether everything is as it must be.
    pub(crate) fn holds(&self) -> bool {
        self.expectations.iter().all(|row| row.holds)
            && self.runs.iter().all(RunRow::holds)
            && self.convictions.iter().all(|conviction| conviction.seed.is_some())
    }

    /// For people.
    pub(crate) fn text(&self, with_paths: bool) -> String {
        let mut lines = vec![format!("{}: {}", self.scenario, self.about)];
        if !self.expectations.is_empty() {
            lines.push(self.table());
        }
        lines.extend(self.convictions.iter().map(Conviction::text));
        lines.extend(self.runs.iter().filter_map(RunRow::complaint));
        let (runs, violated) = (self.runs.len(), self.runs.iter().map(|run| run.violated).sum::<u64>());
        let minutes: f64 = self.runs.iter().map(|run| run.virtual_minutes).sum();
        let steps: u64 = self.runs.iter().map(|run| run.steps).sum();
        let cpu: f64 = self.runs.iter().map(|run| run.cpu_s).sum();
        let rss = self.peak_rss_mb.map_or_else(String::new, |mb| format!(", peak {mb:.0} MB resident"));
        lines.push(format!(
            "{runs} runs, {minutes:.0} virtual minutes, {:.1} million steps in {cpu:.1} s of CPU ({:.1} s of wall){rss}; \
             {violated} violations",
            steps as f64 / 1e6,
            self.wall_s
        ));
        for run in self.runs.iter().filter(|run| run.same_digest_again.is_some()) {
            let same = if run.same_digest_again == Some(true) { "the same" } else { "ANOTHER" };
            lines.push(format!("seed {} left digest {}, and {same} in a second run", run.seed, run.digest));
        }
        if with_paths {
            lines.extend(self.sometimes.iter().map(|(path, count)| format!("{count:>9}  {path}")));
        }
        lines.join("\n")
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["CASE", "MEASURE", "AT MOST", "IS", "FROM", ""]);
        for row in &self.expectations {
            let value = row.value.map_or_else(|| "nothing".to_owned(), number);
            let verdict = if row.holds { "ok" } else { "MISSED" };
            table.add_row([&row.case, row.measure, &number(row.at_most), &value, &row.behind, verdict]);
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

impl RunRow {
    fn new(scenario: &str, case: &Case, run: &Finished) -> Self {
        let Finished { seed, outcome, same_again, cpu_s, .. } = run;
        Self {
            case: case.name.clone(),
            seed: *seed,
            digest: outcome.digest.clone(),
            same_digest_again: *same_again,
            virtual_minutes: outcome.virtual_us as f64 / MINUTE as f64,
            steps: outcome.steps,
            cpu_s: *cpu_s,
            formed_s: outcome.formed_us.map(|formed| formed as f64 / S as f64),
            missed: outcome.missed.clone(),
            violated: outcome.violated,
            violations: outcome.violations.clone(),
            replay: format!("hedgerow-testnet sim run {scenario} --case {} --seed {seed} --seeds 1", case.name),
        }
    }

    fn holds(&self) -> bool {
        self.violated == 0 && self.missed.is_none() && self.same_digest_again != Some(false)
    }

    /// What was broken or not reached, and how to see it again.
    fn complaint(&self) -> Option<String> {
        if self.violated == 0 && self.missed.is_none() {
            return None;
        }
        let missed = self.missed.iter().map(|missed| format!("  not reached: {missed}"));
        let first = self.violations.iter().take(3).map(|violation| format!("  {violation}"));
        let lines: Vec<String> = missed.chain(first).collect();
        let Self { case, seed, violated, replay, .. } = self;
        Some(format!("{case}, seed {seed}: {violated} violations\n{}\n  again: {replay}", lines.join("\n")))
    }
}

fn number(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e9 { format!("{value:.0}") } else { format!("{value:.3}") }
}

/// The most memory that this process had, as Linux counts it.
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
