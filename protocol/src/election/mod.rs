//! Who is the aggregator of a cell: a lease, granted by a quorum of configured voters, timed by everybody's own clock.
//!
//! Leases in the manner of Gray and Cheriton (SOSP 1989), with terms: the holder counts from the moment before it asked,
//! the voters from the moment they answered, and a bound on how fast clocks may run apart separates the two. Safety needs
//! the bound on rates, never synchronised clocks.

mod announcement;
mod clock;
mod config;
mod message;
mod roll;
mod voter;

pub(crate) use announcement::KnownLease;
pub use announcement::{LeaseHint, LeaseName, LeaseNews};
pub(crate) use clock::{ClockCheck, ClockVerdict};
pub use config::ElectionConfig;
pub use message::{
    Abandon, Campaign, Denial, Grant, GrantReply, Handover, LeaseMessage, Propose, Refusal, VerifiedGrant,
};
pub(crate) use roll::{Presence, Prospect, Roll};
pub(crate) use voter::{Accepted, Promise, VoterRecord};
