//! Who is alive. Members of a cell watch each other, in one of two ways: in rings that everybody draws alike, as in Rapid
//! (Suresh et al., ATC 2018), or at random as in SWIM (Das, Gupta, Motivala, DSN 2002); both with the local health
//! multiplier of Lifeguard (Dadgar, Phillips, Currey, 2017), and two rules of their own: nobody is taken for down before it
//! was asked twice more with the suspicion attached, and only the member's own signed word opens the way back. Which way
//! is better, and on whose word a member is taken for down, is in `docs/rfd/0002-membership.md`.
//!
//! [`Swim`] looks after the members of the own cell, [`Remote`] after all others; [`Contacts`] holds what both hear.

mod config;
mod contacts;
mod members;
mod peer;
mod random;
mod redial;
mod remote;
mod ring;
mod rtt;
mod swim;
mod swim_input;
mod verdict;
mod watch;
mod watch_input;

pub use config::{Monitoring, SwimConfig};
pub(crate) use contacts::{Acknowledged, Contacts};
pub(crate) use members::anywhere;
pub(crate) use remote::{Remote, RemotePeer};
pub(crate) use swim::{Finding, Sign, Swim};
