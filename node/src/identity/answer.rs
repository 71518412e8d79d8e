//! What an issuer answers.

use std::net::SocketAddr;

use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::genesis::Genesis;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::signed::Signed;
use hedgerow_protocol::placement::Policy;
use serde::{Deserialize, Serialize};

use super::refusal::JoinRefusal;
use super::versioned::{self, Unread};

/// The answer to a request to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinAnswer {
    /// The node is a member.
    Welcome(Box<Welcome>),
    /// It is not.
    Refused(JoinRefusal),
}

/// What a fresh member needs to start. Every part proves itself under the root, and the root is the ticket's mesh or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// `root.json` as the operators signed it.
    #[serde(deserialize_with = "bounded_vec::<_, _, ANSWER_BYTES_MAX>")]
    pub root: Vec<u8>,
    /// The node's certificate.
    pub certificate: Certificate,
    /// Geneses of regions, the node's own first.
    #[serde(deserialize_with = "bounded_vec::<_, _, GENESES_MAX>")]
    pub geneses: Vec<Signed<Genesis>>,
    /// The policy in force.
    pub policy: Option<Endorsed<Policy>>,
    /// Members to begin with, the issuer first.
    #[serde(deserialize_with = "bounded_vec::<_, _, KNOWN_MEMBERS_MAX>")]
    pub members: Vec<KnownMember>,
}

/// A member and where it may be dialled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownMember {
    /// Its certificate.
    pub certificate: Certificate,
    /// Where it listens, best first.
    #[serde(deserialize_with = "bounded_vec::<_, _, ADDRESSES_MAX>")]
    pub addresses: Vec<SocketAddr>,
}

/// Why bytes are no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Longer than an answer may be.
    #[error("read an answer of {found} bytes, {ANSWER_BYTES_MAX} are the most")]
    TooLong {
        /// Its bytes.
        found: usize,
    },
    /// Of a later release: upgrade this node.
    #[error("read an answer of version {0}, which this release does not know")]
    UnsupportedVersion(u8),
    /// Cut short, out of bounds, or followed by something else.
    #[error("read a malformed answer")]
    Malformed,
}

impl JoinAnswer {
    /// The bytes to send: a version byte and postcard. Members beyond what fits into [`ANSWER_BYTES_MAX`] are left out,
    /// because the node will hear of them from those that are in; without the rest the answer would be of no use.
    pub fn encode(&self) -> Result<Vec<u8>, AnswerError> {
        let mut answer = self.clone();
        loop {
            let bytes = versioned::write(VERSION, &answer);
            let found = bytes.len();
            if found <= ANSWER_BYTES_MAX {
                return Ok(bytes);
            }
            match &mut answer {
                // The issuer is first and has to stay.
                Self::Welcome(welcome) if welcome.members.len() > 1 => welcome.members.pop(),
                Self::Welcome(_) | Self::Refused(_) => return Err(AnswerError::TooLong { found }),
            };
        }
    }

    /// Reads an answer and checks nothing but its shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, AnswerError> {
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(AnswerError::TooLong { found: bytes.len() });
        }
        versioned::read(VERSION, bytes).map_err(|unread| match unread {
            Unread::Version(version) => AnswerError::UnsupportedVersion(version),
            Unread::Malformed => AnswerError::Malformed,
        })
    }
}

const VERSION: u8 = 1;
/// Bytes of an answer at most. The longest root, policy, certificate and geneses have less than half of it, so that there is always
/// room for the issuer.
pub const ANSWER_BYTES_MAX: usize = crate::net::limits::JOIN_ANSWER_BYTES_MAX;
/// Members in one answer; two would do, more survive that some are down.
pub const KNOWN_MEMBERS_MAX: usize = 16;
/// Geneses in one answer.
pub(super) const GENESES_MAX: usize = 64;
/// As many as a ticket or a record carries.
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use hedgerow_attest::digest::Sha256Digest;
    use hedgerow_attest::testing::SampleMesh;
    use hedgerow_protocol::id::PolicyVersion;

    use super::super::testing::welcome;
    use super::*;

    #[test]
    fn a_welcome_survives_the_wire_and_other_versions_do_not() {
        let answer = JoinAnswer::Welcome(Box::new(welcome(2)));
        let mut bytes = answer.encode().unwrap();
        assert_eq!(JoinAnswer::decode(&bytes), Ok(answer));
        bytes.push(0);
        assert_eq!(JoinAnswer::decode(&bytes), Err(AnswerError::Malformed));
        bytes[0] = 2;
        assert_eq!(JoinAnswer::decode(&bytes), Err(AnswerError::UnsupportedVersion(2)));
        let found = ANSWER_BYTES_MAX + 1;
        assert_eq!(JoinAnswer::decode(&vec![1; found]), Err(AnswerError::TooLong { found }));
    }

    #[test]
    fn the_welcome_is_frozen() {
        let mesh = SampleMesh::new(1);
        let (issuer, member) = (mesh.member(0, "eu"), mesh.member(5, "eu"));
        let birth = mesh.birth("eu", &issuer);
        let policy = Policy { version: PolicyVersion(1), parent: None, classes: vec![] };
        let policy = Endorsed::sign(&policy, &[mesh.policy()]);
        let addresses = vec!["192.0.2.1:4334".parse().unwrap()];
        let answer = JoinAnswer::Welcome(Box::new(Welcome {
            root: b"root".to_vec(),
            certificate: member.certificate().clone(),
            geneses: vec![birth.genesis().envelope().clone()],
            policy: Some(policy.clone()),
            members: vec![KnownMember { certificate: issuer.certificate().clone(), addresses }],
        }));
        let bytes = answer.encode().unwrap();
        // Certificates are without their version byte here.
        let frozen = [
            b"\x01\x00\x04root",
            &member.certificate().to_bytes()[1..],
            &[1],
            &birth.genesis().envelope().to_bytes(),
            &[1],
            &policy.to_bytes(),
            &[1],
            &issuer.certificate().to_bytes()[1..],
            &[1, 0, 192, 0, 2, 1, 0xee, 0x21],
        ];
        assert_eq!(bytes, frozen.concat());
        assert_eq!((bytes.len(), Sha256Digest::of(&bytes).to_string().as_str()), (1_898, FROZEN));
        assert_eq!(JoinAnswer::decode(&bytes), Ok(answer));
    }

    const FROZEN: &str = "1fa0f7782dd0a22e10e07d7f6697c6d3ee9cc0ffeb51fbae3bb98a6527ac14bd";

    #[test]
    fn members_that_do_not_fit_are_left_out_from_the_end() {
        let mut full = welcome(2);
        let others: Vec<_> = full.members.iter().skip(1).cycle().take(30).cloned().collect();
        full.members.extend(others);
        full.root = vec![b' '; ANSWER_BYTES_MAX - 8_000];
        let bytes = JoinAnswer::Welcome(Box::new(full.clone())).encode().unwrap();
        assert!(bytes.len() <= ANSWER_BYTES_MAX && bytes.len() > ANSWER_BYTES_MAX - 2_048);
        let JoinAnswer::Welcome(read) = JoinAnswer::decode(&bytes).unwrap() else { panic!("a welcome") };
        assert_eq!(read.members[..], full.members[..read.members.len()]);
        assert_eq!((read.root, read.certificate), (full.root, full.certificate));

        let mut endless = welcome(1);
        endless.root = vec![b' '; ANSWER_BYTES_MAX];
        assert!(matches!(JoinAnswer::Welcome(Box::new(endless)).encode(), Err(AnswerError::TooLong { .. })));
    }

    #[test]
    fn a_refusal_survives_the_wire() {
        let answer = JoinAnswer::Refused(JoinRefusal::UsedUp);
        assert_eq!(answer.encode().unwrap(), [1, 1, 8]);
        assert_eq!(JoinAnswer::decode(&[1, 1, 8]), Ok(answer));
    }
}
