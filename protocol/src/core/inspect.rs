//! What the judge of a simulation may see of a core; nothing is decided by it.

use crate::core::MeshCore;
use crate::defect::Defects;
use crate::fact::{Fact, FactKey};
use crate::id::Term;
use crate::register::{Head, VerifiedDecision};
use crate::time::Mono;
use hedgerow_attest::digest::Sha256Digest;

impl<D: Defects> MeshCore<D> {
    /// The term and the end of this node's lease, while it runs.
    #[must_use]
    pub fn held_lease(&self, now: Mono) -> Option<(Term, Mono)> {
        self.cell.holds(now)
    }

    /// The last term that this node promised anyone.
    #[must_use]
    pub fn promised_term(&self) -> Option<Term> {
        self.cell.promised_term()
    }

    /// The value that this node accepted and nobody decided yet.
    #[must_use]
    pub fn accepted_digest(&self) -> Option<Sha256Digest> {
        self.cell.accepted_digest()
    }

    /// The last placement of its cell that this node knows to be decided.
    #[must_use]
    pub fn decided_digest(&self) -> Option<Sha256Digest> {
        self.decided_placement().map(|(decision, _)| decision.digest())
    }

    /// The same, and the end of the register.
    #[must_use]
    pub fn decided_placement(&self) -> Option<(VerifiedDecision, Head)> {
        let cell = self.roster.cell_of(&self.config.region)?;
        let Fact::Decision(decision) = self.facts.get(&FactKey::Placement(cell))?.fact() else { return None };
        Some((decision.clone(), self.cell.head()?))
    }
}
