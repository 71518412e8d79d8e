//! The door from a message that was read to one that a machine accepts.

use super::message::{ExchangeMessage, Message};
use super::verified::{VerifiedExchange, VerifiedLease, VerifiedMessage};
use crate::election::{GrantReply, Handover, LeaseMessage, VerifiedGrant};
use crate::fact::{FactRefusal, SignedFact, verify_accusation, verify_decision};
use crate::roster::Roster;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::signed::{EnvelopeError, VerifyError};
use hedgerow_attest::time::UnixSeconds;
use std::borrow::Cow;
use thiserror::Error;

/// Why a message is dropped; nothing in it is used.
#[derive(Debug, Error)]
pub enum MessageRefusal {
    /// Its signed part speaks for another node than the one that sent it.
    #[error("signed part that speaks for {speaks_for}")]
    NotTheSender {
        /// Who would have to have sent it.
        speaks_for: NodeId,
    },
    /// The sender's key is not known here yet; it travels by itself.
    #[error("signed part of {0}, whose key is not known")]
    UnknownKey(NodeId),
    /// The signed part cannot be read.
    #[error("malformed signed part")]
    Malformed(#[source] EnvelopeError),
    /// The signed part does not verify.
    #[error("signed part that does not verify")]
    Signature(#[source] VerifyError),
    /// The accusation in it does not verify.
    #[error("accusation that is not believed")]
    Accusation(#[source] FactRefusal),
    /// The decision in it does not verify.
    #[error("decision that is not believed")]
    Decision(#[source] FactRefusal),
}

/// A message that passed the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What a machine may hear.
    pub message: VerifiedMessage,
    /// Facts of a push that do not hold and never will; count them against the sender.
    pub refused: usize,
}

impl Message {
    /// Checks every signature in a message that `from` sent over its own link.
    ///
    /// # Errors
    /// [`MessageRefusal`]. A push with bad facts is no error: the good ones are kept and the others counted.
    pub fn verify(
        self,
        from: NodeId,
        roster: &Roster,
        root: &TrustRoot,
        now: UnixSeconds,
    ) -> Result<Opened, MessageRefusal> {
        let mut refused = 0;
        let message = match self {
            Self::Probe(probe) => VerifiedMessage::Probe(probe),
            Self::Exchange(exchange) => VerifiedMessage::Exchange(match exchange {
                ExchangeMessage::Summary { scope, buckets, others } => {
                    VerifiedExchange::Summary { scope, buckets, others }
                }
                ExchangeMessage::Digest { scope, buckets, entries } => {
                    VerifiedExchange::Digest { scope, buckets, entries }
                }
                ExchangeMessage::Pull { scope, keys } => VerifiedExchange::Pull { scope, keys },
                ExchangeMessage::Push { facts } => push(facts, roster, root, now, &mut refused),
            }),
            Self::Lease(lease) => VerifiedMessage::Lease(Box::new(verify_lease(*lease, from, roster)?)),
            Self::Accusation(signed) => {
                let accusation = verify_accusation(&signed, roster).map_err(MessageRefusal::Accusation)?;
                if accusation.accuser != from {
                    return Err(MessageRefusal::NotTheSender { speaks_for: accusation.accuser });
                }
                VerifiedMessage::Accusation(Box::new(accusation))
            }
            Self::Settled(settled) => VerifiedMessage::Settled(settled),
        };
        Ok(Opened { message, refused })
    }
}

/// Facts may depend on others of the same push, so what is believed widens as it goes.
fn push(
    facts: Vec<SignedFact>,
    roster: &Roster,
    root: &TrustRoot,
    now: UnixSeconds,
    refused: &mut usize,
) -> VerifiedExchange {
    let mut roster = Cow::Borrowed(roster);
    let mut verified = Vec::with_capacity(facts.len());
    for signed in facts {
        match signed.verify(&roster, root, now) {
            Ok(fact) => {
                if roster.is_lesson(&fact) {
                    roster.to_mut().learn(&fact);
                }
                verified.push(fact);
            }
            Err(refusal) if refusal.may_heal() => {}
            Err(_hopeless) => *refused += 1,
        }
    }
    VerifiedExchange::Push(verified)
}

fn verify_lease(lease: LeaseMessage, from: NodeId, roster: &Roster) -> Result<VerifiedLease, MessageRefusal> {
    Ok(match lease {
        LeaseMessage::Campaign(campaign) => VerifiedLease::Campaign(campaign),
        LeaseMessage::Grant(reply) => VerifiedLease::Grant(Box::new(verify_grant(reply, from, roster)?)),
        LeaseMessage::Denial(mut denial) => {
            let moved = denial.moved.take().and_then(|decision| verify_decision(*decision, roster).ok());
            VerifiedLease::Denial(denial, moved)
        }
        LeaseMessage::Abandon(abandon) => VerifiedLease::Abandon(abandon),
        LeaseMessage::Propose(propose) => VerifiedLease::Propose(propose),
        LeaseMessage::Accepted(signed) => {
            let claimed = signed.peek().map_err(MessageRefusal::Malformed)?;
            if claimed.voter != from {
                return Err(MessageRefusal::NotTheSender { speaks_for: claimed.voter });
            }
            let key = roster.voter_key(&claimed.cell, &from).ok_or(MessageRefusal::UnknownKey(from))?;
            VerifiedLease::Accepted(signed.verify(&key).map_err(MessageRefusal::Signature)?)
        }
        LeaseMessage::Refused(refusal) => VerifiedLease::Refused(refusal),
        LeaseMessage::Decided(decision) => {
            VerifiedLease::Decided(verify_decision(*decision, roster).map_err(MessageRefusal::Decision)?)
        }
        LeaseMessage::Handover(Handover { abandon, head }) => {
            let head = head.and_then(|decision| verify_decision(*decision, roster).ok());
            VerifiedLease::Handover(abandon, head)
        }
    })
}

fn verify_grant(reply: GrantReply, from: NodeId, roster: &Roster) -> Result<VerifiedGrant, MessageRefusal> {
    let claimed = reply.grant.peek().map_err(MessageRefusal::Malformed)?;
    if claimed.voter != from {
        return Err(MessageRefusal::NotTheSender { speaks_for: claimed.voter });
    }
    let key = roster.voter_key(&claimed.cell, &from).ok_or(MessageRefusal::UnknownKey(from))?;
    let grant = reply.grant.verify(&key).map_err(MessageRefusal::Signature)?;
    let head = match reply.head {
        Some(decision) => Some(verify_decision(*decision, roster).map_err(MessageRefusal::Decision)?),
        None => None,
    };
    let signed_digest = grant.accepted.map(|(_, digest)| digest);
    let accepted = reply.accepted.map(|value| *value).filter(|value| Some(value.digest()) == signed_digest);
    Ok(VerifiedGrant { grant, head, accepted })
}
