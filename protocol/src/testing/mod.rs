//! A mesh of cores under one virtual clock: real signatures, real frames, and links, disks and clocks that fail on
//! purpose. A run is a function of its seed.

mod censor;
mod cluster;
mod control;
mod coords_tests;
mod disk;
mod heirloom_tests;
mod judge;
mod node;
mod scenario;

pub(crate) use node::Planted;

mod defect_tests;
mod election_tests;
mod membership_tests;
mod placement_tests;
mod recovery_tests;
mod retirement_tests;
mod revocation_tests;
mod shown_tests;
mod succession_tests;
mod voter_tests;
