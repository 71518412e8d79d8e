//! Running the cases.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use hedgerow_inference::{
    artifact::pack,
    exec::{ExecLimits, Model},
    onnx::{LowerLimits, lower},
    tensor::{DType, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::compare::{Tolerance, compare};

/// What the report must reach, and the cases that are measured more loosely.
#[derive(Debug, Deserialize)]
pub(crate) struct Floors {
    /// Least number of passing cases by class; `all` for all together.
    pub(crate) passed: BTreeMap<String, usize>,
    /// Cases whose absolute tolerance is 1e-5, with the reason.
    pub(crate) loose: BTreeMap<String, String>,
}

/// What became of a case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) operator: String,
    pub(crate) class: String,
    pub(crate) verdict: Verdict,
}

/// The three ends of a case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Largest error in units in the last place.
    Passed(f64),
    /// The message of the refusal.
    Refused(String),
    /// What is wrong.
    Failed(String),
}

/// `case.json`.
#[derive(Deserialize)]
struct Case {
    operator: String,
    class: String,
    rtol: f64,
    atol: f64,
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    inputs: Vec<Stored>,
    outputs: Vec<Stored>,
}

#[derive(Deserialize)]
struct Stored {
    name: String,
    dtype: String,
    shape: Vec<u64>,
    start: usize,
    bytes: usize,
}

impl Stored {
    /// `None` for what is no tensor of a type that artifacts know.
    fn tensor(&self, data: &[u8]) -> Option<Tensor> {
        let bytes = data.get(self.start..self.start + self.bytes)?.to_vec();
        Tensor::new(DType::from_name(&self.dtype)?, self.shape.clone(), bytes).ok()
    }
}

/// Every case below the folder, sorted by name.
pub(crate) fn run_all(folder: &Path, floors: &Floors) -> anyhow::Result<Vec<Outcome>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder.join("cases"))? {
        folders.push(entry?.path());
    }
    folders.sort();
    folders.iter().map(|folder| run(folder, floors)).collect()
}

fn run(folder: &Path, floors: &Floors) -> anyhow::Result<Outcome> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let case: Case = serde_json::from_slice(&fs::read(folder.join("case.json"))?)?;
    let (model, data) = (fs::read(folder.join("model.onnx"))?, fs::read(folder.join("data.bin"))?);
    let absolute = if floors.loose.contains_key(&name) { 1e-5 } else { case.atol };
    let tolerance = Tolerance { relative: case.rtol, absolute };
    let verdict = match load(&model) {
        Err(refusal) => Verdict::Refused(refusal),
        Ok(model) => match answer(&model, &case.sets, &data, tolerance) {
            Ok(worst) => Verdict::Passed(worst),
            Err(wrong) => Verdict::Failed(wrong),
        },
    };
    Ok(Outcome { name, operator: case.operator, class: case.class, verdict })
}

/// The whole way from the publisher's file to a model in memory.
fn load(onnx: &[u8]) -> Result<Model, String> {
    let lowered = lower(onnx, &LowerLimits::default()).map_err(chain)?;
    let name = "case".parse().map_err(chain)?;
    let version = "1".parse().map_err(chain)?;
    let artifact = pack(name, version, &lowered).map_err(chain)?;
    let opened = artifact.open().map_err(chain)?;
    Model::load(&opened, ExecLimits::default()).map_err(chain)
}

/// The largest error over all sets of inputs and outputs.
fn answer(model: &Model, sets: &[Set], data: &[u8], tolerance: Tolerance) -> Result<f64, String> {
    let mut worst = 0.0_f64;
    for set in sets {
        let mut inputs = BTreeMap::new();
        for stored in &set.inputs {
            let tensor = stored.tensor(data).ok_or_else(|| format!("input {} cannot be read", stored.name))?;
            inputs.insert(stored.name.clone(), tensor);
        }
        let outputs = model.run(inputs).map_err(chain)?;
        for stored in &set.outputs {
            let expected = stored.tensor(data).ok_or_else(|| format!("output {} cannot be read", stored.name))?;
            let made = outputs.get(&stored.name).ok_or_else(|| format!("output {} is not made", stored.name))?;
            let error = compare(made, &expected, tolerance);
            worst = worst.max(error.map_err(|wrong| format!("{}: {wrong}", stored.name))?);
        }
    }
    Ok(worst)
}

/// A message with its causes.
fn chain(error: impl Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::new(error))
}
