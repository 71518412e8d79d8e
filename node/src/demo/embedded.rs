//! The models of the demonstration and their held-out inputs, carried in the binary so that a demo needs no files.

use serde::Deserialize;

/// The digit classifier as its publisher has it.
pub(super) const DIGITS_ONNX: &[u8] = include_bytes!("../../../inference/models/digits/model.onnx");
/// The fraud scorer as its publisher has it.
pub(super) const FRAUD_ONNX: &[u8] = include_bytes!("../../../inference/models/fraud/model.onnx");
/// One held-out picture of each digit, drawn in fonts that the model never saw.
pub(super) const DIGIT_PICTURES: [(u8, &[u8]); 10] = [
    (0, include_bytes!("../../../inference/models/digits/heldout/0-00.png")),
    (1, include_bytes!("../../../inference/models/digits/heldout/1-00.png")),
    (2, include_bytes!("../../../inference/models/digits/heldout/2-00.png")),
    (3, include_bytes!("../../../inference/models/digits/heldout/3-00.png")),
    (4, include_bytes!("../../../inference/models/digits/heldout/4-00.png")),
    (5, include_bytes!("../../../inference/models/digits/heldout/5-00.png")),
    (6, include_bytes!("../../../inference/models/digits/heldout/6-00.png")),
    (7, include_bytes!("../../../inference/models/digits/heldout/7-00.png")),
    (8, include_bytes!("../../../inference/models/digits/heldout/8-00.png")),
    (9, include_bytes!("../../../inference/models/digits/heldout/9-00.png")),
];

/// Held-out inputs of a model with the outputs that another runtime computed, and the true answers.
#[derive(Debug, Deserialize)]
pub(super) struct HeldOut {
    /// Tensors by the names of the model's inputs.
    pub(super) inputs: std::collections::BTreeMap<String, Flat>,
    /// Tensors by the names of the model's outputs.
    pub(super) outputs: std::collections::BTreeMap<String, Flat>,
    /// One true answer per row.
    pub(super) labels: Vec<f64>,
}

/// A tensor as its elements in row-major order.
#[derive(Debug, Deserialize)]
pub(super) struct Flat {
    /// Sizes of the dimensions, rows first.
    pub(super) shape: Vec<u64>,
    /// The elements.
    pub(super) data: Vec<f64>,
}

/// The held-out pictures.
pub(super) fn digits() -> anyhow::Result<HeldOut> {
    Ok(serde_json::from_str(include_str!("../../../inference/models/digits/heldout.json"))?)
}

/// The held-out payments.
pub(super) fn fraud() -> anyhow::Result<HeldOut> {
    Ok(serde_json::from_str(include_str!("../../../inference/models/fraud/heldout.json"))?)
}
