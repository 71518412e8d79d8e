//! The configuration blob: `ModelPack`'s `config-schema.json`, which allows no fields of our own, so
//! that signature and limits stand in the graph.

use hedgerow_attest::digest::Sha256Digest;
use hedgerow_protocol::name::{ModelName, ModelRef, ModelVersion};
use serde::{Deserialize, Serialize};

/// Largest configuration in bytes; ours take about 400.
pub const CONFIG_BYTES_MAX: usize = 64 << 10;

/// What `ModelPack`'s tools read of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    descriptor: DescriptorJson,
    modelfs: ModelFs,
    config: Details,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DescriptorJson {
    name: ModelName,
    version: ModelVersion,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelFs {
    #[serde(rename = "type")]
    kind: String,
    /// Digests of the uncompressed layers, in the manifest's order.
    diff_ids: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    format: String,
    /// Number of parameters, in decimal.
    param_size: String,
}

impl Config {
    pub(super) fn new(model: &ModelRef, layers: [Sha256Digest; 2], parameters: u64) -> Self {
        Self {
            descriptor: DescriptorJson { name: model.model.clone(), version: model.version.clone() },
            modelfs: ModelFs {
                kind: "layers".into(),
                diff_ids: layers.map(|digest| format!("sha256:{digest}")).to_vec(),
            },
            config: Details { format: "safetensors".into(), param_size: parameters.to_string() },
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("string keys and plain values")
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Name and version, which opening compares with the manifest's.
    pub fn model(&self) -> ModelRef {
        ModelRef { model: self.descriptor.name.clone(), version: self.descriptor.version.clone() }
    }
}
