//! The graph IR: what a node of the mesh knows of a model beside its weights.
//!
//! A publisher writes it, so nothing in it is believed: [`Graph::decode`] bounds it, and loading
//! checks every operator, attribute, type and shape against the table in `ops` again. Shapes of
//! values between nodes are not stored at all.
//!
//! Layout, bounds and compatibility are described in `docs/artifact.md`.

mod bounded;
mod codec;
mod graph;

pub use codec::{DecodeError, EncodeError, GRAPH_BYTES_MAX, VERSION};
pub use graph::{
    Attribute, Dim, Graph, Limits, NamedAttribute, Node, OperatorId, Signature, Subgraph, ValueInfo, ValueName,
    WeightInfo,
};
