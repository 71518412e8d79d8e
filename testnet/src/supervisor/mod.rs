//! The process that `up` leaves behind: it holds the nodes and answers for them over a socket in the state folder.
//!
//! Who talks to it never needs a process id: a supervisor is there if its socket answers, and processes of the local
//! backend end with it whatever happens.

mod control;
mod folder;
mod nodes;
mod owner;

pub(crate) use control::{ControlError, Reply, Request, ask};
pub(crate) use folder::{FolderError, StateFolder};
pub(crate) use owner::{Supervision, supervise};
