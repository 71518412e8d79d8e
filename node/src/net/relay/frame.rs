//! What travels on the relay lane, and how places are written.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use bytes::{BufMut as _, Bytes, BytesMut};
use hedgerow_attest::id::NodeId;

use super::ways::is_place;

/// One frame: a QUIC datagram, or a stream of its own where it is too long for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum Frame {
    /// A datagram to a member, or from one.
    Carry {
        /// To the relay: for whom; from the relay: from whom.
        node: NodeId,
        /// One UDP payload.
        datagram: Bytes,
    },
    /// From the relay: that member does not wait here.
    Absent {
        /// Who.
        node: NodeId,
    },
}

/// Kind and NodeId.
pub(super) const HEAD_BYTES: usize = 1 + 32;
/// The longest frame on a stream of its own: the smallest datagrams that every QUIC path has to carry (RFC 9000 §14) have to get
/// through, and larger ones only where they fit a datagram of the relay's connection.
pub(super) const LONG_FRAME_BYTES: usize = HEAD_BYTES + 1_200;

const CARRY: u8 = 0;
const ABSENT: u8 = 1;

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Carry { node, datagram } => carry(node, datagram),
            Self::Absent { node } => framed(ABSENT, node, &[]),
        }
    }

    /// `None` for what no version 1 sends.
    pub(in crate::net) fn parse(mut bytes: Bytes) -> Option<Self> {
        let head = bytes.get(..HEAD_BYTES)?;
        let (kind, node) = head.split_first()?;
        let (kind, node) = (*kind, NodeId::from_bytes(node.try_into().ok()?));
        let rest = bytes.split_off(HEAD_BYTES);
        match kind {
            CARRY if !rest.is_empty() => Some(Self::Carry { node, datagram: rest }),
            ABSENT if rest.is_empty() => Some(Self::Absent { node }),
            _ => None,
        }
    }
}

/// A frame that carries a datagram which is not one allocation of its own.
pub(super) fn carry(node: &NodeId, datagram: &[u8]) -> Bytes {
    framed(CARRY, node, datagram)
}

fn framed(kind: u8, node: &NodeId, rest: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + rest.len());
    frame.put_u8(kind);
    frame.put_slice(node.as_bytes());
    frame.put_slice(rest);
    frame.freeze()
}

/// Version 1 and the places, at most [`PLACES_MAX`], each 16 bytes of an IPv6 address (an IPv4 one mapped) and 2 of a port.
pub(in crate::net) fn write_places(places: &[SocketAddr]) -> Bytes {
    let places = places.get(..PLACES_MAX).unwrap_or(places);
    let mut bytes = BytesMut::with_capacity(places_bytes(places.len()));
    bytes.put_u8(1);
    bytes.put_u8(u8::try_from(places.len()).expect("the bound is small"));
    for place in places {
        let ip = match place.ip() {
            std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            std::net::IpAddr::V6(ip) => ip,
        };
        bytes.put_slice(&ip.octets());
        bytes.put_u16_le(place.port());
    }
    bytes.freeze()
}

/// What [`write_places`] wrote; `None` for anything else.
pub(in crate::net) fn read_places(bytes: &[u8]) -> Option<Vec<SocketAddr>> {
    let (&[version, count], rest) = bytes.split_first_chunk()?;
    if version != 1 || usize::from(count) > PLACES_MAX || bytes.len() != places_bytes(usize::from(count)) {
        return None;
    }
    let place = |bytes: &[u8; PLACE_BYTES]| {
        let (ip, port) = bytes.split_first_chunk::<16>()?;
        let port = u16::from_le_bytes(port.try_into().ok()?);
        let place = SocketAddrV6::new(Ipv6Addr::from_octets(*ip), port, 0, 0);
        let place = SocketAddr::new(place.ip().to_canonical(), port);
        // Another node's word for somebody at a relay means nothing here.
        (!is_place(&place)).then_some(place)
    };
    let (places, _none) = rest.as_chunks::<PLACE_BYTES>();
    places.iter().map(place).collect()
}

/// As many as a record names.
pub(super) const PLACES_MAX: usize = 8;
const PLACE_BYTES: usize = 16 + 2;

/// The length of so many written places.
pub(super) const fn places_bytes(count: usize) -> usize {
    2 + count * PLACE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_frozen_and_parse_back() {
        let node = NodeId::from_bytes([7; 32]);
        let carry = Frame::Carry { node, datagram: Bytes::from_static(b"abc") };
        assert_eq!(carry.encode(), [&[0][..], &[7; 32], b"abc"].concat());
        let absent = Frame::Absent { node };
        assert_eq!(absent.encode(), [&[1][..], &[7; 32]].concat());
        for frame in [carry, absent] {
            assert_eq!(Frame::parse(frame.encode()), Some(frame));
        }
        let bad = [vec![], vec![0; 32], vec![0; 33], vec![1; 34], vec![2; 40]];
        for bytes in bad {
            assert_eq!(Frame::parse(bytes.clone().into()), None, "{bytes:?}");
        }
    }

    #[test]
    fn places_are_frozen_and_parse_back() {
        let places: Vec<SocketAddr> =
            ["10.0.0.1:513", "[2001:db8::1]:65535"].map(|place| place.parse().unwrap()).into();
        let bytes = write_places(&places);
        let expected = [
            &[1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1, 1, 2][..],
            &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(read_places(&bytes), Some(places.clone()));
        assert_eq!(read_places(&write_places(&[])), Some(vec![]));
        let many = vec![places[0]; 20];
        assert_eq!(read_places(&write_places(&many)), Some(many[..PLACES_MAX].to_vec()));
        let own = write_places(&["240.0.0.1:1".parse().unwrap()]).to_vec();
        let bad = [vec![], vec![1], vec![1, 1], vec![2, 0], vec![1, 9], [&bytes[..], &[0]].concat(), own];
        for bytes in bad {
            assert_eq!(read_places(&bytes), None, "{bytes:?}");
        }
    }
}
