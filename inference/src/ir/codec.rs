//! Bytes of a graph: four bytes of magic, one of version, then postcard.

use super::graph::{Attribute, Graph};
use crate::tensor::DType;

/// Latest version of the layout that [`Graph::encode`] writes and [`Graph::decode`] reads. Each has
/// more element types than the one before it and is the same in everything else; a graph is written
/// in the earliest that has all of its types, and in no other.
pub const VERSION: u8 = 2;
/// Largest encoded graph. A graph holds no weights; a thousand nodes take about 60 KB.
pub const GRAPH_BYTES_MAX: usize = 4 << 20;

const MAGIC: [u8; 4] = *b"HgIR";

/// Why bytes are not a graph. A retry with the same bytes fails again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Refused before reading.
    #[error("graph of {bytes} bytes is larger than {GRAPH_BYTES_MAX}")]
    Size {
        /// Bytes offered.
        bytes: usize,
    },
    /// The bytes do not begin as a graph does.
    #[error("not a graph: the magic bytes are missing")]
    Magic,
    /// Written by another version of this crate; the publisher must push the model again with
    /// one that both sides have.
    #[error("graph has version {found}, this node reads {VERSION}")]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// An element type that the stated version does not have, or a later version than the graph's
    /// types need.
    #[error("graph states version {stated}, its element types are those of {needed}")]
    Types {
        /// The version byte.
        stated: u8,
        /// The version that the element types need.
        needed: u8,
    },
    /// Cut short, out of bounds or not postcard of this version's types.
    #[error("graph is malformed")]
    Malformed(#[source] postcard::Error),
    /// Bytes follow the graph.
    #[error("{bytes} bytes follow the graph")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// Why a graph cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The result would be refused by every reader.
    #[error("graph would take {bytes} bytes, at most {GRAPH_BYTES_MAX} are allowed")]
    Size {
        /// Bytes that it would take.
        bytes: usize,
    },
    /// A name or list is longer than [`Graph::decode`] accepts.
    #[error("graph would be refused when read")]
    Unreadable(#[source] DecodeError),
}

impl Graph {
    /// The bytes of the graph layer; what they decode to is checked before they are returned.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let bytes = self.written();
        if bytes.len() > GRAPH_BYTES_MAX {
            return Err(EncodeError::Size { bytes: bytes.len() });
        }
        Self::decode(&bytes).map_err(EncodeError::Unreadable)?;
        Ok(bytes)
    }

    /// Reads the graph layer. The result is bounded but not yet believed: loading checks it
    /// against the operator table.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > GRAPH_BYTES_MAX {
            return Err(DecodeError::Size { bytes: bytes.len() });
        }
        let rest = bytes.strip_prefix(&MAGIC).ok_or(DecodeError::Magic)?;
        let (version, rest) = rest.split_first().ok_or(DecodeError::Magic)?;
        if !(1..=VERSION).contains(version) {
            return Err(DecodeError::Version { found: *version });
        }
        let (graph, rest): (Self, _) = postcard::take_from_bytes(rest).map_err(DecodeError::Malformed)?;
        if !rest.is_empty() {
            return Err(DecodeError::Trailing { bytes: rest.len() });
        }
        let (stated, needed) = (*version, graph.version());
        if stated == needed { Ok(graph) } else { Err(DecodeError::Types { stated, needed }) }
    }

    /// The earliest version that has all element types of the graph.
    fn version(&self) -> u8 {
        let ports = self.signature.inputs.iter().chain(&self.signature.outputs);
        let ports = ports.chain(self.subgraphs.iter().flat_map(|body| &body.inputs)).map(|port| port.dtype);
        let weights = self.weights.iter().map(|weight| weight.dtype);
        let nodes = self.nodes.iter().chain(self.subgraphs.iter().flat_map(|body| &body.nodes));
        let constants = nodes.flat_map(|node| &node.attributes).filter_map(|attribute| match &attribute.value {
            Attribute::Tensor(tensor) => Some(tensor.dtype()),
            Attribute::Int(_) | Attribute::Float(_) | Attribute::Text(_) | Attribute::Graph(_) => None,
            Attribute::Ints(_) | Attribute::Floats(_) | Attribute::Texts(_) => None,
        });
        if ports.chain(weights).chain(constants).any(DType::is_narrow) { 2 } else { 1 }
    }

    fn written(&self) -> Vec<u8> {
        let head = [MAGIC.as_slice(), &[self.version()]].concat();
        postcard::to_extend(self, head).expect("a vector takes any number of bytes and the types are plain")
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
