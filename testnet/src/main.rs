//! The `hedgerow-testnet` binary: whole meshes on one machine, as processes or as containers, to break on purpose.
//!
//! `sim` plays whole meshes in virtual time, without a process or a socket. `measure` holds a mesh of its own and sets it beside its simulation. `up` leaves a supervisor that holds the nodes; every other command is one question to it. Nodes are this program
//! executed again with a word that makes it a node, because cargo does not build another package's binary.

mod arguments;
mod bench;
mod commands;
mod compose;
mod links;
mod local;
mod measure;
mod plan;
mod report;
mod sim;
mod supervisor;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == local::NODE_WORD) {
        words.drain(..2);
        return hedgerow::cli::main_from([OsString::from("hedgerow")].into_iter().chain(words).collect());
    }
    commands::run(arguments::Cli::parse())
}
