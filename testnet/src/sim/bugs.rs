//! Planted bugs: a simulation that finds nothing proves nothing until it has found what is known to be there.

use super::command::{Said, in_parallel, processors};
use super::oracle::Violation;
use super::swarm::played;
use crate::arguments::Format;
use anyhow::bail;
use clap::Args;
use comfy_table::{Table, presets};
use hedgerow_protocol::defect::{Defect, Defects};
use serde::{Deserialize, Deserializer, Serialize};

/// `sim bugs`
#[derive(Clone, Debug, Args)]
pub(crate) struct BugsArguments {
    /// Seeds within which every defect has to be found
    #[arg(long, default_value_t = 200)]
    pub(crate) seeds: u64,
    /// Only this defect, as the table names it
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Runs at a time [default: one per processor]
    #[arg(long)]
    pub(crate) jobs: Option<usize>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// The one defect with which all nodes of a run are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Planted(pub(crate) Defect);

impl Defects for Planted {
    fn has(self, defect: Defect) -> bool {
        self.0 == defect
    }
}

impl<'de> Deserialize<'de> for Planted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let defect = Defect::ALL.into_iter().find(|defect| format!("{defect:?}") == name);
        defect.map(Self).ok_or_else(|| serde::de::Error::custom(format!("no defect is called {name}")))
    }
}

/// What became of one defect.
#[derive(Debug, Clone, Serialize)]
struct Catch {
    defect: String,
    seed: Option<u64>,
    caught_by: Option<Violation>,
}

/// Plants every defect in turn.
pub(crate) fn bugs(arguments: &BugsArguments) -> anyhow::Result<Said> {
    let name = |defect: &Defect| format!("{defect:?}");
    let chosen = |defect: &&Defect| arguments.only.as_ref().is_none_or(|only| *only == name(defect));
    let all = || Defect::ALL.iter().chain(&Defect::OF_TRANSITIONS);
    let defects: Vec<Defect> = all().filter(chosen).copied().collect();
    if defects.is_empty() {
        bail!("no such defect; they are {}", all().map(name).collect::<Vec<_>>().join(", "));
    }
    let jobs = arguments.jobs.unwrap_or_else(processors);
    let catches = in_parallel(&defects, jobs, |defect| hunt(*defect, arguments.seeds));
    let escaped = catches.iter().filter(|catch| catch.seed.is_none()).count();
    let text = match arguments.output {
        Format::Table => table(&catches, arguments.seeds),
        Format::Json => serde_json::to_string_pretty(&catches)?,
    };
    Ok(Said { text, holds: escaped == 0 })
}

fn hunt(defect: Defect, seeds: u64) -> Catch {
    let mut catch = Catch { defect: format!("{defect:?}"), seed: None, caught_by: None };
    for seed in 1..=seeds {
        let (_, _, outcome) = played(seed, Planted(defect));
        if let Some(first) = outcome.violations.into_iter().next() {
            catch.seed = Some(seed);
            catch.caught_by = Some(first);
            break;
        }
    }
    catch
}

fn table(catches: &[Catch], seeds: u64) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["DEFECT", "FOUND WITH SEED", "BY", "HOW"]);
    for catch in catches {
        let seed = catch.seed.map_or_else(|| format!("none of {seeds}"), |seed| seed.to_string());
        let by = catch.caught_by.as_ref().map(|violation| format!("{:?}", violation.invariant)).unwrap_or_default();
        let how = catch.caught_by.as_ref().map(|violation| violation.what.as_str()).unwrap_or_default();
        table.add_row([&catch.defect, &seed, &by, how]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
