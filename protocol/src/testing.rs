//! A mesh of cores under one virtual clock: real signatures, real frames, and links, disks and clocks that fail on
//! purpose. A run is a function of its seed.

mod cluster;
mod disk;
mod judge;
mod node;
mod scenario;

pub(crate) use cluster::{Cluster, Faults};
pub(crate) use judge::Lease;

#[cfg(test)]
mod election_tests;
#[cfg(test)]
mod membership_tests;
#[cfg(test)]
mod placement_tests;
