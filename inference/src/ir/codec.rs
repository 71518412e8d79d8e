//! Bytes of a graph: four bytes of magic, one of version, then postcard.

use super::graph::Graph;

/// Version of the layout that [`Graph::encode`] writes and [`Graph::decode`] reads.
pub const VERSION: u8 = 1;
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
        if *version != VERSION {
            return Err(DecodeError::Version { found: *version });
        }
        let (graph, rest) = postcard::take_from_bytes(rest).map_err(DecodeError::Malformed)?;
        if !rest.is_empty() {
            return Err(DecodeError::Trailing { bytes: rest.len() });
        }
        Ok(graph)
    }

    fn written(&self) -> Vec<u8> {
        let head = [MAGIC.as_slice(), &[VERSION]].concat();
        postcard::to_extend(self, head).expect("a vector takes any number of bytes and the types are plain")
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
