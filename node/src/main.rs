//! The `hedgerow` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    hedgerow::main()
}
