//! A whole mesh on one machine, walked through step by step: every check is an observation over the public interfaces.

mod aggregator_loss;
mod election;
mod embedded;
mod entry_loss;
mod inference;
mod links;
mod membership;
mod mesh;
mod models;
mod observe;
mod report;
mod sessions;
mod walk;

pub(crate) use walk::run;
