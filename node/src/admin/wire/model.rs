//! Models of the mesh.

use std::collections::BTreeMap;

use hedgerow_inference::ir::{Dim, Signature, ValueInfo};
use serde::{Deserialize, Serialize};

use super::plan::ModelPlan;

/// One row of `GET /admin/v1/models`: what a publisher wants served, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRow {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// sha256 of the manifest, hex.
    pub digest: String,
    /// Nodes per region that should hold it warm.
    pub replicas: u8,
    /// Regions in which it should be; all when empty.
    pub regions: Vec<String>,
    /// Nodes that hold it warm, by their own word.
    pub warm: Vec<String>,
    /// Whether the answering node is among those that should hold it.
    pub here: bool,
}

/// `GET /admin/v1/models/NAME`: the row, and what only a node that holds the artifact can say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelDetail {
    /// The row.
    #[serde(flatten)]
    pub row: ModelRow,
    /// What a caller gives and gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<ModelSignature>,
    /// Operators of the graph and how often each is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operators: Option<BTreeMap<String, u64>>,
    /// Numbers in the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// What its work costs, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ModelPlan>,
}

/// An ONNX file as a node would run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// What a caller gives and gets.
    pub signature: ModelSignature,
    /// Numbers in the weights.
    pub parameters: u64,
    /// What its work costs.
    pub plan: ModelPlan,
}

/// Inputs and outputs of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSignature {
    /// What a caller must give, all of it.
    pub inputs: Vec<Port>,
    /// What a caller gets.
    pub outputs: Vec<Port>,
}

/// One input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Name.
    pub name: String,
    /// `FP32`, `INT64`, …
    pub dtype: String,
    /// Sizes of the dimensions: numbers, or the publisher's names of those that a caller chooses.
    pub shape: Vec<Size>,
}

/// The size of a dimension: `28`, or `"batch"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Size {
    /// The model's choice.
    Fixed(u64),
    /// The caller's choice.
    Named(String),
}

impl From<&Signature> for ModelSignature {
    fn from(signature: &Signature) -> Self {
        let size = |dim: &Dim| match dim {
            Dim::Fixed(size) => Size::Fixed(*size),
            Dim::Symbol(name) => Size::Named(name.to_string()),
        };
        let port = |value: &ValueInfo| Port {
            name: value.name.clone(),
            dtype: value.dtype.name().to_owned(),
            shape: value.shape.iter().map(size).collect(),
        };
        Self {
            inputs: signature.inputs.iter().map(port).collect(),
            outputs: signature.outputs.iter().map(port).collect(),
        }
    }
}

/// The answer to `POST /admin/v1/models`: the deployment that is a fact of the mesh from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPushed {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// sha256 of the manifest, hex.
    pub digest: String,
    /// Of two pushes of one model the one with the higher revision holds.
    pub revision: u64,
    /// Nodes per region; 0 withdraws the model.
    pub replicas: u8,
    /// Regions in which it should be; all when empty.
    pub regions: Vec<String>,
}

/// `GET /admin/v1/models/NAME/verification`, where every byte held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelVerified {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// sha256 of the manifest, hex.
    pub digest: String,
    /// True in every answer that is a success.
    pub verified: bool,
    /// The publishers' DSSE envelope as it was stored, for verifiers outside the mesh.
    pub envelope: Option<serde_json::Value>,
    /// The publishers that the mesh's root names.
    pub publishers: Vec<Publisher>,
}

/// A key that may sign models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    /// Its id in envelopes.
    pub keyid: String,
    /// The Ed25519 public key, hex.
    pub public: String,
}
