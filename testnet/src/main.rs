//! The `hedgerow-testnet` binary: whole meshes on one machine.

fn main() {}
