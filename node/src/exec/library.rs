//! Artifacts at rest: blobs by digest, and the publishers' envelope of each manifest. Nothing leaves it unverified.

use std::collections::BTreeSet;

use bytes::Bytes;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::dsse::{DsseError, Envelope};
use hedgerow_attest::keyset::KeySet;
use hedgerow_inference::artifact::{self, Bundle, Layer, MANIFEST_BYTES_MAX, Manifest, ManifestError, Opened};
use hedgerow_inference::publish::{self, PublicationError};
use thiserror::Error;

use crate::store::{ArtifactError, Artifacts, CommitError, LoadError, MeshStore, RowChange};

/// The table of envelopes by manifest digest in the mesh store; beside the machines' tables (`docs/storage.md`).
const ENVELOPES: u8 = 16;

/// The artifacts of this node. Clones share it.
#[derive(Clone, Debug)]
pub struct Library {
    artifacts: Artifacts,
    rows: MeshStore,
    publishers: KeySet,
}

/// An artifact that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    /// sha256 of its manifest.
    pub manifest: Sha256Digest,
}

/// Why an artifact is not stored or cannot be opened. What was stored of it is harmless and is used again.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// A blob is missing, damaged, or there is no room for it.
    #[error("use a blob of the artifact")]
    Blob(#[source] ArtifactError),
    /// The envelope of the manifest is not here.
    #[error("find the publishers' envelope of manifest {manifest}")]
    NoEnvelope {
        /// The manifest.
        manifest: Sha256Digest,
    },
    /// The envelope cannot be read.
    #[error("read the publishers' envelope")]
    Envelope(#[source] DsseError),
    /// Enough publishers of this mesh did not sign it.
    #[error("believe the artifact")]
    Publication(#[source] PublicationError),
    /// The manifest cannot be read.
    #[error("read the manifest")]
    Manifest(#[source] ManifestError),
    /// A blob is not what the manifest says, or not what it should be.
    #[error("open the artifact")]
    Artifact(#[source] artifact::ArtifactError),
    /// The store failed.
    #[error("store the envelope")]
    Commit(#[source] CommitError),
    /// The store cannot be read.
    #[error("read the envelope")]
    Load(#[source] LoadError),
}

impl LibraryError {
    /// Whether the bytes themselves are refused, rather than this node being unable to store or find them.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Envelope(_) | Self::Publication(_) | Self::Manifest(_) | Self::Artifact(_))
    }
}

impl Library {
    /// A library in which only what these publishers signed is opened.
    pub fn new(artifacts: Artifacts, rows: MeshStore, publishers: KeySet) -> Self {
        Self { artifacts, rows, publishers }
    }

    /// Verifies a bundle whole and stores it.
    pub async fn take(&self, bundle: &Bundle) -> Result<Shelved, LibraryError> {
        let manifest = &bundle.artifact.manifest;
        publish::verify(&bundle.envelope, &self.publishers, manifest).map_err(LibraryError::Publication)?;
        bundle.artifact.open().map_err(LibraryError::Artifact)?;
        for layer in Layer::ALL {
            let blob = Bytes::copy_from_slice(bundle.artifact.blob(layer));
            self.artifacts.put(blob).await.map_err(LibraryError::Blob)?;
        }
        self.put_envelope(manifest.digest(), &bundle.envelope).await?;
        self.artifacts.put(Bytes::copy_from_slice(manifest.bytes())).await.map_err(LibraryError::Blob)?;
        Ok(Shelved { manifest: manifest.digest() })
    }

    /// Opens an artifact that is here whole: the signatures and every digest are checked again, since disks change bytes too.
    pub async fn open(&self, manifest: Sha256Digest) -> Result<Opened, LibraryError> {
        let bytes = self.artifacts.read(manifest).await.map_err(LibraryError::Blob)?;
        let parsed = Manifest::parse(&bytes).map_err(LibraryError::Manifest)?;
        let envelope = self.envelope(manifest)?.ok_or(LibraryError::NoEnvelope { manifest })?;
        let envelope = Envelope::from_json(&envelope).map_err(LibraryError::Envelope)?;
        publish::verify(&envelope, &self.publishers, &parsed).map_err(LibraryError::Publication)?;
        let mut blobs = std::collections::BTreeMap::new();
        for layer in Layer::ALL {
            let digest = parsed.descriptor(layer).sha256;
            blobs.insert(layer, self.artifacts.read(digest).await.map_err(LibraryError::Blob)?);
        }
        artifact::open(&bytes, |layer, _| blobs.get(&layer).map(|blob| blob.to_vec())).map_err(LibraryError::Artifact)
    }

    /// Takes an envelope that a peer sent, after checking that it speaks for that manifest.
    pub(super) async fn take_envelope(&self, manifest: &Manifest, envelope: &[u8]) -> Result<(), LibraryError> {
        let envelope = Envelope::from_json(envelope).map_err(LibraryError::Envelope)?;
        publish::verify(&envelope, &self.publishers, manifest).map_err(LibraryError::Publication)?;
        self.put_envelope(manifest.digest(), &envelope).await
    }

    /// The envelope of a manifest as JSON, if it is here.
    pub fn envelope(&self, manifest: Sha256Digest) -> Result<Option<Vec<u8>>, LibraryError> {
        self.rows.row(ENVELOPES, manifest.as_bytes()).map_err(LibraryError::Load)
    }

    /// The blobs by digest.
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// Removes what is here in part of artifacts other than these.
    pub(super) async fn keep_parts(&self, wanted: Vec<Sha256Digest>) -> Result<(), ArtifactError> {
        let mut layers = BTreeSet::new();
        for manifest in wanted {
            // One that is not here, or names nothing, has no layers on their way; of one that the disk refuses nobody knows.
            let bytes = self.artifacts.read_small(manifest, MANIFEST_BYTES_MAX as u64).await?;
            let Some(parsed) = bytes.and_then(|bytes| Manifest::parse(&bytes).ok()) else { continue };
            layers.extend(Layer::ALL.map(|layer| parsed.descriptor(layer).sha256));
        }
        self.artifacts.keep_parts(layers).await
    }

    async fn put_envelope(&self, manifest: Sha256Digest, envelope: &Envelope) -> Result<(), LibraryError> {
        let put = RowChange::Put { table: ENVELOPES, key: manifest.as_bytes().to_vec(), value: envelope.to_json() };
        self.rows.persist(vec![put], true).await.await.map_err(LibraryError::Commit)
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_attest::key::SecretKey;

    use super::super::testing::artifact;
    use super::*;
    use crate::config::ArtifactLimits;
    use crate::content::Content;
    use crate::store::{DataFolder, Store};

    #[tokio::test]
    async fn layers_on_their_way_stay_as_long_as_a_manifest_that_names_them_is_wanted() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&parent.path().join("data")).unwrap();
        let store = Store::open(&folder, ArtifactLimits::default()).unwrap();
        let publishers = KeySet::sole(SecretKey::from_seed([1; 32]).public());
        let library = Library::new(store.artifacts.clone(), store.mesh.clone(), publishers);
        let mut begun = Vec::new();
        for version in ["1", "2"] {
            let manifest = artifact(version).manifest;
            // Of both versions the graph and the weights are the same.
            let config = *manifest.descriptor(Layer::Config);
            library.artifacts().put(Bytes::copy_from_slice(manifest.bytes())).await.unwrap();
            let content = Content::new(config.blake3, config.size).unwrap();
            drop(library.artifacts().begin(config.sha256, content).await.unwrap());
            begun.push((manifest.digest(), config.sha256));
        }
        let is_here = |digest: Sha256Digest| folder.layout().artifacts().join(format!("{digest}.part")).exists();
        let here = || begun.iter().map(|(_, config)| is_here(*config)).collect::<Vec<_>>();
        library.keep_parts(vec![begun[0].0, begun[1].0]).await.unwrap();
        assert_eq!(here(), [true, true]);
        library.keep_parts(vec![begun[1].0, Sha256Digest::of(b"not here")]).await.unwrap();
        assert_eq!(here(), [false, true]);
        library.keep_parts(vec![]).await.unwrap();
        assert_eq!(here(), [false, false]);
        store.close().await;
    }
}
