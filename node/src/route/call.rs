//! An inference on its way to the peer that runs it, and its answer.

use std::collections::BTreeMap;

use hedgerow_attest::digest::Sha256Digest;
use hedgerow_inference::tensor::Tensor;
use hedgerow_protocol::name::{ModelName, ModelRef, ModelVersion};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version byte of both forms.
const VERSION: u8 = 1;

/// What a peer is asked. The remaining time travels in the request's head.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct InferCall {
    /// The model.
    pub model: ModelName,
    /// The version; any when nothing.
    pub version: Option<ModelVersion>,
    /// The inputs by name.
    pub inputs: BTreeMap<String, Tensor>,
}

/// What a peer answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum InferReply {
    /// The outputs.
    Ran {
        /// Which model and version answered.
        model: ModelRef,
        /// sha256 of its manifest.
        manifest: Sha256Digest,
        /// The outputs by name.
        outputs: BTreeMap<String, Tensor>,
        /// Time in the queue, microseconds.
        queue_us: u64,
        /// Time in the model, microseconds.
        compute_us: u64,
    },
    /// It did not run, or not to its end.
    Refused {
        /// What the asker can do about it.
        kind: RefusalKind,
        /// The reason in words.
        detail: String,
    },
}

/// Kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalKind {
    /// The request itself is wrong; every node would refuse it.
    Request,
    /// The model is not warm here.
    NotHere,
    /// Not now: another node, or later.
    Busy,
    /// The model failed on this node.
    Failed,
}

/// The form on the wire.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("a vector takes any number of bytes")
}

/// Reads the form on the wire; `None` where it is not one that this release knows. The frame's bound is the transport's.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (&version, body) = bytes.split_first()?;
    match postcard::take_from_bytes(body) {
        Ok((value, [])) if version == VERSION => Some(value),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reads_back_and_its_bytes_are_frozen() {
        let call = InferCall {
            model: ModelName::new("m").unwrap(),
            version: None,
            inputs: BTreeMap::from([("x".to_owned(), Tensor::from_bool(vec![1], &[true]).unwrap())]),
        };
        let bytes = encode(&call);
        assert_eq!(bytes, [1, 1, b'm', 0, 1, 1, b'x', 9, 1, 1, 1, 1]);
        assert_eq!(decode(&bytes), Some(call));
        assert_eq!(decode::<InferCall>(&bytes[..7]), None);
        assert_eq!(decode::<InferCall>(&[2, 0]), None);
    }
}
