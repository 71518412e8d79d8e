//! Answering every request of every case once.

use std::{fs, path::Path};

use anyhow::Context as _;
use hedgerow_inference::tensor::Tensor;
use serde::Serialize;

use crate::{
    case::{Stored, requests},
    model::Loaded,
    publisher::{published, store},
};

/// `answer.json`; the elements are in `answer.bin`.
#[derive(Default, Serialize)]
struct Answer {
    /// Why there are none, or not all.
    refused: Option<String>,
    answers: Vec<Vec<Stored>>,
}

/// Writes the answers of every case below the folder beside it.
pub(crate) fn answer_all(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder.join("cases")).context("read the folder of cases")? {
        let folder = entry?.path();
        let (mut answer, mut data) = (Answer::default(), Vec::new());
        if let Err(refusal) = fill(&folder, &mut answer, &mut data)? {
            answer.refused = Some(refusal);
        }
        fs::write(folder.join("answer.bin"), data)?;
        fs::write(folder.join("answer.json"), serde_json::to_vec(&answer)?)?;
    }
    Ok(())
}

/// The inner error is a refusal of ours, the outer one something wrong with the case.
fn fill(folder: &Path, answer: &mut Answer, data: &mut Vec<u8>) -> anyhow::Result<Result<(), String>> {
    let onnx = fs::read(folder.join("model.onnx"))?;
    let artifact = match published(&onnx) {
        Ok(artifact) => artifact,
        Err(refusal) => return Ok(Err(refusal)),
    };
    store(&artifact, &folder.join("artifact"))?;
    let opened = artifact.open().context("open what was just packed")?;
    let model = match Loaded::new(&opened, 1) {
        Ok(model) => model,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for request in requests(folder)? {
        match model.run(request) {
            Ok(outputs) => answer.answers.push(outputs.iter().map(|output| append(output, data)).collect()),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Ok(Ok(()))
}

fn append((name, tensor): (&String, &Tensor), data: &mut Vec<u8>) -> Stored {
    let start = data.len();
    data.extend(tensor.data());
    let (dtype, shape) = (tensor.dtype().to_string(), tensor.shape().to_vec());
    Stored { name: name.clone(), dtype, shape, start, bytes: tensor.data().len() }
}
