//! The demonstration models, from their ONNX files to answers.

#![expect(clippy::unwrap_used, reason = "a failing step ends the test with its error")]

use std::{collections::BTreeMap, path::PathBuf};

use hedgerow_inference::{
    artifact::pack,
    exec::{ExecLimits, Model},
    ir::Dim,
    onnx::{LowerLimits, lower},
    tensor::{DType, Tensor},
};
use serde::Deserialize;

/// `heldout.json`: inputs, the outputs that onnxruntime gives, and the truth.
#[derive(Deserialize)]
struct Heldout {
    inputs: BTreeMap<String, Recorded>,
    outputs: BTreeMap<String, Recorded>,
    labels: Vec<usize>,
}

#[derive(Deserialize)]
struct Recorded {
    dtype: DType,
    shape: Vec<u64>,
    data: Vec<f32>,
}

impl Recorded {
    fn tensor(&self) -> Tensor {
        assert_eq!(self.dtype, DType::F32);
        Tensor::from_f32(self.shape.clone(), &self.data).unwrap()
    }
}

fn file(model: &str, name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models").join(model).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load(name: &str) -> Model {
    let lowered = lower(&file(name, "model.onnx"), &LowerLimits::default()).unwrap();
    let artifact = pack(name.parse().unwrap(), "1".parse().unwrap(), &lowered).unwrap();
    Model::load(&artifact.open().unwrap(), ExecLimits::default()).unwrap()
}

/// Runs all held-out inputs as one batch and compares with the record.
fn check(name: &str) -> (Vec<f32>, Vec<usize>) {
    let model = load(name);
    let heldout: Heldout = serde_json::from_slice(&file(name, "heldout.json")).unwrap();
    let inputs = heldout.inputs.iter().map(|(name, recorded)| (name.clone(), recorded.tensor())).collect();
    let outputs = model.run(inputs).unwrap();
    assert_eq!(outputs.keys().collect::<Vec<_>>(), heldout.outputs.keys().collect::<Vec<_>>());
    let (output, recorded) = heldout.outputs.iter().next().unwrap();
    let made = &outputs[output];
    assert_eq!(made.shape(), recorded.shape);
    let values = made.to_f32().unwrap();
    let worst = values.iter().zip(&recorded.data).map(|(made, expected)| (made - expected).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-4, "{name} differs by {worst}");
    (values, heldout.labels)
}

#[test]
fn digits_answers_as_recorded() {
    let (probabilities, labels) = check("digits");
    let best = |row: &[f32]| (0..10).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
    let right = probabilities.chunks(10).zip(&labels).filter(|(row, label)| best(row) == **label).count();
    // The record itself errs sometimes; a wrong layout of pixels would err nearly always.
    assert!(right * 10 >= labels.len() * 9, "{right} of {}", labels.len());
}

#[test]
fn fraud_answers_as_recorded() {
    let (scores, labels) = check("fraud");
    let right = scores.iter().zip(&labels).filter(|(score, label)| usize::from(**score > 0.5) == **label).count();
    assert!(right * 10 >= labels.len() * 8, "{right} of {}", labels.len());
}

#[test]
fn one_row_answers_as_in_a_batch() {
    for name in ["digits", "fraud"] {
        let model = load(name);
        let heldout: Heldout = serde_json::from_slice(&file(name, "heldout.json")).unwrap();
        let (input, recorded) = heldout.inputs.iter().next().unwrap();
        let (output, expected) = heldout.outputs.iter().next().unwrap();
        let row = recorded.data.len() / heldout.labels.len();
        let shape = [&[1], &recorded.shape[1..]].concat();
        let tensor = Tensor::from_f32(shape, &recorded.data[..row]).unwrap();
        let answer = model.run(BTreeMap::from([(input.clone(), tensor)])).unwrap();
        let values = answer[output].to_f32().unwrap();
        let close = |(made, expected): (&f32, &f32)| (made - expected).abs() <= 1e-4;
        assert!(values.iter().zip(&expected.data).all(close), "{name}");
    }
}

#[test]
fn signatures_are_those_of_the_files() {
    let batch = || Dim::Symbol("batch".into());
    let ports = |model: &Model| {
        let signature = model.signature().clone();
        [signature.inputs, signature.outputs]
            .map(|infos| infos.into_iter().map(|info| (info.name, info.shape)).collect())
    };
    let digits: [Vec<_>; 2] = ports(&load("digits"));
    assert_eq!(digits[0], [("image".to_owned(), vec![batch(), Dim::Fixed(1), Dim::Fixed(28), Dim::Fixed(28)])]);
    assert_eq!(digits[1], [("probabilities".to_owned(), vec![batch(), Dim::Fixed(10)])]);
    let fraud: [Vec<_>; 2] = ports(&load("fraud"));
    assert_eq!(fraud[0], [("features".to_owned(), vec![batch(), Dim::Fixed(16)])]);
    assert_eq!(fraud[1], [("score".to_owned(), vec![batch(), Dim::Fixed(1)])]);
}

#[test]
fn an_image_of_the_wrong_size_is_refused() {
    let image = Tensor::from_f32(vec![1, 1, 28, 27], &[0.0; 28 * 27]).unwrap();
    let refused = load("digits").run(BTreeMap::from([("image".to_owned(), image)])).unwrap_err();
    assert_eq!(refused.to_string(), "input \"image\" has shape [1, 1, 28, 27], takes [batch, 1, 28, 28]");
}
