//! Stateless resets that survive a restart (RFC 9000 §10.3): a restarted node tells its peers at once
//! that it lost their connections, instead of leaving them to time out.

use std::sync::Arc;

use hedgerow_attest::key::SecretKey;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};

/// The endpoint's configuration; its reset tokens derive from the transport key, which outlives the process.
pub(super) fn endpoint_config(transport: &SecretKey) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey::of(transport)));
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Keyed BLAKE3 in the place of an HMAC.
struct ResetKey([u8; 32]);

impl ResetKey {
    fn of(transport: &SecretKey) -> Self {
        Self(blake3::derive_key("hedgerow 2026 QUIC stateless reset tokens", &*transport.seed()))
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let signature = <[u8; blake3::OUT_LEN]>::try_from(signature).map_err(|_length| CryptoError)?;
        // Comparing two `blake3::Hash` takes constant time.
        if blake3::keyed_hash(&self.0, data) == blake3::Hash::from(signature) { Ok(()) } else { Err(CryptoError) }
    }
}

/// Random connection ids. The library's own generator recognises only ids of its own process, and
/// would leave packets for a former one unanswered.
#[derive(Clone, Copy, Debug)]
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut id).expect("the system's random source works, or no key could have been made");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

/// Every packet from a peer carries one. An id has to tell apart the few thousand connections of one endpoint, and is no
/// secret: packets are authenticated, and reset tokens are keyed.
const ID_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_frozen() {
        let key = ResetKey::of(&SecretKey::from_seed([1; 32]));
        let mut signature = [0; blake3::OUT_LEN];
        key.sign(&[1, 2, 3, 4], &mut signature);
        // QUIC's token is the first half.
        assert_eq!(data_encoding::HEXLOWER.encode(&signature[..16]), "c14ffe5ba493b030a19a8e3eea42db1d");
    }

    #[test]
    fn a_token_verifies_under_its_own_key_only() {
        let (ours, theirs) = (ResetKey([1; 32]), ResetKey([2; 32]));
        let mut token = vec![0; ours.signature_len()];
        ours.sign(b"connection", &mut token);
        assert!(ours.verify(b"connection", &token).is_ok());
        assert!(ours.verify(b"another", &token).is_err());
        assert!(theirs.verify(b"connection", &token).is_err());
        assert!(ours.verify(b"connection", &token[1..]).is_err());
    }
}
