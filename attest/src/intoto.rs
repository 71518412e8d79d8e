//! in-toto Statements v1 (in-toto/attestation, `spec/v1/statement.md`): claims about things that are named by digest.
//!
//! Every subject carries a sha-256 and a BLAKE3 digest: the first is what other tools read, the second is what bulk
//! bytes are checked with.

use crate::digest::{Blake3Digest, Sha256Digest};
use crate::dsse::{DsseError, Envelope};
use crate::key::{KeyId, SecretKey};
use crate::keyset::KeySet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use thiserror::Error;

/// The DSSE payload type of a Statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The `_type` of a Statement v1.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// Subjects of one Statement at most.
pub const SUBJECTS_MAX: usize = 256;

/// Why an envelope carries no Statement to believe.
#[derive(Debug, Error)]
pub enum StatementError {
    /// Not enough trusted keys signed.
    #[error("statement that nobody trusted signed")]
    Signature(#[source] DsseError),
    /// The envelope carries something else.
    #[error("payload of type {0:?}")]
    PayloadType(String),
    /// The payload is not JSON of a Statement's shape, or a subject lacks one of the two digests.
    #[error("malformed statement")]
    Malformed(#[source] serde_json::Error),
    /// Another version of Statement: upgrade this node.
    #[error("statement of type {0:?}")]
    UnsupportedVersion(String),
    /// None, or more than [`SUBJECTS_MAX`].
    #[error("statement with {0} subjects, 1 to 256 allowed")]
    Subjects(usize),
}

/// A claim about subjects; what it claims is the predicate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Value,
}

/// One thing that a Statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Tells the subjects of one Statement apart; the digests say what it is.
    pub name: String,
    /// Both digests of the same bytes.
    pub digest: SubjectDigest,
}

/// The digests of a subject. Digests by other algorithms are ignored when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectDigest {
    /// What other tools check.
    pub sha256: Sha256Digest,
    /// What bulk transfer checks.
    pub blake3: Blake3Digest,
}

impl Subject {
    /// The subject with this content.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        let digest = SubjectDigest { sha256: Sha256Digest::of(bytes), blake3: Blake3Digest::of(bytes) };
        Self { name: name.into(), digest }
    }
}

impl Statement {
    /// A claim of this type about these subjects.
    ///
    /// # Errors
    /// [`StatementError::Subjects`] without subjects or with more than [`SUBJECTS_MAX`].
    pub fn new(subject: Vec<Subject>, predicate_type: &str, predicate: Value) -> Result<Self, StatementError> {
        let statement = Self { kind: STATEMENT_TYPE.into(), subject, predicate_type: predicate_type.into(), predicate };
        statement.checked()
    }

    /// Signs the Statement in an envelope.
    #[must_use]
    pub fn sign(&self, keys: &[&SecretKey]) -> Envelope {
        let payload = serde_json::to_vec(self).expect("a statement has string names only");
        Envelope::sign(PAYLOAD_TYPE, payload, keys)
    }

    /// The Statement in an envelope that enough trusted keys signed.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn open(envelope: &Envelope, trusted: &KeySet) -> Result<VerifiedStatement, StatementError> {
        let vouched = envelope.verify(trusted).map_err(StatementError::Signature)?;
        if vouched.payload_type() != PAYLOAD_TYPE {
            return Err(StatementError::PayloadType(vouched.payload_type().into()));
        }
        let statement: Self = serde_json::from_slice(vouched.payload()).map_err(StatementError::Malformed)?;
        if statement.kind != STATEMENT_TYPE {
            return Err(StatementError::UnsupportedVersion(statement.kind));
        }
        Ok(VerifiedStatement { statement: statement.checked()?, signers: vouched.signers().clone() })
    }

    /// What it is about.
    #[must_use]
    pub fn subjects(&self) -> &[Subject] {
        &self.subject
    }

    /// A URI that names the kind of claim.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// The claim.
    #[must_use]
    pub fn predicate(&self) -> &Value {
        &self.predicate
    }

    fn checked(self) -> Result<Self, StatementError> {
        match self.subject.len() {
            1..=SUBJECTS_MAX => Ok(self),
            count => Err(StatementError::Subjects(count)),
        }
    }
}

/// A Statement that trusted keys signed; made by [`Statement::open`] only.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedStatement {
    statement: Statement,
    signers: BTreeSet<KeyId>,
}

impl VerifiedStatement {
    /// The Statement.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The trusted keys that signed it.
    #[must_use]
    pub fn signers(&self) -> &BTreeSet<KeyId> {
        &self.signers
    }
}

#[cfg(test)]
#[path = "intoto_tests.rs"]
mod tests;
