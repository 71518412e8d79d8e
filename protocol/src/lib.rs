//! The state machines and wire types of a Hedgerow mesh.
