//! What publishers sign: that these files, by digest, are this version of this model.
//!
//! The claim is an in-toto Statement v1 of predicate type `release/v0.1`
//! (in-toto/attestation, `spec/predicates/release.md`). Its subjects are the manifest and the
//! three blobs, so that any tool which can compute a sha-256 can check it file by file.

use std::collections::BTreeSet;

use hedgerow_attest::{
    digest::Blake3Digest,
    dsse::Envelope,
    intoto::{Statement, StatementError, Subject, SubjectDigest},
    key::KeyId,
    keyset::KeySet,
};
use hedgerow_protocol::name::ModelRef;
use serde_json::json;

use crate::artifact::{Layer, Manifest};

const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/release/v0.1";

/// Why an artifact is not published by anyone who may.
#[derive(Debug, thiserror::Error)]
pub enum PublicationError {
    /// Too few publishers of the mesh signed, or something else than a statement.
    #[error("artifact is not signed by enough publishers of this mesh")]
    Statement(#[source] StatementError),
    /// The publishers signed a statement about another artifact, or another kind of statement.
    #[error("publishers signed something else than artifact {manifest}")]
    Other {
        /// Name and version of the artifact at hand.
        manifest: ModelRef,
    },
}

/// An artifact's manifest for which enough publishers vouch; made by [`verify`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    manifest: Manifest,
    signers: BTreeSet<KeyId>,
}

impl Publication {
    /// The manifest; what it names is checked by [`crate::artifact::open()`].
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The publishers' keys that signed.
    pub fn signers(&self) -> &BTreeSet<KeyId> {
        &self.signers
    }
}

/// The statement for an artifact; sign it with [`Statement::sign`].
pub fn statement(manifest: &Manifest) -> Statement {
    let own = SubjectDigest { sha256: manifest.digest(), blake3: Blake3Digest::of(manifest.bytes()) };
    let mut subjects = vec![Subject { name: "manifest.json".into(), digest: own }];
    subjects.extend(Layer::ALL.map(|layer| {
        let descriptor = manifest.descriptor(layer);
        let digest = SubjectDigest { sha256: descriptor.sha256, blake3: descriptor.blake3 };
        Subject { name: layer.file_name().into(), digest }
    }));
    let ModelRef { model, version } = manifest.model();
    // In a package URL a plus sign has to be percent-encoded; the rest of both alphabets stands for itself.
    let purl = format!("pkg:generic/{model}@{}", version.as_str().replace('+', "%2B"));
    let predicate = json!({ "purl": purl, "releaseId": version.as_str() });
    Statement::new(subjects, PREDICATE_TYPE, predicate).expect("four subjects are within the bound")
}

/// Whether enough publishers signed exactly the statement for this manifest.
pub fn verify(envelope: &Envelope, publishers: &KeySet, manifest: &Manifest) -> Result<Publication, PublicationError> {
    let verified = Statement::open(envelope, publishers).map_err(PublicationError::Statement)?;
    if *verified.statement() != statement(manifest) {
        return Err(PublicationError::Other { manifest: manifest.model().clone() });
    }
    Ok(Publication { manifest: manifest.clone(), signers: verified.signers().clone() })
}

#[cfg(test)]
mod tests {
    use hedgerow_attest::key::SecretKey;

    use super::*;
    use crate::artifact::{Artifact, pack};

    fn artifact(version: &str) -> Artifact {
        let lowered = crate::onnx::testing::small();
        pack("twice".parse().unwrap(), version.parse().unwrap(), &lowered).unwrap()
    }

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    #[test]
    fn a_publishers_signature_vouches_for_exactly_one_manifest() {
        let publishers = KeySet::sole(key(1).public());
        let manifest = artifact("1").manifest;
        let envelope = statement(&manifest).sign(&[&key(1)]);
        let publication = verify(&envelope, &publishers, &manifest).unwrap();
        assert_eq!(publication.manifest(), &manifest);
        assert_eq!(publication.signers(), &BTreeSet::from([KeyId::of(&key(1).public())]));
        assert!(matches!(
            verify(&envelope, &publishers, &artifact("2").manifest),
            Err(PublicationError::Other { manifest }) if manifest.version.as_str() == "2"
        ));
    }

    #[test]
    fn strangers_and_too_few_publishers_do_not_vouch() {
        let manifest = artifact("1").manifest;
        let both = KeySet::new([key(1).public(), key(2).public()], 2).unwrap();
        let refused = |keys: &[&SecretKey], publishers: &KeySet| {
            matches!(
                verify(&statement(&manifest).sign(keys), publishers, &manifest),
                Err(PublicationError::Statement(StatementError::Signature(_)))
            )
        };
        assert!(refused(&[&key(3)], &KeySet::sole(key(1).public())));
        assert!(refused(&[&key(1)], &both));
        assert!(!refused(&[&key(1), &key(2)], &both));
    }

    #[test]
    fn subjects_are_the_files_by_name_and_digest() {
        let artifact = artifact("1.0+gpu");
        let statement = statement(&artifact.manifest);
        let files = [
            ("manifest.json", artifact.manifest.bytes()),
            ("config.json", &artifact.config),
            ("graph.ir", &artifact.graph),
            ("weights.safetensors", &artifact.weights),
        ];
        assert_eq!(statement.subjects(), files.map(|(name, bytes)| Subject::of(name, bytes)));
        let expected = json!({ "purl": "pkg:generic/twice@1.0%2Bgpu", "releaseId": "1.0+gpu" });
        assert_eq!(statement.predicate(), &expected);
    }
}
