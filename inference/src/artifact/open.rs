//! Reading an artifact: each blob is compared with the manifest before it is looked at.

use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};

use super::{
    config::Config,
    manifest::{Descriptor, Layer, Manifest, ManifestError},
};
use crate::{
    ir::{DecodeError, Graph, Signature},
    weights::{Weights, WeightsError},
};

/// An artifact whose every byte is the one that its manifest names; made by [`open`] only.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    manifest: Manifest,
    config: Config,
    graph: Graph,
    weights: Weights,
}

/// Why an artifact cannot be read. Nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The manifest itself is refused.
    #[error("manifest is refused")]
    Manifest(#[source] ManifestError),
    /// A blob could not be found; fetching it may help.
    #[error("{layer} {sha256} is missing")]
    Missing {
        /// Which blob.
        layer: Layer,
        /// Its digest.
        sha256: Sha256Digest,
    },
    /// A blob has another length than the manifest says.
    #[error("{layer} has {got} bytes, the manifest says {expected}")]
    Length {
        /// Which blob.
        layer: Layer,
        /// The length stated.
        expected: u64,
        /// The length found.
        got: u64,
    },
    /// A blob has other bytes than the manifest says: it was damaged or replaced. Fetching it
    /// again from another peer may help.
    #[error("{layer} has sha256 {got}, the manifest says {expected}")]
    Digest {
        /// Which blob.
        layer: Layer,
        /// The digest stated.
        expected: Sha256Digest,
        /// The digest found.
        got: Sha256Digest,
    },
    /// The two digests that the manifest gives for a blob are of different bytes.
    #[error("{layer} has blake3 {got}, the manifest says {expected}")]
    Blake3 {
        /// Which blob.
        layer: Layer,
        /// The digest stated.
        expected: Blake3Digest,
        /// The digest found.
        got: Blake3Digest,
    },
    /// The configuration is not `ModelPack`'s.
    #[error("config is malformed")]
    Config(#[source] serde_json::Error),
    /// Manifest and configuration name different models.
    #[error("config and manifest name different models")]
    Name,
    /// The graph cannot be read.
    #[error("graph cannot be read")]
    Graph(#[source] DecodeError),
    /// The weights cannot be read or are not those of the graph.
    #[error("weights cannot be read")]
    Weights(#[source] WeightsError),
}

/// Opens the artifact of a manifest; `blob` finds bytes by layer and descriptor.
pub fn open(
    manifest: &[u8],
    mut blob: impl FnMut(Layer, &Descriptor) -> Option<Vec<u8>>,
) -> Result<Opened, ArtifactError> {
    let manifest = Manifest::parse(manifest).map_err(ArtifactError::Manifest)?;
    let mut take = |layer| {
        let descriptor = manifest.descriptor(layer);
        let missing = ArtifactError::Missing { layer, sha256: descriptor.sha256 };
        let bytes = blob(layer, descriptor).ok_or(missing)?;
        compare(layer, descriptor, &bytes).map(|()| bytes)
    };
    let (config, graph, weights) = (take(Layer::Config)?, take(Layer::Graph)?, take(Layer::Weights)?);
    let config = Config::parse(&config).map_err(ArtifactError::Config)?;
    if config.model() != *manifest.model() {
        return Err(ArtifactError::Name);
    }
    let graph = Graph::decode(&graph).map_err(ArtifactError::Graph)?;
    let weights = Weights::open(weights, &graph.weights).map_err(ArtifactError::Weights)?;
    Ok(Opened { manifest, config, graph, weights })
}

fn compare(layer: Layer, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), ArtifactError> {
    let (expected, got) = (descriptor.size, bytes.len() as u64);
    if expected != got {
        return Err(ArtifactError::Length { layer, expected, got });
    }
    let (expected, got) = (descriptor.sha256, Sha256Digest::of(bytes));
    if expected != got {
        return Err(ArtifactError::Digest { layer, expected, got });
    }
    let (expected, got) = (descriptor.blake3, Blake3Digest::of(bytes));
    if expected != got {
        return Err(ArtifactError::Blake3 { layer, expected, got });
    }
    Ok(())
}

impl Opened {
    /// The manifest that everything was compared with.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The graph; decoded, and not yet checked against the operator table.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The weights, exactly those that the graph names.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What callers give and get, if the graph holds what it says.
    pub fn signature(&self) -> &Signature {
        &self.graph.signature
    }
}
