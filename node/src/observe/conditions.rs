//! What is wrong with this node for as long as it is wrong: for its status, and for other nodes to pass it over.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use hedgerow_protocol::fact::DegradedReason;

/// Something that an operator has to look at while the node goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// `mesh.redb` took no write: the node votes and leads no more.
    MeshStorage,
    /// `log.redb` took no write, or does not read back: some groups of sessions answer nothing here.
    SessionStorage,
    /// A group of sessions ended by a panic and is answered elsewhere.
    GroupEnded,
    /// The node's certificate ends within [`EXPIRY_NOTICE_S`], or within a quarter of its life, and was not renewed.
    CertificateEnds,
    /// The node's certificate has ended: no other node takes its word.
    CertificateEnded,
    /// Attempts to renew it fail.
    RenewalFails,
    /// The right of the node to issue ends within a twelfth of its life.
    RightEnds,
    /// The right of the node to issue has ended.
    RightEnded,
    /// The clock of the machine stands behind what is known to have passed.
    ClockBehind,
}

/// Before the end of a certificate, the longest time in which it stands in the status: three days of thirty.
pub const EXPIRY_NOTICE_S: u64 = 3 * 86_400;

/// The conditions that stand. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<Mutex<BTreeSet<Condition>>>);

impl Conditions {
    /// The condition holds from here on.
    pub fn raise(&self, condition: Condition) {
        if self.lock().insert(condition) {
            tracing::warn!(condition = condition.told(), "this node is degraded");
        }
    }

    /// The condition holds no more.
    pub fn clear(&self, condition: Condition) {
        if self.lock().remove(&condition) {
            tracing::info!(condition = condition.told(), "this node is no longer degraded by it");
        }
    }

    /// Whether the condition holds from here on.
    pub fn set(&self, condition: Condition, holds: bool) {
        if holds { self.raise(condition) } else { self.clear(condition) }
    }

    /// Those that hold.
    pub fn standing(&self) -> BTreeSet<Condition> {
        self.lock().clone()
    }

    /// The public codes of those for which other nodes should rather do the work.
    pub fn degraded(&self) -> Vec<DegradedReason> {
        let codes: BTreeSet<_> = self.lock().iter().filter_map(|condition| condition.code()).collect();
        codes.into_iter().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Condition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    /// For people, with what to do.
    pub fn told(self) -> &'static str {
        match self {
            Self::MeshStorage => {
                "mesh.redb takes no writes, so that this node votes and leads no more: mend the disk, then restart the node"
            }
            Self::SessionStorage => {
                "log.redb failed, so that sessions are not answered here: mend the disk, then restart the node"
            }
            Self::GroupEnded => {
                "a group of sessions ended by a fault and is not answered here: see the log, report it, restart the node"
            }
            Self::CertificateEnds => {
                "the certificate of this node ends soon and was not renewed: `hedgerow doctor` says why"
            }
            Self::CertificateEnded => {
                "the certificate of this node has ended, so that no other node takes its word: `hedgerow doctor` says why it is not renewed"
            }
            Self::RenewalFails => "the certificate of this node is not renewed: `hedgerow doctor` says why",
            Self::RightEnds => {
                "the right of this node to issue certificates ends soon: `hedgerow issuer add` on it lengthens it"
            }
            Self::RightEnded => {
                "the right of this node to issue certificates has ended: `hedgerow issuer add` on it gives it again"
            }
            Self::ClockBehind => {
                "the clock of this machine stands behind times that have passed: set it; `hedgerow doctor` says which"
            }
        }
    }

    fn code(self) -> Option<DegradedReason> {
        match self {
            Self::MeshStorage | Self::SessionStorage => Some(DegradedReason::DISK),
            Self::GroupEnded
            | Self::CertificateEnds
            | Self::CertificateEnded
            | Self::RenewalFails
            | Self::RightEnds
            | Self::RightEnded
            | Self::ClockBehind => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_stand_until_they_are_cleared_and_are_told_once() {
        let conditions = Conditions::default();
        let elsewhere = conditions.clone();
        elsewhere.raise(Condition::SessionStorage);
        elsewhere.raise(Condition::SessionStorage);
        conditions.raise(Condition::MeshStorage);
        conditions.raise(Condition::CertificateEnds);
        let all = [Condition::MeshStorage, Condition::SessionStorage, Condition::CertificateEnds];
        assert_eq!(conditions.standing(), BTreeSet::from(all));
        assert_eq!(conditions.degraded(), [DegradedReason::DISK]);
        conditions.set(Condition::CertificateEnds, false);
        assert_eq!(elsewhere.standing().len(), 2);
    }
}
