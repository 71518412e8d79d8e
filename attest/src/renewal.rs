//! Proof that whoever asks for a renewal holds the keys of the certificate that it shows, on this very connection.
//!
//! The connection proves the transport key. The proof adds the statement key, and is void on another connection: it is made
//! over keying material that only the two ends of one TLS session share (RFC 8446, §7.5).

use crate::id::{MeshId, NodeId};
use crate::key::SecretKey;
use crate::member::RenewalClaim;
use crate::peer_id::PeerId;
use crate::signed::{Domain, Signed, VerifyError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of renewal proofs.
pub const VERSION: u8 = 1;

/// What whoever asks for a renewal signs with the statement key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalProof {
    /// 1.
    pub version: u8,
    /// The mesh.
    pub mesh: MeshId,
    /// Who asks.
    pub node: NodeId,
    /// The serial of the certificate that is shown.
    pub serial: u64,
    /// Keying material exported from the TLS session.
    pub exporter: [u8; 32],
}

impl Domain for RenewalProof {
    const DOMAIN: &'static str = "hedgerow/renewal/1";
    const PAYLOAD_MAX: usize = 128;
}

/// Why a proof proves nothing; whoever sent it does not hold the keys, or repeats what somebody else sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The connection proved another transport key than the certificate names.
    #[error("certificate of peer {claimed} shown by peer {proven}")]
    OtherPeer {
        /// Whose transport key the certificate names.
        claimed: PeerId,
        /// Whose the connection proved.
        proven: PeerId,
    },
    /// The statement key of the certificate did not sign it.
    #[error("proof that the node's statement key did not sign")]
    Signature(#[source] VerifyError),
    /// Written in a version that this release does not know: upgrade this node.
    #[error("renewal proof of version {0}")]
    UnsupportedVersion(u8),
    /// It speaks of another certificate than the one that is shown.
    #[error("proof for another certificate")]
    OtherCertificate,
    /// It was made for another connection.
    #[error("proof for another connection")]
    OtherConnection,
}

impl RenewalProof {
    /// The proof for a certificate of that serial, signed.
    #[must_use]
    pub fn sign(mesh: MeshId, node: NodeId, serial: u64, exporter: &[u8; 32], statement: &SecretKey) -> Signed<Self> {
        Signed::sign(&Self { version: VERSION, mesh, node, serial, exporter: *exporter }, statement)
    }
}

impl RenewalClaim {
    /// Whether the proof was made by the holder of the certificate's keys for the connection that proved `peer` and exports
    /// this keying material.
    ///
    /// # Errors
    /// [`ProofError`], the first check that fails.
    pub fn verify_proof(
        &self,
        proof: &Signed<RenewalProof>,
        peer: PeerId,
        exporter: &[u8; 32],
    ) -> Result<(), ProofError> {
        if self.peer() != peer {
            return Err(ProofError::OtherPeer { claimed: self.peer(), proven: peer });
        }
        let membership = self.membership();
        let proof = proof.verify(&membership.statement).map_err(ProofError::Signature)?;
        if proof.version != VERSION {
            return Err(ProofError::UnsupportedVersion(proof.version));
        }
        if (proof.mesh, proof.node, proof.serial) != (membership.mesh, membership.node, membership.serial) {
            return Err(ProofError::OtherCertificate);
        }
        if proof.exporter != *exporter {
            return Err(ProofError::OtherConnection);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256Digest;
    use crate::testing::{NodeKeys, SampleMesh};

    const EXPORTER: [u8; 32] = [7; 32];

    fn claim(mesh: &SampleMesh, keys: &NodeKeys) -> RenewalClaim {
        let certificate = mesh.certificate(keys, &mesh.membership(keys, "eu", 9));
        certificate.verify_for_renewal(mesh.root(), SampleMesh::NOW.plus_s(1 << 30), 0).unwrap()
    }

    fn proof(mesh: &SampleMesh, keys: &NodeKeys, serial: u64, exporter: &[u8; 32]) -> Signed<RenewalProof> {
        RenewalProof::sign(mesh.root().mesh(), keys.chain.node(), serial, exporter, &keys.statement)
    }

    #[test]
    fn both_keys_of_the_certificate_are_proven_on_one_connection() {
        let mesh = SampleMesh::new(1);
        let (keys, thief) = (mesh.keys(5), mesh.keys(66));
        let claim = claim(&mesh, &keys);
        let good = proof(&mesh, &keys, 9, &EXPORTER);
        assert_eq!(claim.verify_proof(&good, claim.peer(), &EXPORTER), Ok(()));
        let proven = PeerId::of(&thief.transport.public());
        assert_eq!(
            claim.verify_proof(&good, proven, &EXPORTER),
            Err(ProofError::OtherPeer { claimed: claim.peer(), proven })
        );
        assert_eq!(claim.verify_proof(&good, claim.peer(), &[8; 32]), Err(ProofError::OtherConnection));
        let refused = |proof: Signed<RenewalProof>| claim.verify_proof(&proof, claim.peer(), &EXPORTER).unwrap_err();
        assert_eq!(refused(proof(&mesh, &keys, 8, &EXPORTER)), ProofError::OtherCertificate);
        let (expected, claimed) = (keys.statement.public(), thief.statement.public());
        assert_eq!(
            refused(proof(&mesh, &thief, 9, &EXPORTER)),
            ProofError::Signature(VerifyError::WrongSigner { expected, claimed })
        );
        let later = RenewalProof { version: 2, ..good.peek().unwrap() };
        assert_eq!(refused(Signed::sign(&later, &keys.statement)), ProofError::UnsupportedVersion(2));
        let elsewhere = RenewalProof { mesh: SampleMesh::new(2).root().mesh(), ..good.peek().unwrap() };
        assert_eq!(refused(Signed::sign(&elsewhere, &keys.statement)), ProofError::OtherCertificate);
    }

    #[test]
    fn the_proof_is_frozen() {
        let mesh = SampleMesh::new(1);
        let bytes = proof(&mesh, &mesh.keys(5), 300, &EXPORTER).to_bytes();
        assert_eq!((bytes.len(), Sha256Digest::of(&bytes).to_string().as_str()), (197, FROZEN));
        assert!(Signed::<RenewalProof>::from_bytes(&bytes).is_ok());
    }

    const FROZEN: &str = "1d1df524aa150905ba2397ecfc5c123d12a7f9cd82020508a605f593ce88e6ab";
}
