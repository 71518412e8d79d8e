//! The way to an issuer, asked of any member: a ticket outlives the addresses that are in it.
//!
//! A lead is a hint. Whoever follows it still demands the key that the ticket pins, so that a liar only costs a few dials.

use std::net::SocketAddr;

use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::NodeId;
use serde::{Deserialize, Serialize};

use super::versioned;

/// Asks where an issuer is. Who holds a ticket knows its id, and few others do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadRequest {
    /// The ticket's issuer.
    pub issuer: NodeId,
}

/// Where a member knows an issuer to be, best first; empty where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    #[serde(deserialize_with = "bounded_vec::<_, _, ADDRESSES_MAX>")]
    addresses: Vec<SocketAddr>,
}

impl LeadRequest {
    /// Whether a request on the join lane is one for a lead.
    pub fn is_meant(body: &[u8]) -> bool {
        body.first() == Some(&VERSION)
    }

    /// The bytes to send: a version byte, which no other request of the join lane has, and postcard.
    pub fn encode(&self) -> Vec<u8> {
        versioned::write(VERSION, self)
    }

    /// Reads a request.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        versioned::read(VERSION, bytes).ok()
    }
}

impl Lead {
    /// The first of these addresses.
    pub fn to(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { addresses: addresses.into_iter().take(ADDRESSES_MAX).collect() }
    }

    /// Where to try.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        versioned::write(VERSION, self)
    }

    /// Reads an answer.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        versioned::read(VERSION, bytes).ok()
    }
}

/// Requests to join are of version 1 on that lane, and those to renew of version 2.
const VERSION: u8 = 3;
/// As many as a ticket carries.
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_frozen_and_nothing_else_is_taken_for_them() {
        let request = LeadRequest { issuer: NodeId::from_bytes([7; 32]) };
        assert_eq!(request.encode(), [&[3], &[7; 32][..]].concat());
        assert_eq!(LeadRequest::decode(&request.encode()), Some(request.clone()));
        assert!(LeadRequest::is_meant(&request.encode()));
        let lead = Lead::to(["192.0.2.1:4334".parse().unwrap(), "[2001:db8::1]:300".parse().unwrap()]);
        let v6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let frozen = [&[3, 2, 0, 192, 0, 2, 1, 0xee, 0x21, 1], &v6[..], &[0xac, 2]].concat();
        assert_eq!(lead.encode(), frozen);
        assert_eq!(Lead::decode(&frozen), Some(lead));
        assert_eq!(Lead::decode(&[&frozen[..], &[0]].concat()), None);
        assert_eq!(Lead::decode(&[3, 9]), None, "more than eight");
        for garbage in [&[][..], &[1, 0], &[3]] {
            assert_eq!((LeadRequest::decode(garbage), Lead::decode(garbage)), (None, None));
        }
        let many = Lead::to((0..20).map(|port| SocketAddr::from(([192, 0, 2, 1], port))));
        assert_eq!(many.addresses().len(), ADDRESSES_MAX);
    }
}
