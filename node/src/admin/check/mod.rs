//! A check of the network: every member of the cell is asked for its links and its clock, and what is notable of that is named.

mod ask;
mod judge;
mod report;

pub(super) use ask::ask_all;
pub(super) use report::report;
