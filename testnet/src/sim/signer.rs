//! Who signs for a simulated node.

use hedgerow_attest::key::{PublicKey, SecretKey, Signature, Signer};

/// The key of a node, or something that costs nothing: thousands of nodes that hand messages over without encoding them
/// never look at signatures again.
#[derive(Debug)]
pub(crate) enum NodeSigner {
    /// Signs.
    Real(Box<SecretKey>),
    /// Leaves the signature empty.
    Null(PublicKey),
}

impl Signer for NodeSigner {
    fn public(&self) -> PublicKey {
        match self {
            Self::Real(key) => key.public(),
            Self::Null(public) => *public,
        }
    }

    fn sign_raw(&self, message: &[u8]) -> Signature {
        match self {
            Self::Real(key) => key.sign_raw(message),
            Self::Null(_) => Signature::from_bytes([0; 64]),
        }
    }
}
