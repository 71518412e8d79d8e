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
    use hedgerow_inference::ir::{Dim, Signature, ValueInfo};
    use hedgerow_inference::tensor::DType;

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

    #[test]
    fn replies_are_frozen_and_read_back() {
        let model = ModelRef { model: ModelName::new("m").unwrap(), version: ModelVersion::new("1").unwrap() };
        let ran = InferReply::Ran {
            model,
            manifest: Sha256Digest::from_bytes([7; 32]),
            outputs: BTreeMap::from([("y".to_owned(), Tensor::from_bool(vec![2], &[true, false]).unwrap())]),
            queue_us: 300,
            compute_us: 5,
        };
        // Output y: element type 9 (BOOL), one dimension of 2, two bytes.
        let frozen = [&[1, 0, 1, b'm', 1, b'1'], &[7; 32][..], &[1, 1, b'y', 9, 1, 2, 2, 1, 0, 0xac, 0x02, 5]].concat();
        assert_eq!(encode(&ran), frozen);
        assert_eq!(decode(&frozen), Some(ran));
        let kinds = [RefusalKind::Request, RefusalKind::NotHere, RefusalKind::Busy, RefusalKind::Failed];
        for (code, kind) in (0..).zip(kinds) {
            let refused = InferReply::Refused { kind, detail: "no".to_owned() };
            assert_eq!(encode(&refused), [1, 1, code, 2, b'n', b'o']);
            assert_eq!(decode(&[1, 1, code, 2, b'n', b'o']), Some(refused));
        }
    }

    #[test]
    fn descriptions_are_frozen_and_read_back() {
        let asked = (ModelName::new("m").unwrap(), Some(ModelVersion::new("1").unwrap()));
        assert_eq!(encode(&asked), [1, 1, b'm', 1, 1, b'1']);
        assert_eq!(decode(&encode(&asked)), Some(asked.clone()));
        let port = |name: &str, dtype, shape| ValueInfo { name: name.to_owned(), dtype, shape };
        let signature = Signature {
            inputs: vec![port("x", DType::F32, vec![Dim::Symbol("n".to_owned()), Dim::Fixed(300)])],
            outputs: vec![port("y", DType::Bool, vec![])],
        };
        let told = Some((ModelRef { model: asked.0, version: asked.1.unwrap() }, signature));
        let frozen = [1, 1, 1, b'm', 1, b'1', 1, 1, b'x', 1, 2, 1, 1, b'n', 0, 0xac, 0x02, 1, 1, b'y', 9, 0];
        assert_eq!(encode(&told), frozen);
        assert_eq!(decode(&frozen), Some(told));
        assert_eq!(encode(&None::<(ModelRef, Signature)>), [1, 0]);
    }
}
