//! The committed fraud model, loaded as a node loads it.

use std::collections::BTreeMap;
use std::path::Path;

use hedgerow_inference::artifact::{Artifact, pack};
use hedgerow_inference::exec::{ExecLimits, Model};
use hedgerow_inference::onnx::{LowerLimits, lower};
use hedgerow_inference::tensor::Tensor;
use hedgerow_protocol::name::{ModelName, ModelVersion};

/// The model.
pub(super) fn model() -> Model {
    Model::load(&artifact("1").open().unwrap(), ExecLimits::default()).unwrap()
}

/// The model as it is published under a version.
pub(super) fn artifact(version: &str) -> Artifact {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/models/fraud/model.onnx");
    let lowered = lower(&std::fs::read(path).unwrap(), &LowerLimits::default()).unwrap();
    pack(ModelName::new("fraud").unwrap(), ModelVersion::new(version).unwrap(), &lowered).unwrap()
}

/// One payment of nothing.
pub(super) fn payment() -> BTreeMap<String, Tensor> {
    BTreeMap::from([("features".to_owned(), Tensor::from_f32(vec![1, 16], &[0.0; 16]).unwrap())])
}
