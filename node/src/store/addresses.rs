//! The address book on disk: where a node may be, best first, and who says so.

use std::net::SocketAddr;

use hedgerow_protocol::link::{ADDRESSES_MAX, Candidate, Origin};
use serde::{Deserialize, Serialize};

/// What is kept of one node.
pub(super) fn encode(known: &[Candidate<SocketAddr>]) -> Vec<u8> {
    let stored = StoredAddresses::V2(known.iter().take(ADDRESSES_MAX).map(StoredAddress::of).collect());
    postcard::to_stdvec(&stored).expect("addresses encode into memory")
}

/// What was kept; `None` where it is not readable.
pub(super) fn decode(value: &[u8]) -> Option<Vec<Candidate<SocketAddr>>> {
    let given = |address| Candidate::new(address, Origin::Given, false);
    match postcard::from_bytes(value).ok()? {
        StoredAddresses::V1(addresses) => Some(addresses.into_iter().map(given).collect()),
        StoredAddresses::V2(addresses) => Some(addresses.into_iter().map(StoredAddress::read).collect()),
    }
}

/// The address book's value; the variant's number is its version.
#[derive(Serialize, Deserialize)]
enum StoredAddresses {
    V1(Vec<SocketAddr>),
    V2(Vec<StoredAddress>),
}

#[derive(Serialize, Deserialize)]
struct StoredAddress {
    address: SocketAddr,
    origin: StoredOrigin,
    worked: bool,
}

#[derive(Serialize, Deserialize)]
enum StoredOrigin {
    Said,
    Given,
    Seen,
}

impl StoredAddress {
    fn of(known: &Candidate<SocketAddr>) -> Self {
        let origin = match known.origin {
            Origin::Said => StoredOrigin::Said,
            Origin::Given => StoredOrigin::Given,
            Origin::Seen => StoredOrigin::Seen,
        };
        Self { address: known.address, origin, worked: known.worked }
    }

    fn read(self) -> Candidate<SocketAddr> {
        let origin = match self.origin {
            StoredOrigin::Said => Origin::Said,
            StoredOrigin::Given => Origin::Given,
            StoredOrigin::Seen => Origin::Seen,
        };
        Candidate::new(self.address, origin, self.worked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_frozen_and_the_former_is_still_read() {
        let known = [
            Candidate::new("192.0.2.1:4334".parse().unwrap(), Origin::Seen, true),
            Candidate::new("192.0.2.2:4334".parse().unwrap(), Origin::Said, false),
        ];
        let stored = encode(&known);
        assert_eq!(stored, [1, 2, 0, 192, 0, 2, 1, 0xee, 0x21, 2, 1, 0, 192, 0, 2, 2, 0xee, 0x21, 0, 0]);
        assert_eq!(decode(&stored), Some(known.to_vec()));
        let former = [0, 1, 0, 192, 0, 2, 1, 0xee, 0x21];
        let given = Candidate::new("192.0.2.1:4334".parse().unwrap(), Origin::Given, false);
        assert_eq!(decode(&former), Some(vec![given]));
        assert_eq!(decode(&[2, 0]), None);
    }
}
