//! How a cell that lost its quorum for good goes on: the operators of the mesh give it voters, in a new generation of its register.
//! See `docs/rfd/0006-recovery.md`.

use super::configuration::Configuration;
use super::value::{Head, Point};
use crate::id::{ConfigEpoch, GENERATIONS_MAX, Generation};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::endorsed::{Endorsed, EndorsedError};
use hedgerow_attest::id::CellId;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::signed::Domain;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What the operators say. It takes the place of the slot after the one that they name; whatever was decided there or later
/// without their knowledge never counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recovery {
    /// The cell.
    pub cell: CellId,
    /// The generation that begins.
    pub generation: Generation,
    /// The end of the register as the operators know it, in a generation before.
    pub base: Head,
    /// The voter set that was in force there.
    pub base_epoch: ConfigEpoch,
    /// Who votes from here on: epoch [`ConfigEpoch::first_of`] the generation.
    pub voters: Configuration,
}

impl Domain for Recovery {
    const DOMAIN: &'static str = "hedgerow/recovery/1";
    const PAYLOAD_MAX: usize = 640;
}

/// A recovery that more than half of the keys of the root signed, and not fewer than its threshold. Made by [`Self::open`]
/// only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRecovery {
    recovery: Recovery,
    digest: Sha256Digest,
}

/// Why a recovery is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecoveryError {
    /// Fewer operators than more than half signed it.
    #[error("recovery without the signatures of more than half of the root's keys")]
    Endorsement(#[source] EndorsedError),
    /// Its voters make no voter set, or it begins no later generation.
    #[error("recovery that breaks a rule of its form")]
    IllFormed,
    /// Other voters were in force in the slot that it names, or the cell had ended: draft it again from a member that knows more.
    #[error("recovery from a slot in which, as is known here, other voters were in force or the cell had ended")]
    Contradicted,
}

impl Recovery {
    /// Whether it begins a later generation, with a sound set of voters that counts from the number of that generation.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.base.generation < self.generation
            && self.generation.0 <= GENERATIONS_MAX
            && self.voters.epoch == ConfigEpoch::first_of(self.generation)
            && self.voters.is_well_formed()
    }

    /// Its own place in the register.
    #[must_use]
    pub const fn point(&self) -> Point {
        Point { generation: self.generation, slot: self.base.slot.next() }
    }

    /// Whether what was decided there never counted: it comes after what the operators knew, in a generation that ended.
    #[must_use]
    pub fn undoes(&self, decided: Point) -> bool {
        decided.generation < self.generation && decided > self.base.point()
    }
}

impl VerifiedRecovery {
    /// The recovery, if enough operators signed it and it is well formed.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn open(endorsed: &Endorsed<Recovery>, root: &TrustRoot) -> Result<Self, RecoveryError> {
        let recovery = endorsed.verify_majority(&root.content().root).map_err(RecoveryError::Endorsement)?;
        let digest = endorsed.payload_digest();
        if recovery.is_well_formed() { Ok(Self { recovery, digest }) } else { Err(RecoveryError::IllFormed) }
    }

    /// The digest of what was signed, which names it whoever signed.
    #[must_use]
    pub const fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The head of a register in which nothing was decided since.
    #[must_use]
    pub const fn head(&self) -> Head {
        let Point { generation, slot } = self.recovery.point();
        Head { generation, slot, digest: self.digest }
    }
}

impl std::ops::Deref for VerifiedRecovery {
    type Target = Recovery;

    fn deref(&self) -> &Recovery {
        &self.recovery
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
