//! Facts whose signatures were checked.

use super::accusation::Charge;
use super::charter::Founding;
use super::key::{FactKey, FactVersion, hash64};
use super::record::{NodeRecord, NodeState};
use super::rollup::Rollup;
use super::signed::SignedFact;
use crate::placement::{Deployment, NodeClasses, Policy};
use crate::register::{Content, DecisionError, Recovery, RecoveryError, Takeover, VerifiedDecision, VerifiedRecovery};
use crate::roster::Roster;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::endorsed::{Endorsed, EndorsedError};
use hedgerow_attest::genesis::{Birth, GenesisError};
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::MembershipError;
use hedgerow_attest::revocation::{RevocationError, RevokedBy, VerifiedRevocation};
use hedgerow_attest::signed::{Domain, EnvelopeError, Signed, Verified, VerifyError};
use std::sync::Arc;
use thiserror::Error;

/// What a verified fact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A node belongs to the mesh.
    Member(Member),
    /// What it says about itself.
    Record(NodeRecord),
    /// It did not answer, as others say.
    Accusation(Charge),
    /// A cell was born.
    Genesis(Founding),
    /// How a cell is.
    Rollup(Rollup),
    /// The rules for data, and the digest by which tables name them.
    Policy(Policy, Sha256Digest),
    /// Which model should be where.
    Deployment(Deployment),
    /// A slot of a register was decided.
    Decision(VerifiedDecision),
    /// The shares of node classes.
    NodeClasses(NodeClasses),
    /// A cell goes on in another generation.
    Recovery(VerifiedRecovery),
    /// A node is out for good.
    Revocation(VerifiedRevocation),
}

/// A fact whose author had the right to say it and did. It can be made by verification and by signing only. Clones share
/// their contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFact(Arc<Proven>);

#[derive(Debug, PartialEq, Eq)]
struct Proven {
    key: FactKey,
    hash: u64,
    version: FactVersion,
    fact: Fact,
    signed: SignedFact,
    /// Of a decided voter set, the end of a cell or a recovery: the voter set, or the genesis, that it follows.
    prior: Option<VerifiedFact>,
    /// How many are before it.
    depth: u32,
    /// Bytes of the signed fact. Counted once: how much fits a message is asked each time when it is passed on.
    size: u32,
}

/// Why a fact is not believed.
#[derive(Debug, Error)]
pub enum FactRefusal {
    /// Its author is not known here yet; the author's certificate travels by itself and may arrive later.
    #[error("statement of {0}, whose certificate is not known")]
    UnknownAuthor(NodeId),
    /// The cell it speaks of is not known here yet; its genesis travels by itself.
    #[error("statement about cell {0}, whose genesis is not known")]
    UnknownCell(CellId),
    /// The cell's voters at that point are not known here yet; the decision travels by itself.
    #[error("decision under voters that are not known")]
    Voters(#[source] DecisionError),
    /// The author is known and had no right to say this.
    #[error("statement about {subject} by {author}")]
    NotItsAuthor {
        /// Who signed.
        author: NodeId,
        /// Whom or what it concerns.
        subject: NodeId,
    },
    /// A rule of its own kind is broken: a region that the certificate does not name, or classes that nobody can keep.
    #[error("statement that breaks a rule of its kind")]
    IllFormed,
    /// The payload cannot be read.
    #[error("malformed statement")]
    Malformed(#[source] EnvelopeError),
    /// The author's key did not sign this.
    #[error("statement that its author did not sign")]
    Signature(#[source] VerifyError),
    /// The keys of the root that would have to sign did not.
    #[error("statement without the signatures that the root asks for")]
    Endorsement(#[source] EndorsedError),
    /// The genesis founds no cell.
    #[error("genesis that does not hold")]
    Genesis(#[source] GenesisError),
    /// The certificate does not make a member of this mesh.
    #[error("certificate that does not hold")]
    Membership(#[source] MembershipError),
    /// The decision has no quorum or breaks a rule.
    #[error("decision that does not hold")]
    Decision(#[source] DecisionError),
    /// The recovery was not signed by enough operators, or breaks a rule.
    #[error("recovery that does not hold")]
    Recovery(#[source] RecoveryError),
    /// The revocation was not signed by those who may put the node out.
    #[error("revocation that does not hold")]
    Revocation(#[source] RevocationError),
}

impl FactRefusal {
    /// Whether the same fact may be believed later, when others that it depends on have arrived: do not count it
    /// against the sender.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        matches!(self, Self::UnknownAuthor(_) | Self::UnknownCell(_) | Self::Voters(_))
    }

    /// Whether the fact held once and time alone made it void, or made void what it depends on.
    #[must_use]
    pub fn is_of_its_time(&self) -> bool {
        self.may_heal()
            || matches!(self, Self::Membership(MembershipError::Validity(_) | MembershipError::Delegation(_)))
            || matches!(self, Self::Decision(DecisionError::Undone))
    }
}

impl VerifiedFact {
    fn proven(key: FactKey, version: FactVersion, fact: Fact, signed: SignedFact) -> Self {
        Self::following(None, key, version, fact, signed)
    }

    /// What it is about.
    #[must_use]
    pub fn key(&self) -> &FactKey {
        &self.0.key
    }

    /// The hash of the key.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.0.hash
    }

    /// Of two facts with one key the higher version holds.
    #[must_use]
    pub fn version(&self) -> FactVersion {
        self.0.version
    }

    /// What it says.
    #[must_use]
    pub fn fact(&self) -> &Fact {
        &self.0.fact
    }

    /// What the node says of itself, if it is that.
    #[must_use]
    pub fn recorded(&self) -> Option<&NodeRecord> {
        if let Fact::Record(record) = self.fact() { Some(record) } else { None }
    }

    /// The birth of a cell, if it is one.
    #[must_use]
    pub fn founding(&self) -> Option<&Founding> {
        if let Fact::Genesis(founding) = self.fact() { Some(founding) } else { None }
    }

    /// What a publisher wants, if it is that.
    #[must_use]
    pub fn deployed(&self) -> Option<&Deployment> {
        if let Fact::Deployment(deployment) = self.fact() { Some(deployment) } else { None }
    }

    /// The decision, if it is one of a register.
    #[must_use]
    pub fn decided(&self) -> Option<&VerifiedDecision> {
        if let Fact::Decision(decision) = self.fact() { Some(decision) } else { None }
    }

    /// The recovery, if it is one.
    #[must_use]
    pub fn recovered(&self) -> Option<&VerifiedRecovery> {
        if let Fact::Recovery(recovery) = self.fact() { Some(recovery) } else { None }
    }

    /// Who is out, if it says that of anybody.
    #[must_use]
    pub fn revoked(&self) -> Option<&VerifiedRevocation> {
        if let Fact::Revocation(revocation) = self.fact() { Some(revocation) } else { None }
    }

    /// The one node whose key says it and that may say the like as often as it wants: not operators, nor a quorum of voters, nor
    /// what is said once.
    #[must_use]
    pub fn origin(&self) -> Option<NodeId> {
        match self.fact() {
            Fact::Member(member) => Some(member.issuer()),
            Fact::Record(record) => Some(record.node),
            Fact::Accusation(charge) => charge.accusations().first().map(|accusation| accusation.accuser),
            Fact::Rollup(rollup) => Some(rollup.holder),
            Fact::Revocation(revocation) => match revocation.by() {
                RevokedBy::Issuer { issuer, .. } => Some(issuer),
                RevokedBy::Operators { .. } => None,
            },
            Fact::Genesis(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::Decision(_)
            | Fact::NodeClasses(_)
            | Fact::Recovery(_) => None,
        }
    }

    /// The fact to pass on, to be checked again where it arrives.
    #[must_use]
    pub fn signed(&self) -> &SignedFact {
        &self.0.signed
    }

    /// Bytes that it takes in a message or a file.
    pub(crate) fn size(&self) -> usize {
        self.0.size as usize
    }

    /// In which order facts can be taken in: certificates of members and who is out, geneses, then voter sets, ends of cells
    /// and recoveries after what they follow, then all else.
    #[must_use]
    pub fn turn(&self) -> (u32, &FactKey) {
        let turn = match (self.fact(), self.chartered()) {
            (Fact::Member(_) | Fact::Revocation(_), _) => 0,
            (_, Some(_)) => self.0.depth.saturating_add(1),
            (_, None) => u32::MAX,
        };
        (turn, self.key())
    }

    /// Of a decided voter set, the end of a cell or a recovery: the voter set, or the genesis, that it follows.
    #[must_use]
    pub fn prior(&self) -> Option<&Self> {
        self.0.prior.as_ref()
    }

    /// The fact that this node is a member, from a certificate that was verified.
    #[must_use]
    pub fn member(member: Member) -> Self {
        // The same order as `Member::supersedes`: rotations, serial, then the greater issuer.
        let tie = member.issuer().as_bytes().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
        let version = FactVersion { major: u64::from(member.rotations()), minor: member.serial(), tie };
        let signed = SignedFact::Member(Box::new(member.certificate().clone()));
        Self::proven(FactKey::Member(member.node()), version, Fact::Member(member), signed)
    }

    pub(crate) fn record(record: Verified<NodeRecord>) -> Self {
        let signed = SignedFact::Record(record.envelope().clone());
        let tie = tie(record.envelope());
        // A departure outlives whatever the node signs afterwards.
        let major = if record.state == NodeState::Left { u64::MAX } else { record.incarnation.0 };
        let version = FactVersion { major, minor: record.seq, tie };
        Self::proven(FactKey::Record(record.node), version, Fact::Record(record.into_inner()), signed)
    }

    pub(crate) fn accusation(charge: Charge) -> Self {
        let accusations = charge.accusations();
        let signed = SignedFact::Accusation(accusations.iter().map(|one| one.envelope().clone()).collect());
        // One accuser's word is as good as another's: of charges by as many the first to arrive stays.
        let minor = u64::try_from(accusations.len()).unwrap_or(0);
        let version = FactVersion { major: charge.incarnation().0, minor, tie: 0 };
        Self::proven(FactKey::Accusation(charge.accused()), version, Fact::Accusation(charge), signed)
    }

    pub(crate) fn rollup(rollup: Verified<Rollup>) -> Self {
        let signed = SignedFact::Rollup(rollup.envelope().clone());
        // Generations number recoveries and stay far below 2^16, terms far below 2^48.
        let major = rollup.generation.0.saturating_mul(1 << 48).saturating_add(rollup.term.0);
        let version = FactVersion { major, minor: rollup.window, tie: tie(rollup.envelope()) };
        Self::proven(FactKey::Rollup(rollup.cell), version, Fact::Rollup(rollup.into_inner()), signed)
    }

    /// The birth of a cell, from a genesis that was verified.
    #[must_use]
    pub fn genesis(birth: Birth) -> Self {
        let signed = SignedFact::Genesis(birth.genesis().envelope().clone());
        let version = FactVersion { major: 0, minor: 0, tie: 0 };
        Self::proven(FactKey::Genesis(birth.cell()), version, Fact::Genesis(Founding::new(birth)), signed)
    }

    pub(super) fn policy(policy: Policy, endorsed: Endorsed<Policy>) -> Self {
        let digest = endorsed.payload_digest();
        let version = FactVersion { major: policy.version.0, minor: 0, tie: hash64(digest.as_bytes()) };
        let key = match policy.parent {
            None => FactKey::Policy(policy.version),
            Some(_) => FactKey::PolicyChild(policy.version, digest),
        };
        Self::proven(key, version, Fact::Policy(policy, digest), SignedFact::Policy(endorsed))
    }

    pub(super) fn node_classes(classes: NodeClasses, endorsed: Endorsed<NodeClasses>) -> Self {
        let tie = hash64(endorsed.payload_digest().as_bytes());
        let version = FactVersion { major: classes.revision, minor: 0, tie };
        Self::proven(FactKey::NodeClasses, version, Fact::NodeClasses(classes), SignedFact::NodeClasses(endorsed))
    }

    pub(super) fn deployment(deployment: Deployment, endorsed: Endorsed<Deployment>) -> Self {
        let tie = hash64(endorsed.payload_digest().as_bytes());
        let version = FactVersion { major: deployment.revision, minor: 0, tie };
        let key = FactKey::Deployment(deployment.model.clone());
        Self::proven(key, version, Fact::Deployment(deployment), SignedFact::Deployment(endorsed))
    }

    /// The fact that a slot was decided, by voters that the roster knows.
    pub(crate) fn decision(decision: VerifiedDecision, roster: &Roster) -> Self {
        let cell = decision.value.cell;
        let before = || roster.charter_before(&cell, decision.value.point()).cloned();
        let (key, prior) = match &decision.value.content {
            Content::Configuration(next) => (FactKey::Configuration(cell, next.epoch), before()),
            Content::Placement(table) | Content::Takeover(Takeover { table, .. }) => {
                (FactKey::Placement(cell, table.epoch), None)
            }
            Content::Retirement(_) => (FactKey::Retirement(cell), None),
            Content::Split(_) | Content::MergeInto(_) => (FactKey::End(cell), before()),
            Content::Absorb(absorb) => (FactKey::Absorb(cell, absorb.source), None),
        };
        // Two certificates of one value differ in who signed; they say the same.
        let (major, minor) = (decision.value.generation.0, decision.value.slot.0);
        let version = FactVersion { major, minor, tie: hash64(decision.digest().as_bytes()) };
        let signed = SignedFact::Decision(Box::new(decision.decision().clone()));
        Self::following(prior, key, version, Fact::Decision(decision), signed)
    }

    /// The fact that a cell goes on in another generation, after the voters whom the operators name as the last.
    pub(super) fn recovery(recovery: VerifiedRecovery, endorsed: Endorsed<Recovery>, prior: Self) -> Self {
        let key = FactKey::Recovery(recovery.cell, recovery.generation);
        let (major, minor) = (recovery.generation.0, recovery.point().slot.0);
        let version = FactVersion { major, minor, tie: hash64(recovery.digest().as_bytes()) };
        let signed = SignedFact::Recovery(endorsed);
        Self::following(Some(prior), key, version, Fact::Recovery(recovery), signed)
    }

    /// The fact that a node is out. Of several by one signer that leaves least standing which names the lowest serial.
    pub(super) fn revocation(revocation: VerifiedRevocation, signed: SignedFact, digest: Sha256Digest) -> Self {
        let node = revocation.node();
        let (key, lowest) = match revocation.by() {
            RevokedBy::Operators { holds_up_to } => (FactKey::Revocation(node), holds_up_to),
            RevokedBy::Issuer { issuer, serial } => (FactKey::Withdrawal(node, issuer), serial),
        };
        let version = FactVersion { major: 0, minor: u64::MAX - lowest, tie: hash64(digest.as_bytes()) };
        Self::proven(key, version, Fact::Revocation(revocation), signed)
    }

    fn following(prior: Option<Self>, key: FactKey, version: FactVersion, fact: Fact, signed: SignedFact) -> Self {
        let depth = prior.as_ref().map_or(0, |prior: &Self| prior.0.depth.saturating_add(1));
        let size = u32::try_from(signed.size()).unwrap_or(u32::MAX);
        Self(Arc::new(Proven { hash: key.hash(), key, version, fact, signed, prior, depth, size }))
    }
}

fn tie<T: Domain>(signed: &Signed<T>) -> u64 {
    hash64(signed.payload())
}
