//! Messages all of whose signatures hold: what a machine hears, and what it says.

use super::message::{ExchangeMessage, FactEntry, Message, ProbeMessage, SUMMARY_BUCKETS, ScopeRoot};
use crate::election::{Abandon, Campaign, Denial, GrantReply, Handover, LeaseMessage, Propose, Refusal, VerifiedGrant};
use crate::fact::{Accusation, Scope, VerifiedFact};
use crate::placement::Settled;
use crate::register::{Acceptance, Decision, VerifiedDecision};
use hedgerow_attest::signed::Verified;

/// A message whose signatures were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifiedMessage {
    /// Carries no signatures.
    Probe(ProbeMessage),
    /// With facts instead of claims.
    Exchange(VerifiedExchange),
    /// With proven grants, acceptances and decisions.
    Lease(Box<VerifiedLease>),
    /// An accusation by the node that sent it.
    Accusation(Box<Verified<Accusation>>),
    /// Carries no signatures.
    Settled(Settled),
}

/// An exchange whose facts were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifiedExchange {
    /// As in [`ExchangeMessage::Summary`].
    Summary {
        /// Whose facts.
        scope: Scope,
        /// One hash per bucket.
        buckets: [u64; SUMMARY_BUCKETS],
        /// Other scopes that the sender keeps.
        others: Vec<ScopeRoot>,
    },
    /// As in [`ExchangeMessage::Digest`].
    Digest {
        /// Whose facts.
        scope: Scope,
        /// The buckets listed in full, one bit each.
        buckets: u16,
        /// Their entries.
        entries: Vec<FactEntry>,
    },
    /// As in [`ExchangeMessage::Pull`].
    Pull {
        /// Whose facts.
        scope: Scope,
        /// Hashes of keys.
        keys: Vec<u64>,
    },
    /// The facts of [`ExchangeMessage::Push`] that hold, in an order in which each can be adopted.
    Push(Vec<VerifiedFact>),
}

/// A message of an election whose signatures were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifiedLease {
    /// From a candidate or holder.
    Campaign(Campaign),
    /// From a voter.
    Grant(Box<VerifiedGrant>),
    /// From a voter, with the certificate of its configuration where it sent one and it verified.
    Denial(Denial, Option<VerifiedDecision>),
    /// From a candidate or holder.
    Abandon(Abandon),
    /// From the holder.
    Propose(Propose),
    /// From a voter.
    Accepted(Verified<Acceptance>),
    /// From a voter.
    Refused(Refusal),
    /// From a holder or voter.
    Decided(VerifiedDecision),
    /// From a holder that leaves, with the certificate of the last slot where it sent one and it verified.
    Handover(Abandon, Option<VerifiedDecision>),
}

impl VerifiedMessage {
    /// The message as it travels, to be verified again where it arrives.
    #[must_use]
    pub fn to_wire(&self) -> Message {
        match self {
            Self::Probe(probe) => Message::Probe(probe.clone()),
            Self::Exchange(exchange) => Message::Exchange(exchange.to_wire()),
            Self::Lease(lease) => Message::Lease(Box::new(lease.to_wire())),
            Self::Accusation(accusation) => Message::Accusation(accusation.envelope().clone()),
            Self::Settled(settled) => Message::Settled(settled.clone()),
        }
    }
}

impl VerifiedExchange {
    fn to_wire(&self) -> ExchangeMessage {
        match self {
            Self::Summary { scope, buckets, others } => {
                ExchangeMessage::Summary { scope: *scope, buckets: *buckets, others: others.clone() }
            }
            Self::Digest { scope, buckets, entries } => {
                ExchangeMessage::Digest { scope: *scope, buckets: *buckets, entries: entries.clone() }
            }
            Self::Pull { scope, keys } => ExchangeMessage::Pull { scope: *scope, keys: keys.clone() },
            Self::Push(facts) => {
                ExchangeMessage::Push { facts: facts.iter().map(|fact| fact.signed().clone()).collect() }
            }
        }
    }
}

impl VerifiedLease {
    fn to_wire(&self) -> LeaseMessage {
        match self {
            Self::Campaign(campaign) => LeaseMessage::Campaign(campaign.clone()),
            Self::Grant(reply) => LeaseMessage::Grant(GrantReply {
                grant: reply.grant.envelope().clone(),
                head: reply.head.as_ref().map(boxed),
                accepted: reply.accepted.clone().map(Box::new),
            }),
            Self::Denial(denial, moved) => {
                LeaseMessage::Denial(Denial { moved: moved.as_ref().map(boxed), ..denial.clone() })
            }
            Self::Abandon(abandon) => LeaseMessage::Abandon(abandon.clone()),
            Self::Propose(propose) => LeaseMessage::Propose(propose.clone()),
            Self::Accepted(acceptance) => LeaseMessage::Accepted(acceptance.envelope().clone()),
            Self::Refused(refusal) => LeaseMessage::Refused(refusal.clone()),
            Self::Decided(decision) => LeaseMessage::Decided(boxed(decision)),
            Self::Handover(abandon, head) => {
                LeaseMessage::Handover(Handover { abandon: abandon.clone(), head: head.as_ref().map(boxed) })
            }
        }
    }
}

fn boxed(decision: &VerifiedDecision) -> Box<Decision> {
    Box::new(decision.decision().clone())
}
