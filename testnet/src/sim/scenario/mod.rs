//! Scenarios: what a mesh is, what happens to it, and what must come of it.

mod action;
mod apart;
mod condition;
mod conviction;
mod depart;
mod direct;
mod expect;
mod fault;
mod library;
mod play;
mod recover;
mod report;
mod script;
mod spec;
mod stage;
mod step;
mod verdict;

pub(crate) use conviction::convict;
pub(crate) use expect::Expectation;
pub(crate) use fault::FaultKind;
pub(crate) use library::{load, names};
pub(crate) use play::{Outcome, play};
pub(crate) use report::{Finished, Report};
pub(crate) use spec::{Case, DivisionSpec, Fault, MeshSpec, Preset, Scenario, WeatherSpec, Who};

#[cfg(test)]
mod review_tests;
