//! Making an artifact from a lowered model.

use hedgerow_attest::digest::Sha256Digest;
use hedgerow_protocol::name::{ModelName, ModelRef, ModelVersion};

use super::{
    config::Config,
    manifest::{Descriptor, Layer, Manifest},
    open::{ArtifactError, Opened, open},
};
use crate::{
    ir::EncodeError,
    onnx::Lowered,
    weights::{Weights, WeightsError},
};

/// A manifest with the bytes of its blobs. They may still be wrong: only [`Artifact::open`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What names the blobs.
    pub manifest: Manifest,
    /// [`Layer::Config`], JSON.
    pub config: Vec<u8>,
    /// [`Layer::Graph`], the graph IR.
    pub graph: Vec<u8>,
    /// [`Layer::Weights`], safetensors.
    pub weights: Vec<u8>,
}

/// Why a lowered model cannot become an artifact.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The graph is too large.
    #[error("graph cannot be written")]
    Graph(#[source] EncodeError),
    /// The weights do not fit the graph, or are too large.
    #[error("weights cannot be packed")]
    Weights(#[source] WeightsError),
}

/// Packs a model under a name and a version; the same arguments give the same bytes.
pub fn pack(name: ModelName, version: ModelVersion, lowered: &Lowered) -> Result<Artifact, PackError> {
    let model = ModelRef { model: name, version };
    let graph = lowered.graph.encode().map_err(PackError::Graph)?;
    let weights = Weights::open(lowered.weights.clone(), &lowered.graph.weights).map_err(PackError::Weights)?;
    let layers = [&graph, &lowered.weights].map(|bytes| Sha256Digest::of(bytes));
    let config = Config::new(&model, layers, weights.parameters()).to_json();
    let descriptors = [&config, &graph, &lowered.weights].map(|bytes| Descriptor::of(bytes));
    let manifest = Manifest::new(model, descriptors);
    Ok(Artifact { manifest, config, graph, weights: lowered.weights.clone() })
}

impl Artifact {
    /// Checks every blob against the manifest and reads it.
    pub fn open(&self) -> Result<Opened, ArtifactError> {
        open(self.manifest.bytes(), |layer, _| Some(self.blob(layer).to_vec()))
    }

    /// The bytes of a blob.
    pub fn blob(&self, layer: Layer) -> &[u8] {
        match layer {
            Layer::Config => &self.config,
            Layer::Graph => &self.graph,
            Layer::Weights => &self.weights,
        }
    }
}
