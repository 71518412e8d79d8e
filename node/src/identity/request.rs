//! What a joining node sends.

use hedgerow_attest::inception::{CHAIN_MAX, InceptionChain};
use hedgerow_attest::invite::{InviteId, RedemptionProof};
use hedgerow_attest::name::NodeClass;
use hedgerow_attest::region::Region;
use hedgerow_attest::ticket::Ticket;
use hedgerow_attest::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::keys::NodeIdentity;
use super::refusal::JoinRefusal;
use super::versioned::{self, Unread};

/// A request to join, sent once on a connection of the join lane. The connection proves the transport key; the chain, which
/// both keys signed, binds it to the node; the proof shows that the ticket was seen, and is void on another connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The node's keys.
    pub identity: InceptionChain,
    /// The invitation to redeem.
    pub invite: InviteId,
    /// Of knowing its secret.
    pub proof: RedemptionProof,
    /// The region in which the node stands; it has to be the invitation's.
    pub region: Region,
    /// What kind of machine it is.
    pub class: NodeClass,
    /// The node's clock, so that a clock that is far off is noticed before a certificate is issued for it.
    pub at: UnixSeconds,
}

impl JoinRequest {
    /// The request of this node with this ticket, for the connection with this exported keying material.
    pub fn new(
        ticket: &Ticket,
        identity: &NodeIdentity,
        class: NodeClass,
        exporter: &[u8; 32],
        now: UnixSeconds,
    ) -> Self {
        Self {
            identity: identity.chain().clone(),
            invite: ticket.invite,
            proof: ticket.proof(exporter),
            region: ticket.region.clone(),
            class,
            at: now,
        }
    }

    /// The bytes to send: a version byte and postcard, at most [`REQUEST_BYTES_MAX`].
    pub fn encode(&self) -> Vec<u8> {
        versioned::write(VERSION, self)
    }

    /// Reads a request and checks nothing but its shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, JoinRefusal> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(JoinRefusal::Malformed);
        }
        versioned::read(VERSION, bytes).map_err(|unread| match unread {
            Unread::Version(version) => JoinRefusal::UnsupportedVersion { version },
            Unread::Malformed => JoinRefusal::Malformed,
        })
    }
}

const VERSION: u8 = 1;
/// A request is a chain and less than 200 bytes more.
pub const REQUEST_BYTES_MAX: usize = CHAIN_MAX + 256;

#[cfg(test)]
mod tests {
    use hedgerow_attest::digest::Sha256Digest;
    use hedgerow_attest::key::SecretKey;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_is_frozen() {
        let bytes = sample().encode();
        assert_eq!(JoinRequest::decode(&bytes), Ok(sample()));
        let tail = data_encoding::HEXLOWER.encode(&bytes[bytes.len() - 61..]);
        assert_eq!(tail, format!("{}{}026575046564676580e2cfaa06", "07".repeat(16), "08".repeat(32)));
        assert_eq!(Sha256Digest::of(&bytes).to_string(), FROZEN);
    }

    #[test]
    fn other_versions_and_other_lengths_are_refused_by_name() {
        let mut bytes = sample().encode();
        bytes.push(0);
        assert_eq!(JoinRequest::decode(&bytes), Err(JoinRefusal::Malformed));
        assert_eq!(JoinRequest::decode(&[]), Err(JoinRefusal::Malformed));
        assert_eq!(JoinRequest::decode(&vec![1; REQUEST_BYTES_MAX + 1]), Err(JoinRefusal::Malformed));
        bytes[0] = 2;
        assert_eq!(JoinRequest::decode(&bytes), Err(JoinRefusal::UnsupportedVersion { version: 2 }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512), flip in any::<(prop::sample::Index, u8)>()) {
            let _refused = JoinRequest::decode(&bytes).is_err();
            let mut damaged = sample().encode();
            let index = flip.0.index(damaged.len());
            damaged[index] ^= flip.1;
            if let Ok(request) = JoinRequest::decode(&damaged) {
                prop_assert_eq!(JoinRequest::decode(&request.encode()), Ok(request));
            }
        }
    }

    fn sample() -> JoinRequest {
        let key = |seed| SecretKey::from_seed([seed; 32]);
        JoinRequest {
            identity: InceptionChain::incept(&key(1), &key(2), key(3).public().commitment(), &[]),
            invite: InviteId([7; 16]),
            proof: RedemptionProof::from_bytes([8; 32]),
            region: "eu".parse().unwrap(),
            class: "edge".parse().unwrap(),
            at: UnixSeconds(1_700_000_000),
        }
    }

    const FROZEN: &str = "c920ed61c1c92d606727fd8c4a9db618923e0faa0d2a8fba7de2b1a5207b3b55";
}
