//! The keys, certificate and root of this node, as files in the data folder; founding a mesh, admitting to it, joining it.
//!
//! - A node's own keys: [`NodeIdentity`]. Any node has them, member or not.
//! - A mesh begins with [`found`], which makes the root of trust and this node its first member and issuer.
//! - Operators give a running node the right to issue by [`Appointments`].
//! - [`Issuer`] writes tickets, certificates and geneses; [`Admission`] redeems what a ticket promised, and renews.
//! - A member renews its certificate with a [`RenewalRequest`], and with a [`ProvenRenewal`] once it has ended.
//! - A joining node sends a [`JoinRequest`] and makes an [`Enrolment`] of the answer.
//! - Whoever does not find the issuer of its ticket has a [`LeadRequest`] answered by any member.
//! - [`Enrolled`] is what a member reads from its folder at each start.

mod admission;
mod answer;
mod appointment;
mod enrolled;
mod enrolment;
mod founding;
mod issuer;
mod keys;
mod lead;
mod refusal;
mod renewal;
mod renewing;
mod request;
mod secrets;
#[cfg(test)]
mod testing;
mod timetable;
mod versioned;

pub use admission::{Admission, Admitted, Surroundings};
pub use answer::{ANSWER_BYTES_MAX, AnswerError, JoinAnswer, KNOWN_MEMBERS_MAX, KnownMember, Welcome};
pub use appointment::{AppointmentAnswer, AppointmentRefusal, Appointments, Issuing, delegations_to, right_ends_soon};
pub use enrolled::{Enrolled, EnrolledError};
pub use enrolment::{Enrolment, EnrolmentError};
pub use founding::{FoundError, Founded, Founding, MEMBERSHIP_S, found};
pub use issuer::{CertificateTerms, InviteTerms, Issuer, IssuerError, issues};
pub use keys::{NodeIdentity, NodeIdentityError};
pub use lead::{Lead, LeadRequest};
pub use refusal::JoinRefusal;
pub use renewal::{ProvenRenewal, RenewalAnswer, RenewalRefusal, RenewalRequest, claimed_node};
pub use renewing::{Asker, Standing};
pub use request::{JoinRequest, REQUEST_BYTES_MAX};
pub use secrets::{SecretError, load_secrets};
pub use timetable::{life_s, renewable_from, renewal_due, retry_after};
