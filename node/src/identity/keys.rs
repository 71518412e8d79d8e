//! The keys that make a node this node.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use curve25519_dalek::montgomery::MontgomeryPoint;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::identity::{Identity, IdentityError};
use hedgerow_attest::inception::{CHAIN_MAX, InceptionChain, KeyPurpose, PurposeKey};
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_attest::secretfile::{SecretFile, SecretPurpose};
use hedgerow_attest::signed::EnvelopeError;

use super::secrets::{self, SecretError};
use crate::store::{Layout, file};

/// A node's secret keys and the verified chain that binds them to its name. Clones share the keys.
#[derive(Debug, Clone)]
pub struct NodeIdentity {
    transport: Arc<SecretKey>,
    statement: Arc<SecretKey>,
    chain: InceptionChain,
    identity: Identity,
}

/// Why a node's keys cannot be used. What is on disk was not changed.
#[derive(Debug, thiserror::Error)]
pub enum NodeIdentityError {
    /// A secret key file.
    #[error("load the node's identity")]
    Secret(#[from] SecretError),
    /// `inception.bin` cannot be read or written; restore it together with `identity.key`.
    #[error("{action} {}", path.display())]
    Inception {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `inception.bin` is no chain; restore it together with `identity.key`.
    #[error("decode {}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: EnvelopeError,
    },
    /// The chain does not verify; restore it together with `identity.key`.
    #[error("verify the node's inception")]
    Chain(#[source] IdentityError),
    /// The files are of two nodes, or of two moments of one; restore both from one backup.
    #[error(
        "load the node's identity: the {purpose} key in identity.key is not the one that inception.bin names; restore both files from one backup"
    )]
    OtherKey {
        /// Which key.
        purpose: SecretPurpose,
    },
}

impl NodeIdentity {
    /// The identity in the folder; where there is none, a fresh one, which is durable when this returns.
    pub fn load_or_make(layout: &Layout) -> Result<Self, NodeIdentityError> {
        match Self::load(layout) {
            Err(NodeIdentityError::Secret(SecretError::Io { source, .. }))
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Self::make(layout)
            }
            loaded => loaded,
        }
    }

    /// The identity in the folder.
    pub fn load(layout: &Layout) -> Result<Self, NodeIdentityError> {
        let secrets = secrets::load_secrets(&layout.identity_key())?;
        let path = layout.inception();
        let bytes = file::read_bounded(&path, CHAIN_MAX as u64).map_err(|source| NodeIdentityError::Inception {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let chain = InceptionChain::from_bytes(&bytes)
            .map_err(|source| NodeIdentityError::Malformed { path: path.clone(), source })?;
        Self::of(&layout.identity_key(), &secrets, chain)
    }

    /// The node's name.
    pub fn node(&self) -> NodeId {
        self.identity.node()
    }

    /// The libp2p name of its transport key in use.
    pub fn peer(&self) -> PeerId {
        self.identity.peer()
    }

    /// The key behind the TLS certificate.
    pub fn transport(&self) -> &Arc<SecretKey> {
        &self.transport
    }

    /// The key that signs the node's facts.
    pub fn statement(&self) -> &Arc<SecretKey> {
        &self.statement
    }

    /// The chain, to show to others.
    pub fn chain(&self) -> &InceptionChain {
        &self.chain
    }

    /// The chain's verified outcome.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The chain is written before the keys: where the keys are, the chain is.
    fn make(layout: &Layout) -> Result<Self, NodeIdentityError> {
        let seal_seed = secrets::random_seed()?;
        let seal = seal_public(&seal_seed);
        let mut secrets = SecretFile::default();
        for purpose in SIGNING_PURPOSES {
            secrets.insert(purpose, secrets::random_seed()?);
        }
        secrets.insert(SecretPurpose::Seal, seal_seed);
        let keys = layout.identity_key();
        let key = |purpose| secrets::key(&keys, &secrets, purpose);
        let public = |purpose| key(purpose).map(|key| *key.public().as_bytes());
        let others = [
            PurposeKey { purpose: KeyPurpose::Audit, key: public(SecretPurpose::Audit)? },
            PurposeKey { purpose: KeyPurpose::Witness, key: public(SecretPurpose::Witness)? },
            PurposeKey { purpose: KeyPurpose::Seal, key: seal },
        ];
        let (transport, statement) = (key(SecretPurpose::Transport)?, key(SecretPurpose::Statement)?);
        let next = key(SecretPurpose::NextTransport)?.public().commitment();
        let chain = InceptionChain::incept(&transport, &statement, next, &others);
        let identity = Self::of(&keys, &secrets, chain)?;
        let path = layout.inception();
        file::write(&path, &identity.chain.to_bytes()).map_err(|source| NodeIdentityError::Inception {
            action: "write",
            path,
            source,
        })?;
        secrets::make(&keys, &secrets)?;
        Ok(identity)
    }

    fn of(keys: &Path, secrets: &SecretFile, chain: InceptionChain) -> Result<Self, NodeIdentityError> {
        let identity = Identity::verify(&chain).map_err(NodeIdentityError::Chain)?;
        let key = |purpose| secrets::key(keys, secrets, purpose);
        let (transport, statement) = (key(SecretPurpose::Transport)?, key(SecretPurpose::Statement)?);
        let next = key(SecretPurpose::NextTransport)?.public().commitment();
        let matches = [
            (SecretPurpose::Transport, transport.public() == *identity.transport()),
            (SecretPurpose::Statement, statement.public() == *identity.statement()),
            (SecretPurpose::NextTransport, next == identity.next()),
        ];
        if let Some((purpose, _)) = matches.into_iter().find(|(_, same)| !same) {
            return Err(NodeIdentityError::OtherKey { purpose });
        }
        Ok(Self { transport: Arc::new(transport), statement: Arc::new(statement), chain, identity })
    }
}

/// X25519 (RFC 7748, §5): the public half is the clamped seed times the base point.
fn seal_public(seed: &[u8; 32]) -> [u8; 32] {
    MontgomeryPoint::mul_base_clamped(*seed).to_bytes()
}

/// The ed25519 keys in `identity.key`.
const SIGNING_PURPOSES: [SecretPurpose; 5] = [
    SecretPurpose::Transport,
    SecretPurpose::NextTransport,
    SecretPurpose::Statement,
    SecretPurpose::Audit,
    SecretPurpose::Witness,
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_identity_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let made = NodeIdentity::load_or_make(&layout).unwrap();
        let loaded = NodeIdentity::load_or_make(&layout).unwrap();
        assert_eq!(made.node(), loaded.node());
        assert_eq!(made.chain(), loaded.chain());
        assert_eq!(made.peer(), PeerId::of(&made.transport().public()));
        let purposes = [KeyPurpose::Statement, KeyPurpose::Audit, KeyPurpose::Witness, KeyPurpose::Seal];
        assert!(purposes.iter().all(|purpose| made.identity().key(*purpose).is_some()));
    }

    #[test]
    fn making_that_was_interrupted_before_the_keys_begins_afresh() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let lost = NodeIdentity::load_or_make(&layout).unwrap();
        fs::remove_file(layout.identity_key()).unwrap();
        let made = NodeIdentity::load_or_make(&layout).unwrap();
        assert_ne!(lost.node(), made.node());
        assert_eq!(NodeIdentity::load(&layout).unwrap().node(), made.node());
    }

    #[test]
    fn files_of_two_nodes_are_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (Layout::new(one.path()), Layout::new(two.path()));
        NodeIdentity::load_or_make(&one).unwrap();
        NodeIdentity::load_or_make(&two).unwrap();
        fs::copy(two.inception(), one.inception()).unwrap();
        let error = NodeIdentity::load_or_make(&one).unwrap_err();
        assert!(matches!(error, NodeIdentityError::OtherKey { purpose: SecretPurpose::Transport }), "{error}");

        fs::remove_file(one.inception()).unwrap();
        let error = NodeIdentity::load_or_make(&one).unwrap_err();
        assert!(matches!(error, NodeIdentityError::Inception { action: "read", .. }), "a lost chain is no fresh start");
    }

    #[test]
    fn the_seal_key_is_an_x25519_key() {
        // RFC 7748, §6.1: Alice's private and public key.
        let bytes =
            |text: &str| -> [u8; 32] { data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap() };
        let private = bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let public = bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(seal_public(&private), public);
    }

    #[test]
    fn a_next_key_that_was_not_committed_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        NodeIdentity::load_or_make(&layout).unwrap();
        let mut keys = secrets::load_secrets(&layout.identity_key()).unwrap();
        keys.insert(SecretPurpose::NextTransport, secrets::random_seed().unwrap());
        file::write(&layout.identity_key(), keys.encode().as_bytes()).unwrap();
        let error = NodeIdentity::load(&layout).unwrap_err();
        assert!(matches!(error, NodeIdentityError::OtherKey { purpose: SecretPurpose::NextTransport }), "{error}");
    }
}
