//! What a simulation's judge may see of a core.

use crate::core::MeshCore;
use crate::fact::{Fact, FactKey};
use crate::id::Term;
use crate::register::{Head, VerifiedDecision};
use crate::time::Mono;
use hedgerow_attest::digest::Sha256Digest;

impl MeshCore {
    /// The term and the end of this node's lease, while it runs.
    pub(crate) fn held_lease(&self, now: Mono) -> Option<(Term, Mono)> {
        self.cell.holds(now)
    }

    /// The last term that this node promised anyone.
    pub(crate) fn promised_term(&self) -> Option<Term> {
        self.cell.promised_term()
    }

    /// The value that this node accepted and nobody decided yet.
    pub(crate) fn accepted_digest(&self) -> Option<Sha256Digest> {
        self.cell.accepted_digest()
    }

    /// The last placement of its cell that this node knows to be decided.
    pub(crate) fn decided_digest(&self) -> Option<Sha256Digest> {
        self.decided_placement().map(|(decision, _)| decision.digest())
    }

    /// The same, and the end of the register.
    pub(crate) fn decided_placement(&self) -> Option<(VerifiedDecision, Head)> {
        let cell = self.roster.cell_of(&self.config.region)?;
        let Fact::Decision(decision) = self.facts.get(&FactKey::Placement(cell))?.fact() else { return None };
        Some((decision.clone(), self.cell.head()?))
    }
}
