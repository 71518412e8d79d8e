//! The root of trust: a TUF `root.json` (TUF 1.0, §4.3) with the roles of the mesh in a signed field `x-mesh`.
//!
//! Operators hold its keys offline. It names the publishers of models (TUF's `targets`), who may admit nodes, revoke and
//! set policy, and which issuer gives birth to the cells of a region. The mesh is named after the first root: sha-256 of
//! its canonical `signed` object, so that signatures stay out of names. The file's layout: `docs/trust-formats.md`.

use crate::canonical;
use crate::digest::Sha256Digest;
use crate::id::{MeshId, NodeId};
use crate::key::{KeyId, SecretKey, Signature};
use crate::keyset::{KeySet, KeySetError};
use crate::name::MeshName;
use crate::region::Region;
use crate::root_json::{Document, DocumentSignature, RootJson};
use crate::time::{CLOCK_SKEW_S, DateError, UnixSeconds};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Bytes of a root file at most.
pub const ROOT_MAX: usize = 64 * 1024;

/// How long the statements under a root may hold; shorter means that a stolen key does less harm, and that a node may
/// stay away less long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetimes {
    /// Seconds that a membership certificate holds at most.
    pub membership_s: u64,
    /// Seconds that a delegation to an issuer holds at most.
    pub delegation_s: u64,
}

impl Lifetimes {
    /// How many seconds two clocks may differ before the dates of a statement are held against it: [`CLOCK_SKEW_S`], but no
    /// more than a quarter of a membership's life, or a certificate would be good for long after its end.
    #[must_use]
    pub const fn skew_s(&self) -> u64 {
        let quarter = self.membership_s / 4;
        if quarter < CLOCK_SKEW_S { quarter } else { CLOCK_SKEW_S }
    }
}

/// Which issuer alone signs the genesis of the cells of a region; one per region, or a region could be born twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisIssuers {
    /// The issuer for every region that is not listed.
    pub default: NodeId,
    /// Regions with an issuer of their own.
    pub regions: BTreeMap<Region, NodeId>,
}

/// What a root says, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDraft {
    /// 1 for the root that founds a mesh, one more for each that follows.
    pub version: u64,
    /// When operators should have replaced it.
    pub expires: UnixSeconds,
    /// The mesh's name for people.
    pub name: MeshName,
    /// The operators: sign roots.
    pub root: KeySet,
    /// The publishers: say which artifacts are valid.
    pub targets: KeySet,
    /// Sign TUF's list of current metadata.
    pub snapshot: KeySet,
    /// Sign TUF's proof of freshness.
    pub timestamp: KeySet,
    /// Delegate to issuers.
    pub membership: KeySet,
    /// Revoke nodes and issuers.
    pub revocation: KeySet,
    /// Sign policy.
    pub policy: KeySet,
    /// Who signs the genesis of cells.
    pub genesis: GenesisIssuers,
    /// How long statements may hold.
    pub lifetimes: Lifetimes,
}

impl RootDraft {
    /// The root file under the signatures of these keys. Whether they suffice is for [`TrustRoot::parse`] and
    /// [`TrustRoot::successor`] to say.
    #[must_use]
    pub fn sign(&self, keys: &[&SecretKey]) -> Vec<u8> {
        let signed = serde_json::to_value(RootJson::of(self)).expect("a root has string names only");
        let message = canonical::to_vec(&signed).expect("a root has no fractions");
        let signatures: BTreeMap<_, _> =
            keys.iter().map(|key| (KeyId::of(&key.public()), key.sign_raw(&message))).collect();
        let signatures = signatures
            .into_iter()
            .map(|(keyid, sig)| DocumentSignature { keyid: keyid.to_string(), sig: sig.to_string() })
            .collect();
        let document = serde_json::to_value(Document { signatures, signed }).expect("a root has string names only");
        // Canonical as a whole, so that the file does not depend on how a JSON library orders names.
        canonical::to_vec(&document).expect("a root has no fractions")
    }
}

/// Why bytes are not a root to trust. The file, or who sent it, is at fault; what was trusted before stays so.
#[derive(Debug, Error)]
pub enum RootError {
    /// Longer than [`ROOT_MAX`].
    #[error("root of {0} bytes where 65536 are the most")]
    TooLong(usize),
    /// Not JSON, or not of a root's shape.
    #[error("malformed root")]
    Malformed(#[source] serde_json::Error),
    /// Another major version of TUF: upgrade this node.
    #[error("root of TUF specification {0:?}")]
    UnsupportedSpecification(String),
    /// An `x-mesh` of a later release: upgrade this node.
    #[error("root with mesh roles of version {0}")]
    UnsupportedVersion(u64),
    /// The expiry is no date.
    #[error("root without a readable expiry")]
    Expires(#[source] DateError),
    /// A role lists a key that the root does not hold.
    #[error("{role} key {keyid} that the root does not hold")]
    UnknownKey {
        /// The role.
        role: &'static str,
        /// The key's id.
        keyid: KeyId,
    },
    /// A key is not ed25519, unusable, or listed under the id of another.
    #[error("unusable {role} key {keyid}")]
    BadKey {
        /// The role.
        role: &'static str,
        /// The id under which it is listed.
        keyid: KeyId,
    },
    /// A role's keys and threshold make no sense.
    #[error("{role} role that nobody or everybody satisfies")]
    Role {
        /// The role.
        role: &'static str,
        /// What is wrong with it.
        #[source]
        source: KeySetError,
    },
    /// Too few operators signed.
    #[error("{valid} valid signatures of operators, {threshold} needed")]
    BelowThreshold {
        /// Distinct operators whose signature holds.
        valid: usize,
        /// How many have to sign.
        threshold: usize,
    },
    /// A mesh is founded by version 1; later versions are reached from it one by one.
    #[error("root of version {found} where version {expected} has to follow")]
    OutOfSequence {
        /// The version that may come.
        expected: u64,
        /// The version that came.
        found: u64,
    },
}

/// A root under the signatures it demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoot {
    mesh: MeshId,
    content: RootDraft,
}

impl TrustRoot {
    /// Reads the root that founds a mesh. It vouches for itself: whether this is the mesh that was meant shows in
    /// [`TrustRoot::mesh`], which has to be compared with an id that came another way.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RootError> {
        let Opened { content, message, signatures } = open(bytes)?;
        in_sequence(1, &content)?;
        endorsed(&content.root, &message, &signatures)?;
        Ok(Self { mesh: MeshId::from_bytes(*Sha256Digest::of(&message).as_bytes()), content })
    }

    /// Reads the root that follows this one: one version higher, and signed by the operators of both (TUF 1.0, §5.3).
    ///
    /// # Errors
    /// [`RootError`]; this root stays in force.
    pub fn successor(&self, bytes: &[u8]) -> Result<Self, RootError> {
        let Opened { content, message, signatures } = open(bytes)?;
        in_sequence(self.content.version.saturating_add(1), &content)?;
        endorsed(&self.content.root, &message, &signatures)?;
        endorsed(&content.root, &message, &signatures)?;
        Ok(Self { mesh: self.mesh, content })
    }

    /// The mesh: named after its first root.
    #[must_use]
    pub const fn mesh(&self) -> MeshId {
        self.mesh
    }

    /// Everything that the root says.
    #[must_use]
    pub const fn content(&self) -> &RootDraft {
        &self.content
    }

    /// The mesh's name for people.
    #[must_use]
    pub const fn name(&self) -> &MeshName {
        &self.content.name
    }

    /// 1 for the first root.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.content.version
    }

    /// When operators should have replaced it. A root past this date still verifies: a mesh that was left alone must
    /// keep working, and its operators be told.
    #[must_use]
    pub const fn expires(&self) -> UnixSeconds {
        self.content.expires
    }

    /// Who says which artifacts are valid.
    #[must_use]
    pub const fn publishers(&self) -> &KeySet {
        &self.content.targets
    }

    /// Who delegates to issuers.
    #[must_use]
    pub const fn membership(&self) -> &KeySet {
        &self.content.membership
    }

    /// Who revokes nodes and issuers.
    #[must_use]
    pub const fn revocation(&self) -> &KeySet {
        &self.content.revocation
    }

    /// Who signs policy.
    #[must_use]
    pub const fn policy(&self) -> &KeySet {
        &self.content.policy
    }

    /// The one issuer that signs the genesis of this region's cells.
    #[must_use]
    pub fn genesis_issuer(&self, region: &Region) -> NodeId {
        *self.content.genesis.regions.get(region).unwrap_or(&self.content.genesis.default)
    }

    /// Whether that node signs the genesis of some region's cells.
    #[must_use]
    pub fn founds_cells(&self, node: &NodeId) -> bool {
        let genesis = &self.content.genesis;
        genesis.default == *node || genesis.regions.values().any(|issuer| issuer == node)
    }

    /// How long the statements under this root may hold.
    #[must_use]
    pub const fn lifetimes(&self) -> Lifetimes {
        self.content.lifetimes
    }

    /// How many seconds two clocks of this mesh may differ: [`Lifetimes::skew_s`]. One figure for all who judge dates: a
    /// handshake that admits a member whose facts are refused would help nobody.
    #[must_use]
    pub const fn skew_s(&self) -> u64 {
        self.content.lifetimes.skew_s()
    }
}

struct Opened {
    content: RootDraft,
    message: Vec<u8>,
    signatures: Vec<DocumentSignature>,
}

fn open(bytes: &[u8]) -> Result<Opened, RootError> {
    if bytes.len() > ROOT_MAX {
        return Err(RootError::TooLong(bytes.len()));
    }
    let Document { signatures, signed } = serde_json::from_slice(bytes).map_err(RootError::Malformed)?;
    // Signed is what the file says, fields of later releases included, so this comes from the untyped value.
    let message = canonical::to_vec(&signed).map_err(RootError::Malformed)?;
    let content = serde_json::from_value::<RootJson>(signed).map_err(RootError::Malformed)?.content()?;
    Ok(Opened { content, message, signatures })
}

fn in_sequence(expected: u64, content: &RootDraft) -> Result<(), RootError> {
    let found = content.version;
    if found == expected { Ok(()) } else { Err(RootError::OutOfSequence { expected, found }) }
}

/// Whether enough keys of the set signed. Signatures of others are no fault: a root carries those of two generations.
fn endorsed(set: &KeySet, message: &[u8], signatures: &[DocumentSignature]) -> Result<(), RootError> {
    let signer = |signature: &DocumentSignature| {
        let keyid: KeyId = signature.keyid.parse().ok()?;
        let sig: Signature = signature.sig.parse().ok()?;
        set.key(&keyid)?.verify_raw(message, &sig).ok()?;
        Some(keyid)
    };
    let valid = signatures.iter().filter_map(signer).collect::<BTreeSet<_>>().len();
    let threshold = set.threshold();
    if valid >= threshold { Ok(()) } else { Err(RootError::BelowThreshold { valid, threshold }) }
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
