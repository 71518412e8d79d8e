//! Letters that a directed scenario holds up or loses, by who sends what to whom.

use super::parcel::Cargo;
use super::weather::NodeSet;
use hedgerow_protocol::fact::Fact;
use hedgerow_protocol::wire::{VerifiedLease, VerifiedMessage};
use serde::{Deserialize, Serialize};

/// What a letter carries, as far as scenarios tell letters apart. Frames of byte mode are of no kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A ping, an acknowledgement, or a request for either.
    Probe,
    /// Facts, or what somebody knows of them.
    Exchange,
    /// One member's word against another.
    Accusation,
    /// What somebody has handed over of a placement.
    Settled,
    /// A request for the lease, or for its renewal.
    Campaign,
    /// A voter's promise.
    Grant,
    /// A voter's refusal of a campaign.
    Denial,
    /// The end of a round, or a lease given back.
    Abandon,
    /// The holder's proposal for the next slot.
    Propose,
    /// A voter's acceptance.
    Accepted,
    /// A voter's refusal of a proposal.
    Refused,
    /// A certificate, told by whoever has it.
    Decided,
    /// A lease given back to who leads next.
    Handover,
    /// A gossiped rollup of a cell.
    Rollup,
    /// Any other gossiped fact.
    Gossip,
}

/// What becomes of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They wait until they are released.
    Held,
    /// They never arrive.
    Lost,
}

/// Letters of some kinds between two groups.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Who sends them.
    pub(crate) from: NodeSet,
    /// Who would get them.
    pub(crate) to: NodeSet,
    /// Which.
    pub(crate) kinds: Vec<Kind>,
    /// What becomes of them.
    pub(crate) fate: Fate,
}

/// The rules in force; without any every letter travels as the weather has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Post(Vec<Rule>);

impl Kind {
    /// Of what travels between two nodes.
    pub(crate) fn of(cargo: &Cargo) -> Option<Self> {
        match cargo {
            Cargo::Message(message) => Some(Self::of_message(message)),
            Cargo::Fact(fact, ..) => {
                let is_rollup = matches!(fact.fact(), Fact::Rollup(_));
                Some(if is_rollup { Self::Rollup } else { Self::Gossip })
            }
            Cargo::Frame(_) | Cargo::FactBytes(..) => None,
        }
    }

    fn of_message(message: &VerifiedMessage) -> Self {
        match message {
            VerifiedMessage::Probe(_) => Self::Probe,
            VerifiedMessage::Exchange(_) => Self::Exchange,
            VerifiedMessage::Accusation(_) => Self::Accusation,
            VerifiedMessage::Settled(_) => Self::Settled,
            VerifiedMessage::Lease(lease) => match &**lease {
                VerifiedLease::Campaign(_) => Self::Campaign,
                VerifiedLease::Grant(_) => Self::Grant,
                VerifiedLease::Denial(..) => Self::Denial,
                VerifiedLease::Abandon(_) => Self::Abandon,
                VerifiedLease::Propose(_) => Self::Propose,
                VerifiedLease::Accepted(_) => Self::Accepted,
                VerifiedLease::Refused(_) => Self::Refused,
                VerifiedLease::Decided(_) => Self::Decided,
                VerifiedLease::Handover(..) => Self::Handover,
            },
        }
    }
}

impl Post {
    /// From here on that becomes of such letters.
    pub(crate) fn rule(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// Every letter travels again.
    pub(crate) fn open(&mut self) {
        self.0.clear();
    }

    /// What becomes of a letter, by the first rule for it.
    pub(crate) fn fate(&self, from: u32, to: u32, cargo: &Cargo) -> Option<Fate> {
        // Hardly any run has rules, and none but directed ones look into letters.
        if self.0.is_empty() {
            return None;
        }
        let kind = Kind::of(cargo)?;
        let concerns = |rule: &&Rule| rule.from.has(from) && rule.to.has(to) && rule.kinds.contains(&kind);
        self.0.iter().find(concerns).map(|rule| rule.fate)
    }
}
