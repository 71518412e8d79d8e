//! The command line: one file per command, each of them arguments, one call, a table or JSON.
//!
//! Every command but `init`, `join`, `run` and `demo` talks to the running node over the admin socket in its data folder, because a
//! redb file cannot be opened twice. Exit codes: 0 ok, 1 failed, 2 usage, 3 not ready, 4 partly done, 5 the node
//! left its mesh earlier, 6 it was put out.

mod apply;
mod arguments;
mod declare;
mod doctor;
mod emulate;
mod entry;
mod events;
mod failure;
mod finding;
mod forget;
mod infer;
mod init;
mod inspect;
mod invite;
mod issuer;
mod join;
mod key;
mod leave;
mod manifest;
mod member_arguments;
mod members;
mod model;
mod nearest;
mod netcheck;
mod output;
mod ping;
mod placement;
mod reach;
mod recover;
mod revoke;
mod run;
mod session;
mod statement;
mod status;
mod tensor_file;

pub(crate) use arguments::DemoArguments;
pub use entry::main_from;
pub use failure::{CliError, Exit};
