//! What a node that renews its certificate sends, and what an issuer answers.

use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::membership::{CERTIFICATE_MAX, Certificate};
use hedgerow_attest::region::Region;
use hedgerow_attest::renewal::RenewalProof;
use hedgerow_attest::signed::Signed;
use hedgerow_attest::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::keys::NodeIdentity;
use super::versioned::{self, Unread};

/// A request for a certificate that follows the one that it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalRequest {
    /// The node's present certificate, ended or not.
    pub certificate: Certificate,
    /// The node's clock, so that one that is far off is noticed before a certificate is issued by the other.
    pub at: UnixSeconds,
}

/// The same with proof of the certificate's keys, as the join lane needs it, where the handshake asks for no membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenRenewal {
    /// What is asked for.
    pub request: RenewalRequest,
    /// By the statement key of the certificate, for this connection.
    pub proof: Signed<RenewalProof>,
}

/// The answer to either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RenewalAnswer {
    /// The certificate from here on.
    Renewed(Box<Certificate>),
    /// There is none.
    Refused(RenewalRefusal),
}

/// Why a certificate is not renewed, in the issuer's words. No serial was taken.
///
/// The order of the variants is the wire format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RenewalRefusal {
    /// The request is no request.
    #[error("it could not read the request; run the same release on both nodes")]
    Malformed,
    /// The request is of another release.
    #[error("it does not know requests of version {version}; upgrade it")]
    UnsupportedVersion {
        /// The request's version.
        version: u8,
    },
    /// The node that was asked does not issue.
    #[error("it is no issuer of this mesh, or its right to issue has ended; see that another issuer runs")]
    NotIssuing,
    /// The keys of the certificate are not those of the connection, or the proof is not for it.
    #[error(
        "the keys of this node are not proven to be those of its certificate; restore identity.key and inception.bin from one backup"
    )]
    BadProof,
    /// The certificate would make nobody a member at any time.
    #[error("the certificate of this node is none of its mesh; join with a fresh ticket and an empty folder")]
    NotAMember,
    /// The certificate is that of another node than the one at the other end of the link.
    #[error("the certificate is that of another node; restore membership.bin from a backup")]
    OtherNode,
    /// The two clocks differ too much for dates to mean anything.
    #[error("the clocks differ, {asking} here and {issuer} there; set the one that is wrong")]
    ClockSkew {
        /// The issuer's clock.
        issuer: UnixSeconds,
        /// The asking node's clock.
        asking: UnixSeconds,
    },
    /// The node left its mesh for good.
    #[error("this node left the mesh for good; join as another node with a fresh ticket and an empty folder")]
    Left,
    /// The certificate names another region than the last one that the mesh knows of the node.
    #[error("the mesh knows this node in region {known}; restore membership.bin from a backup")]
    WrongRegion {
        /// The region by the last certificate that is known there.
        known: Region,
    },
    /// The certificate is to be renewed later.
    #[error("its certificate is renewed from {from} on; set the clock that is wrong")]
    TooSoon {
        /// First second at which it is renewed.
        from: UnixSeconds,
    },
    /// The right of the issuer to issue ends no later than the certificate.
    #[error(
        "its right to issue ends at {not_after}; see that another issuer runs, or have the operators delegate to it again"
    )]
    RightEnds {
        /// Last second of that right.
        not_after: UnixSeconds,
    },
    /// The issuer failed.
    #[error("it failed to record the renewal; see its log")]
    Unavailable,
    /// The node was put out for good. Any member answers that, issuer or not.
    #[error("this node was put out of the mesh for good; join as another node with a fresh ticket and an empty folder")]
    Revoked {
        /// The fact by which it was, to be checked by the node itself.
        #[serde(deserialize_with = "bounded_vec::<_, _, EVIDENCE_BYTES_MAX>")]
        evidence: Vec<u8>,
    },
}

impl RenewalRequest {
    /// The bytes for a member's link: a version byte and postcard.
    pub fn encode(&self) -> Vec<u8> {
        versioned::write(VERSION, self)
    }

    /// Reads what came over a member's link, and checks nothing but its shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, RenewalRefusal> {
        decode(VERSION, bytes)
    }
}

impl ProvenRenewal {
    /// The request of this node for the connection with this exported keying material.
    pub fn new(request: RenewalRequest, identity: &NodeIdentity, exporter: &[u8; 32]) -> Result<Self, RenewalRefusal> {
        let shown = request.certificate.membership.peek().map_err(|_unread| RenewalRefusal::NotAMember)?;
        let proof = RenewalProof::sign(shown.mesh, shown.node, shown.serial, exporter, identity.statement());
        Ok(Self { request, proof })
    }

    /// Whether a request on the join lane is one to renew, and none to join.
    pub fn is_meant(body: &[u8]) -> bool {
        body.first() == Some(&PROVEN_VERSION)
    }

    /// The bytes for the join lane: a version byte, which no request to join has, and postcard.
    pub fn encode(&self) -> Vec<u8> {
        versioned::write(PROVEN_VERSION, self)
    }

    /// Reads what came on the join lane, and checks nothing but its shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, RenewalRefusal> {
        decode(PROVEN_VERSION, bytes)
    }
}

/// Who asks for a renewal, by what it shows and before any check: for whoever answers that the node is out.
pub fn claimed_node(body: &[u8], proven: bool) -> Option<NodeId> {
    let certificate = if proven {
        ProvenRenewal::decode(body).ok()?.request.certificate
    } else {
        RenewalRequest::decode(body).ok()?.certificate
    };
    Some(certificate.membership.peek().ok()?.node)
}

impl RenewalAnswer {
    /// The bytes to send: a version byte and postcard.
    pub fn encode(&self) -> Vec<u8> {
        versioned::write(VERSION, self)
    }

    /// Reads an answer and checks nothing but its shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, RenewalRefusal> {
        decode(VERSION, bytes)
    }
}

impl RenewalRefusal {
    /// A short name for counters.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "renewal_malformed",
            Self::UnsupportedVersion { .. } => "renewal_unsupported_version",
            Self::NotIssuing => "renewal_not_issuing",
            Self::BadProof => "renewal_bad_proof",
            Self::NotAMember => "renewal_not_a_member",
            Self::OtherNode => "renewal_other_node",
            Self::ClockSkew { .. } => "renewal_clock_skew",
            Self::Left => "renewal_left",
            Self::WrongRegion { .. } => "renewal_wrong_region",
            Self::TooSoon { .. } => "renewal_too_soon",
            Self::RightEnds { .. } => "renewal_right_ends",
            Self::Unavailable => "renewal_unavailable",
            Self::Revoked { .. } => "renewal_revoked",
        }
    }
}

fn decode<T: for<'de> Deserialize<'de>>(version: u8, bytes: &[u8]) -> Result<T, RenewalRefusal> {
    if bytes.len() > BYTES_MAX {
        return Err(RenewalRefusal::Malformed);
    }
    versioned::read(version, bytes).map_err(|unread| match unread {
        Unread::Version(version) => RenewalRefusal::UnsupportedVersion { version },
        Unread::Malformed => RenewalRefusal::Malformed,
    })
}

const VERSION: u8 = 1;
/// Requests to join are of version 1 on that lane.
const PROVEN_VERSION: u8 = 2;
/// A revocation under nine signatures has less, and a withdrawal too.
const EVIDENCE_BYTES_MAX: usize = 4 * 1024;
/// A certificate, and less than 300 bytes more.
const BYTES_MAX: usize = CERTIFICATE_MAX + 512;

#[cfg(test)]
mod tests {
    use hedgerow_attest::digest::Sha256Digest;
    use hedgerow_attest::testing::SampleMesh;
    use proptest::prelude::*;

    use super::super::testing::{NOW, founded};
    use super::*;

    #[test]
    fn requests_and_answers_survive_the_wire_and_no_kind_is_taken_for_another() {
        let mesh = founded();
        let certificate = mesh.member().certificate().clone();
        let request = RenewalRequest { certificate: certificate.clone(), at: NOW };
        let proven = ProvenRenewal::new(request.clone(), mesh.identity(), &[5; 32]).unwrap();
        assert_eq!(RenewalRequest::decode(&request.encode()), Ok(request.clone()));
        assert_eq!(ProvenRenewal::decode(&proven.encode()), Ok(proven.clone()));
        assert!(ProvenRenewal::is_meant(&proven.encode()) && !ProvenRenewal::is_meant(&request.encode()));
        assert_eq!(
            RenewalRequest::decode(&proven.encode()),
            Err(RenewalRefusal::UnsupportedVersion { version: PROVEN_VERSION })
        );
        assert_eq!(
            super::super::JoinRequest::decode(&proven.encode()),
            Err(super::super::JoinRefusal::UnsupportedVersion { version: PROVEN_VERSION }),
            "as an issuer of an earlier release answers"
        );
        let answer = RenewalAnswer::Renewed(Box::new(certificate));
        assert_eq!(RenewalAnswer::decode(&answer.encode()), Ok(answer));
        let mut long = request.encode();
        long.push(0);
        assert_eq!(RenewalRequest::decode(&long), Err(RenewalRefusal::Malformed));
        assert_eq!(RenewalRequest::decode(&[]), Err(RenewalRefusal::Malformed));
        assert_eq!(RenewalRequest::decode(&vec![VERSION; BYTES_MAX + 1]), Err(RenewalRefusal::Malformed));
    }

    #[test]
    fn requests_and_the_renewed_answer_are_frozen() {
        let mesh = SampleMesh::new(1);
        let (keys, member) = (mesh.keys(5), mesh.member(5, "eu"));
        let certificate = member.certificate().clone();
        let request = RenewalRequest { certificate: certificate.clone(), at: UnixSeconds(300) };
        let proof = RenewalProof::sign(mesh.root().mesh(), member.node(), member.serial(), &[5; 32], &keys.statement);
        // The certificate is without its version byte in all three.
        let shown = &certificate.to_bytes()[1..];
        assert_eq!(request.encode(), [&[1], shown, &[0xac, 0x02]].concat());
        let proven = ProvenRenewal { request, proof: proof.clone() };
        assert_eq!(proven.encode(), [&[2], shown, &[0xac, 0x02], &proof.to_bytes()].concat());
        let answer = RenewalAnswer::Renewed(Box::new(certificate));
        assert_eq!(answer.encode(), [&[1, 0], shown].concat());
        let digests = [proven.encode(), answer.encode()].map(|bytes| Sha256Digest::of(&bytes).to_string());
        assert_eq!(digests.each_ref().map(|digest| &digest[..16]), ["0dde4e31783cce57", "b7086ee6f25b63a8"]);
    }

    #[test]
    fn the_refusals_are_frozen() {
        let now = UnixSeconds(1);
        let frozen: [(RenewalRefusal, &[u8]); 13] = [
            (RenewalRefusal::Malformed, &[0]),
            (RenewalRefusal::UnsupportedVersion { version: 9 }, &[1, 9]),
            (RenewalRefusal::NotIssuing, &[2]),
            (RenewalRefusal::BadProof, &[3]),
            (RenewalRefusal::NotAMember, &[4]),
            (RenewalRefusal::OtherNode, &[5]),
            (RenewalRefusal::ClockSkew { issuer: now, asking: UnixSeconds(2) }, &[6, 1, 2]),
            (RenewalRefusal::Left, &[7]),
            (RenewalRefusal::WrongRegion { known: "eu".parse().unwrap() }, &[8, 2, b'e', b'u']),
            (RenewalRefusal::TooSoon { from: now }, &[9, 1]),
            (RenewalRefusal::RightEnds { not_after: now }, &[10, 1]),
            (RenewalRefusal::Unavailable, &[11]),
            (RenewalRefusal::Revoked { evidence: vec![7, 8] }, &[12, 2, 7, 8]),
        ];
        for (refusal, bytes) in frozen {
            let answer = RenewalAnswer::Refused(refusal);
            assert_eq!(answer.encode(), [&[1, 1], bytes].concat());
            assert_eq!(RenewalAnswer::decode(&answer.encode()), Ok(answer));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _refused = RenewalRequest::decode(&bytes).is_err();
            let _refused = ProvenRenewal::decode(&[&[PROVEN_VERSION], bytes.as_slice()].concat()).is_err();
            let _refused = RenewalAnswer::decode(&bytes).is_err();
        }
    }
}
