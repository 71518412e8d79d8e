//! Counting outcomes by class and operator, for people and for programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::outcome::{Floors, Outcome, Verdict};

/// All outcomes and their sums.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) all: Tally,
    pub(crate) classes: BTreeMap<String, Tally>,
    pub(crate) operators: BTreeMap<String, Tally>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Version of onnxruntime whose results stand beside ours.
    pub(crate) onnxruntime: Option<String>,
}

/// Counts of one group.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) cases: usize,
    pub(crate) passed: usize,
    pub(crate) refused: usize,
    pub(crate) failed: usize,
    /// Passed by onnxruntime.
    pub(crate) onnxruntime: usize,
    /// Largest error of the passing cases.
    pub(crate) ulp: f64,
}

/// `onnxruntime.json`.
#[derive(Default, Deserialize)]
struct Other {
    version: Option<String>,
    passed: BTreeSet<String>,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome, other: &Other) {
        self.cases += 1;
        self.onnxruntime += usize::from(other.passed.contains(&outcome.name));
        match &outcome.verdict {
            Verdict::Passed(ulp) => {
                self.passed += 1;
                self.ulp = self.ulp.max(*ulp);
            }
            Verdict::Refused(_) => self.refused += 1,
            Verdict::Failed(_) => self.failed += 1,
        }
    }
}

impl Report {
    /// Reads what onnxruntime passed, where that was recorded.
    pub(crate) fn new(outcomes: Vec<Outcome>, folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("onnxruntime.json");
        let other: Other = if file.exists() { serde_json::from_slice(&fs::read(file)?)? } else { Other::default() };
        let mut report = Self {
            all: Tally::default(),
            classes: BTreeMap::new(),
            operators: BTreeMap::new(),
            outcomes: Vec::new(),
            onnxruntime: other.version.clone(),
        };
        for outcome in &outcomes {
            report.all.add(outcome, &other);
            report.classes.entry(outcome.class.clone()).or_default().add(outcome, &other);
            report.operators.entry(outcome.operator.clone()).or_default().add(outcome, &other);
        }
        report.outcomes = outcomes;
        Ok(report)
    }

    /// Tables for a terminal, with every case that failed.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (title, group) in [("operator", &self.operators), ("class", &self.classes)] {
            text.push_str(&format!("{title:28} cases passed refused failed    ort        ulp\n"));
            for (name, tally) in group {
                text.push_str(&format!("{}\n", row(name, tally)));
            }
        }
        text.push_str(&format!("{}\n", row("all", &self.all)));
        for Outcome { name, verdict, .. } in &self.outcomes {
            if let Verdict::Failed(wrong) = verdict {
                text.push_str(&format!("failed {name}: {wrong}\n"));
            }
        }
        let full = self.operators.values().filter(|tally| tally.passed == tally.cases).count();
        text.push_str(&format!("operators whose every case passes: {full} of {}\n", self.operators.len()));
        text
    }

    /// The page of `docs`.
    pub(crate) fn markdown(&self) -> String {
        let version = self.onnxruntime.as_deref().unwrap_or("not measured");
        let mut text = format!(
            "# Operators\n\n\
             Written by `inference/conformance/run`; not to be edited. Every case of the node suite of the ONNX backend\n\
             tests was run from its ONNX file to its answer. *Refused* cases are refused by name when a model is pushed.\n\
             The error is the largest over passing cases, in units in the last place of the output's type, against the\n\
             suite's own expectation, which is itself rounded; of `BF16` two units are let pass, of all other types what the suite\n\
             allows. Beside stands what onnxruntime {version} passes by the same rule.\n\n",
        );
        for (title, group) in [("Class", &self.classes), ("Operator", &self.operators)] {
            text.push_str(&format!("| {title} | cases | passed | refused | failed | onnxruntime | error |\n"));
            text.push_str("|---|---|---|---|---|---|---|\n");
            for (name, tally) in group {
                text.push_str(&line(name, tally));
            }
            if title == "Class" {
                text.push_str(&line("all", &self.all));
                text.push('\n');
            }
        }
        text
    }

    /// What keeps this report from being good enough.
    pub(crate) fn missed(&self, floors: &Floors) -> Vec<String> {
        let mut missed = Vec::new();
        if self.all.failed > 0 {
            missed.push(format!("{} cases fail", self.all.failed));
        }
        for (class, floor) in &floors.passed {
            let passed =
                if class == "all" { self.all.passed } else { self.classes.get(class).map_or(0, |tally| tally.passed) };
            if passed < *floor {
                missed.push(format!("{class}: {passed} cases pass, at least {floor} must"));
            }
        }
        if floors.loose.len() > LOOSE_MAX {
            missed.push(format!("{} cases are measured loosely, at most {LOOSE_MAX} may be", floors.loose.len()));
        }
        let known: BTreeSet<_> = self.outcomes.iter().map(|outcome| &outcome.name).collect();
        missed
            .extend(floors.loose.keys().filter(|name| !known.contains(name)).map(|name| format!("{name} is no case")));
        missed
    }
}

const LOOSE_MAX: usize = 20;

fn row(name: &str, tally: &Tally) -> String {
    let Tally { cases, passed, refused, failed, onnxruntime, ulp } = tally;
    format!("{name:28} {cases:5} {passed:6} {refused:7} {failed:6} {onnxruntime:6} {ulp:10}")
}

fn line(name: &str, tally: &Tally) -> String {
    let Tally { cases, passed, refused, failed, onnxruntime, ulp } = tally;
    format!("| {name} | {cases} | {passed} | {refused} | {failed} | {onnxruntime} | {ulp} |\n")
}
