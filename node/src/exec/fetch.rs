//! Bringing an artifact here from the nodes that hold it: the small manifest from the first that has it, the layers from all of
//! them at once. A liar costs time, never correctness: every byte is checked by digest.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_inference::artifact::{Descriptor, Layer, MANIFEST_BYTES_MAX, Manifest, ManifestError};
use thiserror::Error;

use super::ENVELOPE_PROTOCOL;
use super::library::{Library, LibraryError};
use crate::content::{Content, ContentTooLarge, MemorySink};
use crate::net::{Fault, FetchError, GatherError, Gathered, Net, RequestError};
use crate::observe::Counters;
use crate::store::ArtifactError;

/// How long a peer may take to find an envelope.
const ENVELOPE_PATIENCE: Duration = Duration::from_secs(5);
/// A layer of at most so many bytes is gathered in memory: nothing of it is worth keeping over a restart.
const SMALL_BYTES: u64 = 64 << 10;
/// Under which status counts peers that sent something else than was asked for.
const LIED: &str = "bulk_liar";

/// Where artifacts come from and go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetching<'a> {
    pub(super) net: &'a Net,
    pub(super) library: &'a Library,
    pub(super) counters: &'a Counters,
    /// Nodes that may hold the artifact, those most likely to do so first.
    pub(super) peers: &'a [NodeId],
}

/// Why an artifact did not come. What came of it is kept, and a later try goes on with it.
#[derive(Debug, Error)]
pub(super) enum BringError {
    /// There is nobody to ask.
    #[error("ask other nodes: there are none")]
    Alone,
    /// The last of the nodes that were asked did not give the manifest either.
    #[error("fetch the manifest")]
    Fetch(#[source] FetchError),
    /// The last of the nodes that were asked did not give an envelope that speaks for the manifest either.
    #[error("ask for the publishers' envelope")]
    Envelope(#[source] RequestError),
    /// What came under the manifest's digest is no manifest.
    #[error("read the manifest")]
    Manifest(#[source] ManifestError),
    /// The manifest names a layer that no node would take.
    #[error("fetch a layer")]
    Large(#[source] ContentTooLarge),
    /// A layer did not come.
    #[error("fetch a layer")]
    Gather(#[source] GatherError),
    /// The manifest gives two digests of different bytes; publish it again.
    #[error("fetch a layer: the bytes that its BLAKE3 names have the sha256 {found}, the manifest says {sha256}")]
    Contradiction {
        /// What the manifest says.
        sha256: Sha256Digest,
        /// What the bytes have.
        found: Sha256Digest,
    },
    /// A blob cannot be stored.
    #[error("store a blob")]
    Store(#[source] ArtifactError),
    /// The artifact is not believed, or the store failed.
    #[error("take the artifact in")]
    Library(#[source] LibraryError),
}

impl Fetching<'_> {
    /// Fetches whatever is missing of an artifact. The signature is checked before any layer is asked for.
    pub(super) async fn bring(self, manifest: Sha256Digest) -> Result<(), BringError> {
        let parsed = self.manifest(manifest).await?;
        if self.library.envelope(manifest).map_err(BringError::Library)?.is_none() {
            self.envelope(&parsed).await?;
        }
        for layer in Layer::ALL {
            self.layer(parsed.descriptor(layer)).await?;
        }
        Ok(())
    }

    async fn manifest(self, digest: Sha256Digest) -> Result<Manifest, BringError> {
        let most = u64::try_from(MANIFEST_BYTES_MAX).expect("a small constant");
        let artifacts = self.library.artifacts();
        let held = match artifacts.read_small(digest, most).await {
            Ok(held) => held,
            Err(ArtifactError::Damaged { .. }) => None,
            Err(error) => return Err(BringError::Store(error)),
        };
        let bytes = match held {
            Some(bytes) => bytes,
            None => {
                let bytes = self.small(digest, most).await?;
                artifacts.put(bytes.clone()).await.map_err(BringError::Store)?;
                bytes
            }
        };
        Manifest::parse(&bytes).map_err(BringError::Manifest)
    }

    async fn small(self, digest: Sha256Digest, most: u64) -> Result<Bytes, BringError> {
        let mut last = BringError::Alone;
        for peer in self.peers {
            match self.net.fetch(*peer, digest, most).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => {
                    if matches!(error, FetchError::Mismatch) {
                        self.note_liar(*peer);
                    }
                    last = BringError::Fetch(error);
                }
            }
        }
        Err(last)
    }

    async fn envelope(self, manifest: &Manifest) -> Result<(), BringError> {
        let mut last = BringError::Alone;
        for peer in self.peers {
            let ask = Bytes::copy_from_slice(manifest.digest().as_bytes());
            last = match self.net.request(*peer, ENVELOPE_PROTOCOL, ask, ENVELOPE_PATIENCE).await {
                Ok(envelope) => match self.library.take_envelope(manifest, &envelope).await {
                    Ok(()) => return Ok(()),
                    Err(error) => BringError::Library(error),
                },
                Err(error) => BringError::Envelope(error),
            };
        }
        Err(last)
    }

    async fn layer(self, descriptor: &Descriptor) -> Result<(), BringError> {
        let artifacts = self.library.artifacts();
        match artifacts.verify(descriptor.sha256).await {
            Ok(()) => return Ok(()),
            Err(ArtifactError::Absent { .. } | ArtifactError::Damaged { .. }) => {}
            Err(error) => return Err(BringError::Store(error)),
        }
        let content = Content::new(descriptor.blake3, descriptor.size).map_err(BringError::Large)?;
        if content.size() <= SMALL_BYTES {
            let sink = Arc::new(MemorySink::new(content));
            self.counted(self.net.gather(self.peers, sink.clone()).await)?;
            let (bytes, digest) = (sink.take(), descriptor.sha256);
            let found = Sha256Digest::of(&bytes);
            if found != digest {
                return Err(BringError::Contradiction { sha256: digest, found });
            }
            artifacts.put(bytes).await.map_err(BringError::Store)?;
            return Ok(());
        }
        let partial = Arc::new(artifacts.begin(descriptor.sha256, content).await.map_err(BringError::Store)?);
        self.counted(self.net.gather(self.peers, partial.clone()).await)?;
        partial.finish().await.map_err(|error| match error {
            ArtifactError::Damaged { digest, found } => BringError::Contradiction { sha256: digest, found },
            other => BringError::Store(other),
        })
    }

    fn counted(self, gathered: Result<Gathered, GatherError>) -> Result<(), BringError> {
        let faults = match &gathered {
            Ok(gathered) => gathered.faults.as_slice(),
            Err(GatherError::Exhausted { faults }) => faults,
            Err(GatherError::Sink(_)) => &[],
        };
        for (peer, _) in faults.iter().filter(|(_, fault)| *fault == Fault::Lied) {
            self.note_liar(*peer);
        }
        gathered.map(drop).map_err(BringError::Gather)
    }

    fn note_liar(self, peer: NodeId) {
        tracing::warn!(%peer, "a peer sent other bytes of an artifact than its digest names; look at its disk and its version");
        self.counters.add("refusals", LIED, 1);
    }
}
