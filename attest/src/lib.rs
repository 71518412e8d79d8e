//! Identities, digests, signatures and signed statements of a Hedgerow mesh.
