//! Who is alive. SWIM (Das, Gupta, Motivala, DSN 2002) with the local health multiplier of Lifeguard (Dadgar, Phillips,
//! Currey, 2017), and two rules of its own: nobody is taken for down before the observer itself has asked it twice more
//! with the suspicion attached, and only the member's own signed word opens the way back.
//!
//! [`Swim`] looks after the members of the own cell, [`Remote`] after all others; [`Contacts`] holds what both hear.

mod config;
mod contacts;
mod peer;
mod remote;
mod rtt;
mod swim;
mod swim_input;

pub use config::SwimConfig;
pub(crate) use contacts::{Contact, Contacts};
pub(crate) use peer::Peer;
pub(crate) use remote::{Remote, RemotePeer};
pub(crate) use swim::{Finding, Swim};
