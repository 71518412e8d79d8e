//! Single frames that a test loses, delays or withholds.

use crate::wire::{VerifiedLease, VerifiedMessage};

/// What a frame carries, as far as tests tell frames apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Probe,
    Exchange,
    Accusation,
    Settled,
    Campaign,
    Grant,
    Denial,
    Abandon,
    Propose,
    Accepted,
    Refused,
    Decided,
    Handover,
}

impl Kind {
    pub(crate) fn of(message: &VerifiedMessage) -> Self {
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

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It travels as any.
    Pass,
    /// It is lost.
    Lose,
    /// It waits until [`super::cluster::Cluster::deliver_withheld`].
    Withhold,
    /// It takes so much longer.
    Delay(u64),
}

impl Fate {
    /// This fate where the condition holds, an ordinary journey elsewhere.
    pub(crate) fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::Pass }
    }
}

/// A frame that is about to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) now: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) kind: Kind,
    /// How long it is.
    pub(crate) octets: usize,
}

impl Frame {
    pub(crate) fn is(&self, from: usize, to: usize, kind: Kind) -> bool {
        (self.from, self.to, self.kind) == (from, to, kind)
    }
}

/// Decides over single frames.
pub(crate) type Censor = Box<dyn FnMut(Frame) -> Fate>;
