//! Whole models that were written as cases (`inference/conformance/whole`): answered once, or answered again and again
//! while another process measures.
//!
//! ```text
//! whole answer DIR                 every case below DIR/cases: answer.json and answer.bin, and its artifact
//! whole serve CASE THREADS         one measurement a line, see serve.rs; the artifact is that of `answer`
//! ```

#![expect(clippy::print_stdout, reason = "answers go to the process that asked")]

mod answer;
mod case;
mod model;
mod publisher;
mod serve;

use std::{env, path::Path};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["answer", folder] => answer::answer_all(Path::new(folder)),
        ["serve", case, threads] => serve::serve(Path::new(case), threads.parse()?, None),
        _ => anyhow::bail!("understand {words:?}: answer DIR, or serve CASE THREADS"),
    }
}
