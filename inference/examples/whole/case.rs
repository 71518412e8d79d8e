//! A case on disk: `case.json` says what tensors lie where in `data.bin`.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use hedgerow_inference::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// A tensor in a file of several, raw, little-endian.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) start: usize,
    pub(crate) bytes: usize,
}

#[derive(Deserialize)]
struct Case {
    requests: Vec<Vec<Stored>>,
}

/// The requests of a case, in order.
pub(crate) fn requests(folder: &Path) -> anyhow::Result<Vec<BTreeMap<String, Tensor>>> {
    let case: Case = serde_json::from_slice(&fs::read(folder.join("case.json"))?)?;
    let data = fs::read(folder.join("data.bin"))?;
    let tensors = |request: &Vec<Stored>| request.iter().map(|stored| stored.tensor(&data)).collect();
    case.requests.iter().map(tensors).collect()
}

impl Stored {
    fn tensor(&self, data: &[u8]) -> anyhow::Result<(String, Tensor)> {
        let bytes = data.get(self.start..self.start + self.bytes).context("find the bytes of an input")?;
        let dtype = DType::from_name(&self.dtype).context("know the type of an input")?;
        Ok((self.name.clone(), Tensor::new(dtype, self.shape.clone(), bytes.to_vec())?))
    }
}
