//! One model in one process, measured on demand.
//!
//! Says a line of JSON when the model is loaded and one for each line that it reads: `run N` answers the case's first
//! request N times, `memory` says what the process takes. Ends with its standard input.

use std::{
    fs,
    io::{self, BufRead as _, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::{
    case::requests,
    model::{Loaded, stored},
};

/// What an allocator counts.
pub(crate) struct Heap {
    pub(crate) now_bytes: fn() -> usize,
    pub(crate) peak_bytes: fn() -> usize,
    /// Has the peak begin at what is allocated.
    pub(crate) forget_peak: fn(),
}

/// Serves until standard input ends.
pub(crate) fn serve(case: &Path, threads: usize, heap: Option<&Heap>) -> anyhow::Result<()> {
    let request = requests(case)?.into_iter().next().context("find a request")?;
    let before = [resident("VmRSS:")?, heap.map_or(0, |heap| (heap.now_bytes)())];
    let model = Loaded::new(&stored(&case.join("artifact"))?, threads).map_err(anyhow::Error::msg)?;
    fs::write("/proc/self/clear_refs", "5").context("forget the largest resident size so far")?;
    if let Some(heap) = heap {
        (heap.forget_peak)();
    }
    let planned = model.planned_bytes(&request).map_err(anyhow::Error::msg)?;
    say(&json!({ "weight_bytes": model.resident_bytes(), "planned_bytes": planned }))?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.split_once(' ') {
            Some(("run", times)) => {
                let inputs = (0..times.parse()?).map(|_| request.clone()).collect();
                run(&model, inputs)?
            }
            None if line == "memory" => json!({
                "resident_before_bytes": before[0],
                "resident_bytes": resident("VmRSS:")?,
                "resident_peak_bytes": resident("VmHWM:")?,
                "heap_before_bytes": heap.map(|_| before[1]),
                "heap_peak_bytes": heap.map(|heap| (heap.peak_bytes)()),
            }),
            _ => anyhow::bail!("understand {line:?}"),
        };
        say(&answer)?;
    }
    Ok(())
}

/// The median of the times, which one interruption does not move, and the mean of what all threads of the process used,
/// whose clock is not exact for a single run.
fn run(model: &Loaded, requests: Vec<Inputs>) -> anyhow::Result<Value> {
    let (count, mut times_s) = (requests.len().max(1), Vec::with_capacity(requests.len()));
    let cpu_s = cpu_seconds();
    for request in requests {
        let start = Instant::now();
        let outputs = model.run(request).map_err(anyhow::Error::msg)?;
        times_s.push(start.elapsed().as_secs_f64());
        drop(outputs);
    }
    let cpu_s = (cpu_seconds() - cpu_s) / count as f64;
    times_s.sort_by(f64::total_cmp);
    Ok(json!({ "wall_s": times_s.get(count / 2), "cpu_s": cpu_s }))
}

type Inputs = std::collections::BTreeMap<String, hedgerow_inference::tensor::Tensor>;

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn resident(field: &str) -> anyhow::Result<usize> {
    let text = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).context("understand /proc/self/status")?;
    let kib: usize = line.trim().trim_end_matches(" kB").parse().context("understand /proc/self/status")?;
    Ok(kib * 1024)
}

fn say(value: &Value) -> anyhow::Result<()> {
    println!("{value}");
    Ok(io::stdout().flush()?)
}
