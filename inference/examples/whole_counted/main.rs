//! `whole serve` with an allocator that counts, for the memory of a model. It is a program of its own because counting,
//! and growing a buffer by a copy where the system could do without, takes time that must not be measured.
//!
//! ```text
//! whole_counted CASE THREADS
//! ```

#![expect(clippy::print_stdout, reason = "answers go to the process that asked")]

#[path = "../whole/case.rs"]
mod case;
#[path = "../whole/model.rs"]
mod model;
#[path = "../whole/serve.rs"]
mod serve;

use std::{env, path::Path};

use peak_alloc::PeakAlloc;
use serve::Heap;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [case, threads] = &words[..] else { anyhow::bail!("understand {words:?}: CASE THREADS") };
    let heap = Heap {
        now_bytes: || ALLOCATOR.current_usage(),
        peak_bytes: || ALLOCATOR.peak_usage(),
        forget_peak: || ALLOCATOR.reset_peak_usage(),
    };
    serve::serve(Path::new(case), threads.parse()?, Some(&heap))
}
