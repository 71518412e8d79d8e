//! Runs the node cases of the ONNX backend test suite the way any model runs: lowered, packed,
//! opened, loaded, answered.
//!
//! ```text
//! cargo run -p hedgerow-inference --example conformance -- DIR [--json FILE] [--docs FILE] [--floors FILE]
//! ```
//!
//! `DIR` is what `inference/conformance/suite.py` or `learning.py` wrote. A case passes when every output has the
//! expected type, extents and elements; it is refused when lowering or loading says so by name;
//! everything else fails. The exit status is 1 when a case fails or a floor of
//! `inference/conformance/floors.json`, or of the file named, is missed.

#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

mod compare;
mod outcome;
mod report;

use std::{env, fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use outcome::Floors;
use report::Report;

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("the folder that suite.py wrote is missing")?);
    let (mut json, mut docs, mut floors) = (None, None, None);
    while let Some(option) = arguments.next() {
        let file = arguments.next().with_context(|| format!("{option} needs a file"))?;
        match option.as_str() {
            "--json" => json = Some(file),
            "--docs" => docs = Some(file),
            "--floors" => floors = Some(PathBuf::from(file)),
            other => anyhow::bail!("unknown option {other}"),
        }
    }
    let usual = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance").join("floors.json");
    let floors: Floors = serde_json::from_slice(&fs::read(floors.unwrap_or_else(usual))?)?;
    // A kernel that panics is a failure of its case; the message would only be noise between rows.
    std::panic::set_hook(Box::new(|_| {}));
    let report = Report::new(outcome::run_all(&folder, &floors)?, &folder)?;
    print!("{}", report.text());
    if let Some(file) = json {
        fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(file) = docs {
        fs::write(file, report.markdown())?;
    }
    let missed = report.missed(&floors);
    for complaint in &missed {
        println!("{complaint}");
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
