//! The weights layer: a safetensors file that holds exactly the tensors its graph names.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use safetensors::{Dtype, SafeTensorError, SafeTensors, View};

use crate::{
    ir::WeightInfo,
    tensor::{self, DType, RANK_MAX, Tensor},
};

/// Largest header of a safetensors file. A tensor's entry takes about 100 bytes, so this is more
/// than a graph may name.
const HEADER_BYTES_MAX: u64 = 4 << 20;
/// Largest weights layer.
pub const WEIGHTS_BYTES_MAX: usize = 1 << 30;

/// The tensors of a model, as the bytes of their file and an index into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    bytes: Vec<u8>,
    index: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    dtype: DType,
    shape: Vec<u64>,
    range: Range<usize>,
}

/// Why bytes are not the weights of a graph. A retry with the same bytes fails again.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Refused before reading.
    #[error("weights of {bytes} bytes are larger than {WEIGHTS_BYTES_MAX}")]
    Size {
        /// Bytes offered.
        bytes: usize,
    },
    /// Refused before the header is read: it is cut short, or claims too much.
    #[error("safetensors header is cut short or larger than {HEADER_BYTES_MAX} bytes")]
    Header,
    /// Not a safetensors file.
    #[error("weights are no safetensors file")]
    Malformed(#[source] SafeTensorError),
    /// A tensor of a type or rank that graphs do not know.
    #[error("weight `{name}` has an unsupported type or shape")]
    Type {
        /// The tensor.
        name: String,
    },
    /// The graph names a tensor that is not there.
    #[error("weight `{name}` is missing")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// A tensor that the graph does not name.
    #[error("weight `{name}` belongs to no value of the graph")]
    Unexpected {
        /// The tensor.
        name: String,
    },
    /// Type or shape differ from what the graph says.
    #[error("weight `{name}` differs from its description in the graph")]
    Mismatch {
        /// The tensor.
        name: String,
    },
}

impl Weights {
    /// Indexes a file and compares it with the graph's list, in both directions.
    pub fn open(bytes: Vec<u8>, expected: &[WeightInfo]) -> Result<Self, WeightsError> {
        let mut index = index(&bytes)?;
        for info in expected {
            let entry = index.get(&info.name).ok_or_else(|| WeightsError::Missing { name: info.name.clone() })?;
            if stored_as(info.dtype, &info.shape) != Some((entry.dtype, entry.shape.clone())) {
                return Err(WeightsError::Mismatch { name: info.name.clone() });
            }
        }
        let named = |name: &&String| expected.iter().any(|info| info.name == **name);
        if index.len() != expected.len() {
            let unexpected = index.keys().find(|name| !named(name));
            // With nothing unexpected the graph lists a name twice.
            let name = unexpected.or_else(|| index.keys().next()).cloned().unwrap_or_default();
            return Err(WeightsError::Unexpected { name });
        }
        for info in expected {
            let entry = index.get_mut(&info.name).expect("every name was found just above");
            (entry.dtype, entry.shape) = (info.dtype, info.shape.clone());
        }
        Ok(Self { bytes, index })
    }

    /// Copy of a tensor.
    pub fn tensor(&self, name: &str) -> Option<Tensor> {
        let entry = self.index.get(name)?;
        let data = self.bytes[entry.range.clone()].to_vec();
        Some(Tensor::new(entry.dtype, entry.shape.clone(), data).expect("the index holds checked sizes"))
    }

    /// Type and shape of every tensor, sorted by name.
    pub fn infos(&self) -> impl Iterator<Item = WeightInfo> {
        self.index.iter().map(|(name, entry)| WeightInfo {
            name: name.clone(),
            dtype: entry.dtype,
            shape: entry.shape.clone(),
        })
    }

    /// Numbers in all tensors together.
    pub fn parameters(&self) -> u64 {
        self.index.values().map(|entry| entry.shape.iter().product::<u64>()).sum()
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a file lists, as it lies there.
pub(crate) fn listed(bytes: &[u8]) -> Result<Vec<WeightInfo>, WeightsError> {
    let info = |(name, entry): (String, Entry)| WeightInfo { name, dtype: entry.dtype, shape: entry.shape };
    Ok(index(bytes)?.into_iter().map(info).collect())
}

/// A safetensors file with these tensors. The same tensors give the same bytes.
pub(crate) fn serialize(tensors: &BTreeMap<String, Tensor>) -> Weights {
    let views = tensors.iter().map(|(name, tensor)| (name, Borrowed::of(tensor)));
    let bytes = safetensors::serialize(views, None).expect("lengths fit shapes and names are JSON strings");
    let info = |(name, tensor): (&String, &Tensor)| WeightInfo {
        name: name.clone(),
        dtype: tensor.dtype(),
        shape: tensor.shape().to_vec(),
    };
    let infos: Vec<_> = tensors.iter().map(info).collect();
    Weights::open(bytes, &infos).expect("written by the same crate just above")
}

fn index(bytes: &[u8]) -> Result<BTreeMap<String, Entry>, WeightsError> {
    if bytes.len() > WEIGHTS_BYTES_MAX {
        return Err(WeightsError::Size { bytes: bytes.len() });
    }
    let claimed = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    if claimed.is_none_or(|claimed| claimed > HEADER_BYTES_MAX) {
        return Err(WeightsError::Header);
    }
    let file = SafeTensors::deserialize(bytes).map_err(WeightsError::Malformed)?;
    let base = bytes.as_ptr() as usize;
    file.iter()
        .map(|(name, view)| {
            let unsupported = || WeightsError::Type { name: name.to_owned() };
            let dtype = from_file(view.dtype()).ok_or_else(unsupported)?;
            let shape: Vec<u64> = view.shape().iter().map(|extent| *extent as u64).collect();
            let size = tensor::size_bytes(dtype, &shape).map_err(|_rank_or_overflow| unsupported())?;
            let data = view.data();
            if shape.len() > RANK_MAX || size != data.len() as u64 {
                return Err(unsupported());
            }
            let start = data.as_ptr() as usize - base;
            Ok((name.to_owned(), Entry { dtype, shape, range: start..start + data.len() }))
        })
        .collect()
}

/// How a tensor lies in the file: elements that share bytes, which safetensors does not know or has
/// only in even numbers, lie as those bytes.
fn stored_as(dtype: DType, shape: &[u64]) -> Option<(DType, Vec<u64>)> {
    if !dtype.is_packed() {
        return Some((dtype, shape.to_vec()));
    }
    let bytes = tensor::size_bytes(dtype, shape).ok()?;
    Some((DType::U8, vec![bytes]))
}

const DTYPES: [(Dtype, DType); 18] = [
    (Dtype::BOOL, DType::Bool),
    (Dtype::U8, DType::U8),
    (Dtype::U16, DType::U16),
    (Dtype::U32, DType::U32),
    (Dtype::U64, DType::U64),
    (Dtype::I8, DType::I8),
    (Dtype::I16, DType::I16),
    (Dtype::I32, DType::I32),
    (Dtype::I64, DType::I64),
    (Dtype::F16, DType::F16),
    (Dtype::BF16, DType::BF16),
    (Dtype::F32, DType::F32),
    (Dtype::F64, DType::F64),
    (Dtype::F8_E4M3, DType::F8E4M3FN),
    (Dtype::F8_E4M3FNUZ, DType::F8E4M3FNUZ),
    (Dtype::F8_E5M2, DType::F8E5M2),
    (Dtype::F8_E5M2FNUZ, DType::F8E5M2FNUZ),
    (Dtype::F8_E8M0, DType::F8E8M0),
];

fn from_file(dtype: Dtype) -> Option<DType> {
    DTYPES.iter().find(|(theirs, _)| *theirs == dtype).map(|(_, ours)| *ours)
}

fn to_file(dtype: DType) -> Dtype {
    let row = DTYPES.iter().find(|(_, ours)| *ours == dtype);
    row.expect("every element type that is not packed has a row").0
}

/// A tensor as the safetensors crate wants to see it.
struct Borrowed<'a> {
    tensor: &'a Tensor,
    dtype: DType,
    shape: Vec<usize>,
}

impl<'a> Borrowed<'a> {
    fn of(tensor: &'a Tensor) -> Self {
        let (dtype, shape) = stored_as(tensor.dtype(), tensor.shape()).expect("elements are in memory");
        let shape = shape.iter().map(|extent| usize::try_from(*extent).expect("elements are in memory"));
        Self { tensor, dtype, shape: shape.collect() }
    }
}

impl View for Borrowed<'_> {
    fn dtype(&self) -> Dtype {
        to_file(self.dtype)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.tensor.data().into()
    }

    fn data_len(&self) -> usize {
        self.tensor.data().len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tensors() -> BTreeMap<String, Tensor> {
        BTreeMap::from([
            ("bias".into(), Tensor::from_f32(vec![2], &[0.5, -1.0]).unwrap()),
            ("shape".into(), Tensor::from_i64(vec![2], &[-1, 4]).unwrap()),
            ("flag".into(), Tensor::from_bool(vec![], &[true]).unwrap()),
            ("quanta".into(), Tensor::new(DType::I4, vec![3, 1], vec![0x78, 0x0f]).unwrap()),
            ("scale".into(), Tensor::new(DType::F8E5M2, vec![1], vec![0x3c]).unwrap()),
        ])
    }

    fn infos() -> Vec<WeightInfo> {
        let describe = |(name, tensor): (&String, &Tensor)| WeightInfo {
            name: name.clone(),
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
        };
        tensors().iter().map(describe).collect()
    }

    #[test]
    fn every_tensor_comes_back() {
        let weights = Weights::open(serialize(&tensors()).bytes, &infos()).unwrap();
        for (name, tensor) in tensors() {
            assert_eq!(weights.tensor(&name), Some(tensor));
        }
        assert_eq!(weights.tensor("other"), None);
        assert_eq!(weights.infos().collect::<Vec<_>>(), infos());
        assert_eq!(weights.parameters(), 9);
    }

    #[test]
    fn elements_that_share_bytes_lie_as_these_bytes() {
        let listed = listed(&serialize(&tensors()).bytes).unwrap();
        let lies_as = |name: &str| {
            let info = listed.iter().find(|info| info.name == name).unwrap();
            (info.dtype, info.shape.clone())
        };
        assert_eq!(lies_as("quanta"), (DType::U8, vec![2]));
        assert_eq!(lies_as("scale"), (DType::F8E5M2, vec![1]));
        let mut wide = infos();
        wide.iter_mut().find(|info| info.name == "quanta").unwrap().shape = vec![5, 1];
        let refused = Weights::open(serialize(&tensors()).bytes, &wide).unwrap_err();
        assert_eq!(refused.to_string(), "weight `quanta` differs from its description in the graph");
    }

    #[test]
    fn the_file_must_hold_exactly_what_the_graph_names() {
        let bytes = serialize(&tensors()).bytes;
        let text = |expected: &[WeightInfo]| Weights::open(bytes.clone(), expected).unwrap_err().to_string();
        assert_eq!(text(&infos()[1..]), "weight `bias` belongs to no value of the graph");
        let mut renamed = infos();
        renamed[0].name = "offset".into();
        assert_eq!(text(&renamed), "weight `offset` is missing");
        let mut reshaped = infos();
        reshaped[0].shape = vec![1, 2];
        assert_eq!(text(&reshaped), "weight `bias` differs from its description in the graph");
        let twice = [infos(), infos()[..1].to_vec()].concat();
        assert!(matches!(Weights::open(bytes.clone(), &twice), Err(WeightsError::Unexpected { .. })));
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_unread() {
        let claim = (HEADER_BYTES_MAX + 1).to_le_bytes();
        assert!(matches!(Weights::open(claim.to_vec(), &[]), Err(WeightsError::Header)));
        assert!(matches!(Weights::open(vec![0; 7], &[]), Err(WeightsError::Header)));
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(at in 0usize..400, byte: u8, cut in 0usize..400) {
            let mut bytes = serialize(&tensors()).bytes;
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(weights) = Weights::open(bytes.clone(), &infos()) {
                prop_assert_eq!(weights.parameters(), 9);
            }
            bytes.truncate(cut % bytes.len());
            prop_assert!(Weights::open(bytes, &infos()).is_err());
        }
    }
}
