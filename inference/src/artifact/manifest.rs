//! The manifest: an OCI image manifest (image-spec 1.1) whose artifact type is `ModelPack`'s.

use std::{collections::BTreeMap, fmt};

use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use hedgerow_protocol::name::ModelRef;
use serde::{Deserialize, Serialize};

/// Largest manifest in bytes; ours take about 1.5 KB.
pub const MANIFEST_BYTES_MAX: usize = 64 << 10;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const ARTIFACT_TYPE: &str = "application/vnd.cncf.model.manifest.v1+json";
const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";
const FILE_PATH: &str = "org.cncf.model.filepath";
const BLAKE3: &str = "io.hedgerow.blake3";

/// One of the three blobs that a manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// `ModelPack`'s description of the model, JSON.
    Config,
    /// The graph IR.
    Graph,
    /// The weights, safetensors.
    Weights,
}

/// What a manifest says of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What OCI tools address the blob by.
    pub sha256: Sha256Digest,
    /// What bulk transfer checks; an annotation, since OCI names no such algorithm yet.
    pub blake3: Blake3Digest,
    /// Length in bytes.
    pub size: u64,
}

/// A manifest and the bytes that its digest is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    bytes: Vec<u8>,
    model: ModelRef,
    descriptors: [Descriptor; 3],
}

/// Why bytes are not a manifest of this project's artifacts. A retry with the same bytes fails
/// again.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Refused before reading.
    #[error("manifest of {bytes} bytes is larger than {MANIFEST_BYTES_MAX}")]
    Size {
        /// Bytes offered.
        bytes: usize,
    },
    /// Not JSON, or fields that OCI requires are missing or of the wrong type.
    #[error("manifest is malformed")]
    Malformed(#[source] serde_json::Error),
    /// An OCI manifest of something else.
    #[error("manifest is not of a model: `{field}` is \"{found}\"")]
    Kind {
        /// The field that says so.
        field: &'static str,
        /// Its value.
        found: String,
    },
    /// The layers are not the two that a model has: it was packed by another tool.
    #[error("manifest does not list exactly a graph and its weights")]
    Layers,
    /// A digest, name or version that is missing or cannot be read.
    #[error("manifest lacks a readable `{field}`")]
    Field {
        /// The field or annotation.
        field: &'static str,
    },
    /// A blob that is larger than its kind may be.
    #[error("{layer} of {size} bytes is larger than {most}")]
    LayerSize {
        /// The blob.
        layer: Layer,
        /// The size stated.
        size: u64,
        /// The bound.
        most: u64,
    },
}

impl Layer {
    /// Configuration, graph, weights.
    pub const ALL: [Self; 3] = [Self::Config, Self::Graph, Self::Weights];

    /// File name in listings and signed statements.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Config => "config.json",
            Self::Graph => "graph.ir",
            Self::Weights => "weights.safetensors",
        }
    }

    /// Largest blob of the kind, in bytes.
    pub fn bytes_max(self) -> usize {
        match self {
            Self::Config => super::CONFIG_BYTES_MAX,
            Self::Graph => crate::ir::GRAPH_BYTES_MAX,
            Self::Weights => crate::weights::WEIGHTS_BYTES_MAX,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Config => "application/vnd.cncf.model.config.v1+json",
            Self::Graph => "application/vnd.hedgerow.model.graph.v1",
            Self::Weights => "application/vnd.cncf.model.weight.v1.raw",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "config",
            Self::Graph => "graph",
            Self::Weights => "weights",
        })
    }
}

impl Descriptor {
    /// The descriptor of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: Sha256Digest::of(bytes), blake3: Blake3Digest::of(bytes), size: bytes.len() as u64 }
    }
}

impl Manifest {
    /// Writes a manifest; the same arguments give the same bytes.
    pub(super) fn new(model: ModelRef, descriptors: [Descriptor; 3]) -> Self {
        let [config, graph, weights] = descriptors;
        let annotations = [(TITLE, model.model.to_string()), (VERSION, model.version.to_string())];
        let json = ManifestJson {
            schema_version: 2,
            media_type: MANIFEST_TYPE.into(),
            artifact_type: ARTIFACT_TYPE.into(),
            config: DescriptorJson::of(Layer::Config, &config),
            layers: vec![DescriptorJson::of(Layer::Graph, &graph), DescriptorJson::of(Layer::Weights, &weights)],
            annotations: annotations.map(|(key, value)| (key.to_owned(), value)).into(),
        };
        let bytes = serde_json::to_vec(&json).expect("string keys and plain values");
        Self { bytes, model, descriptors }
    }

    /// Reads a manifest. Fields that are not read here change nothing: the digest is over the
    /// bytes as they came.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Size { bytes: bytes.len() });
        }
        let json: ManifestJson = serde_json::from_slice(bytes).map_err(ManifestError::Malformed)?;
        for (field, expected, found) in [
            ("mediaType", MANIFEST_TYPE, &json.media_type),
            ("artifactType", ARTIFACT_TYPE, &json.artifact_type),
            ("config.mediaType", Layer::Config.media_type(), &json.config.media_type),
        ] {
            if found != expected {
                return Err(ManifestError::Kind { field, found: found.clone() });
            }
        }
        let [graph, weights] = json.layers.as_slice() else { return Err(ManifestError::Layers) };
        if json.schema_version != 2
            || graph.media_type != Layer::Graph.media_type()
            || weights.media_type != Layer::Weights.media_type()
        {
            return Err(ManifestError::Layers);
        }
        let name = |field| json.annotations.get(field).ok_or(ManifestError::Field { field });
        let model = ModelRef {
            model: name(TITLE)?.parse().map_err(|_wrong| ManifestError::Field { field: TITLE })?,
            version: name(VERSION)?.parse().map_err(|_wrong| ManifestError::Field { field: VERSION })?,
        };
        let descriptors = [json.config.read(Layer::Config)?, graph.read(Layer::Graph)?, weights.read(Layer::Weights)?];
        Ok(Self { bytes: bytes.to_vec(), model, descriptors })
    }

    /// The bytes as they were written or came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the mesh calls this artifact by.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.bytes)
    }

    /// Name and version, as the manifest states them.
    pub fn model(&self) -> &ModelRef {
        &self.model
    }

    /// What the manifest says of a blob.
    pub fn descriptor(&self, layer: Layer) -> &Descriptor {
        let [config, graph, weights] = &self.descriptors;
        match layer {
            Layer::Config => config,
            Layer::Graph => graph,
            Layer::Weights => weights,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestJson {
    schema_version: u8,
    media_type: String,
    artifact_type: String,
    config: DescriptorJson,
    layers: Vec<DescriptorJson>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescriptorJson {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl DescriptorJson {
    fn of(layer: Layer, descriptor: &Descriptor) -> Self {
        let annotations = [(BLAKE3, descriptor.blake3.to_string()), (FILE_PATH, layer.file_name().to_owned())];
        Self {
            media_type: layer.media_type().into(),
            digest: format!("sha256:{}", descriptor.sha256),
            size: descriptor.size,
            annotations: annotations.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    fn read(&self, layer: Layer) -> Result<Descriptor, ManifestError> {
        let sha256 = self.digest.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
        let blake3 = self.annotations.get(BLAKE3).and_then(|hex| hex.parse().ok());
        let (size, most) = (self.size, layer.bytes_max() as u64);
        if size > most {
            return Err(ManifestError::LayerSize { layer, size, most });
        }
        Ok(Descriptor {
            sha256: sha256.ok_or(ManifestError::Field { field: "digest" })?,
            blake3: blake3.ok_or(ManifestError::Field { field: BLAKE3 })?,
            size,
        })
    }
}
