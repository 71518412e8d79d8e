//! Bringing an artifact here from peers that hold it. A liar costs time, never correctness: every byte is checked by digest.

use std::time::Duration;

use bytes::Bytes;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_inference::artifact::{Layer, MANIFEST_BYTES_MAX, Manifest, ManifestError};
use thiserror::Error;

use super::ENVELOPE_PROTOCOL;
use super::library::{Library, LibraryError};
use crate::net::{ContentDigest, FetchError, Net, RequestError};
use crate::store::ArtifactError;

/// How long a peer may take to find an envelope.
const ENVELOPE_PATIENCE: Duration = Duration::from_secs(5);

/// Why one peer did not bring the artifact; another may.
#[derive(Debug, Error)]
pub(super) enum BringError {
    /// A blob did not come.
    #[error("fetch a blob")]
    Fetch(#[source] FetchError),
    /// The envelope did not come.
    #[error("ask for the publishers' envelope")]
    Envelope(#[source] RequestError),
    /// What came under the manifest's digest is no manifest.
    #[error("read the manifest")]
    Manifest(#[source] ManifestError),
    /// A blob cannot be stored.
    #[error("store a blob")]
    Store(#[source] ArtifactError),
    /// The artifact is not believed, or the store failed.
    #[error("take the artifact in")]
    Library(#[source] LibraryError),
}

/// Fetches whatever is missing of an artifact from one peer. The signature is checked before any large blob is asked for.
pub(super) async fn bring(
    net: &Net,
    library: &Library,
    peer: NodeId,
    manifest: Sha256Digest,
) -> Result<(), BringError> {
    let most = u64::try_from(MANIFEST_BYTES_MAX).expect("a small constant");
    let bytes = blob(net, library, peer, manifest, most).await?;
    let parsed = Manifest::parse(&bytes).map_err(BringError::Manifest)?;
    if library.envelope(manifest).map_err(BringError::Library)?.is_none() {
        let ask = Bytes::copy_from_slice(manifest.as_bytes());
        let envelope =
            net.request(peer, ENVELOPE_PROTOCOL, ask, ENVELOPE_PATIENCE).await.map_err(BringError::Envelope)?;
        library.take_envelope(&parsed, &envelope).await.map_err(BringError::Library)?;
    }
    for layer in Layer::ALL {
        let descriptor = parsed.descriptor(layer);
        blob(net, library, peer, descriptor.sha256, descriptor.size).await?;
    }
    Ok(())
}

async fn blob(
    net: &Net,
    library: &Library,
    peer: NodeId,
    digest: Sha256Digest,
    most: u64,
) -> Result<Bytes, BringError> {
    match library.artifacts().read(digest).await {
        Ok(bytes) => return Ok(bytes),
        Err(ArtifactError::Absent { .. } | ArtifactError::Damaged { .. }) => {}
        Err(error) => return Err(BringError::Store(error)),
    }
    let bytes = net.fetch(peer, ContentDigest::Sha256(digest), most).await.map_err(BringError::Fetch)?;
    library.artifacts().put(bytes.clone()).await.map_err(BringError::Store)?;
    Ok(bytes)
}
