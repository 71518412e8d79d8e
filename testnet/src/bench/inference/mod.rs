//! `bench inference`: whole models on this project's executor beside onnxruntime, in time and in memory.
//!
//! Scripts in `inference/conformance/whole` make the models and hold onnxruntime; `inference/examples/whole` holds ours.
//! Each engine has a process of its own for each model and number of threads, bound to the same cores, and answers one
//! measurement at a time: the engines take turns, in an order drawn anew each round.

mod cores;
mod measured;
mod memory;
mod processes;
mod report;
mod setting;
mod speed;

use clap::Args;
use jiff::Timestamp;

use crate::arguments::Format;
use report::Report;
use setting::Setting;

/// `bench inference`
#[derive(Clone, Debug, Args)]
pub(crate) struct InferenceArguments {
    /// Only this model, as the table names it; may be given several times
    #[arg(long, value_name = "MODEL")]
    only: Vec<String>,
    /// Numbers of threads that an engine may have
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_name = "N,...")]
    threads: Vec<usize>,
    /// Times that each engine is measured
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Three rounds, to see whether it works
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Draws the order of the engines [default: from the clock; it is printed]
    #[arg(long)]
    seed: Option<u64>,
    /// A Python that has what inference/conformance/requirements.txt names [default: one is made and thrown away]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<std::path::PathBuf>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// Measures, and returns what is to be printed and whether every answer was right.
pub(super) async fn bench(arguments: InferenceArguments) -> anyhow::Result<(String, bool)> {
    let rounds = if arguments.quick { 3 } else { arguments.rounds };
    let seed = arguments.seed.unwrap_or_else(|| Timestamp::now().as_microsecond().unsigned_abs());
    let setting = Setting::prepare(&arguments.only, arguments.python).await?;
    let mut report = Report::new(seed, rounds, setting.verdicts())?;
    let models: Vec<_> = setting.verdicts().filter(|verdict| verdict.refused.is_none()).map(|one| &one.name).collect();
    for threads in &arguments.threads {
        let bound = cores::last(*threads)?;
        for model in &models {
            let measured = speed::measure(&setting, model, &bound, rounds, seed).await?;
            report.speed(model, &bound, measured);
        }
    }
    let bound = cores::last(1)?;
    for model in &models {
        report.memory.push(memory::measure(&setting, model, &bound).await?);
    }
    report.end()?;
    let text = match arguments.output {
        Format::Table => report.table(),
        Format::Json => serde_json::to_string_pretty(&report)?,
    };
    Ok((text, report.is_right()))
}
