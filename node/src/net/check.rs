//! What a member says of its links and its clock when it is asked, on the wire (`docs/wire.md`).

use bytes::Bytes;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::time::Wall;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::limits::PEERS_MAX;
use super::rpc::{LinkView, Protocol};

/// The name of the question on the rpc lane.
pub const CHECK_PROTOCOL: Protocol = Protocol::new("net/check/1");

/// Version byte of both forms.
const VERSION: u8 = 1;

/// What a member answers: its live links by NodeId, and its clock at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAnswer {
    /// The clock of its machine.
    pub wall: Wall,
    /// No node has more than it has peers of whom it remembers anything.
    #[serde(deserialize_with = "bounded_vec::<_, _, PEERS_MAX>")]
    pub links: Vec<LinkFigures>,
}

/// One link, as the node at this end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFigures {
    /// Who is at the other end.
    pub node: NodeId,
    /// Smoothed round trip, microseconds.
    pub rtt_us: u64,
    /// Packets that this end sent since the connection was made.
    pub sent_packets: u64,
    /// Those of them that it counts as lost.
    pub lost_packets: u64,
    /// What kind of way it is.
    pub path: Path,
}

/// What kind of way a link takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum Path {
    /// From socket to socket.
    Direct,
    /// Through another member.
    Relayed,
    /// A kind of a later version.
    Other(u8),
}

/// Why bytes are no question or answer of this protocol: the other node is of another version; upgrade the older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CheckError {
    /// Written by a later release.
    #[error("a form of version {0}, which this release does not know; upgrade this node")]
    UnsupportedVersion(u8),
    /// Cut short, too long, or something else.
    #[error("a malformed form; upgrade the other node")]
    Malformed,
}

impl Path {
    /// In one word, for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
            Self::Other(_) => "other",
        }
    }
}

impl From<u8> for Path {
    fn from(code: u8) -> Self {
        match code {
            0 => Self::Direct,
            1 => Self::Relayed,
            other => Self::Other(other),
        }
    }
}

impl From<Path> for u8 {
    fn from(path: Path) -> Self {
        match path {
            Path::Direct => 0,
            Path::Relayed => 1,
            Path::Other(code) => code,
        }
    }
}

impl From<&LinkView> for LinkFigures {
    fn from(link: &LinkView) -> Self {
        Self {
            node: link.node,
            rtt_us: link.rtt_us,
            sent_packets: link.sent_packets,
            lost_packets: link.lost_packets,
            path: if link.relay.is_some() { Path::Relayed } else { Path::Direct },
        }
    }
}

impl CheckAnswer {
    /// What this node has to say.
    pub fn of(links: &[LinkView], wall: Wall) -> Self {
        Self { wall, links: links.iter().take(PEERS_MAX).map(LinkFigures::from).collect() }
    }

    /// The form on the wire.
    pub fn encode(&self) -> Bytes {
        Bytes::from(postcard::to_extend(self, vec![VERSION]).expect("a vector takes any number of bytes"))
    }

    /// Reads the form on the wire; what claims more links than there may be is refused before room is made for them.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckError> {
        let body = versioned(bytes)?;
        match postcard::take_from_bytes(body) {
            Ok((answer, [])) => Ok(answer),
            Ok(_) | Err(_) => Err(CheckError::Malformed),
        }
    }
}

/// The question on the wire. It has no content.
pub fn check_question() -> Bytes {
    Bytes::from_static(&[VERSION])
}

/// Reads a question.
pub fn read_check_question(bytes: &[u8]) -> Result<(), CheckError> {
    if versioned(bytes)?.is_empty() { Ok(()) } else { Err(CheckError::Malformed) }
}

fn versioned(bytes: &[u8]) -> Result<&[u8], CheckError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => Ok(body),
        Some((&version, _)) => Err(CheckError::UnsupportedVersion(version)),
        None => Err(CheckError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> CheckAnswer {
        let link = |number, path| LinkFigures {
            node: NodeId::from_bytes([number; 32]),
            rtt_us: 300,
            sent_packets: 1_000,
            lost_packets: 7,
            path,
        };
        CheckAnswer { wall: Wall(1_000_000), links: vec![link(2, Path::Direct), link(3, Path::Other(9))] }
    }

    #[test]
    fn an_answer_reads_back_and_its_bytes_are_frozen() {
        let link = |number, path| [vec![number; 32], vec![0xac, 2, 0xe8, 7, 7, path]].concat();
        let frozen = [vec![1, 0xc0, 0x84, 0x3d, 2], link(2, 0), link(3, 9)].concat();
        assert_eq!(answer().encode(), frozen);
        assert_eq!(CheckAnswer::decode(&frozen), Ok(answer()));
        assert_eq!(check_question(), [1].as_slice());
        assert_eq!(read_check_question(&[1]), Ok(()));
    }

    #[test]
    fn anything_else_is_refused() {
        let bytes = answer().encode();
        for cut in 1..bytes.len() {
            assert_eq!(CheckAnswer::decode(&bytes[..cut]), Err(CheckError::Malformed));
        }
        assert_eq!(CheckAnswer::decode(&[&bytes[..], &[0]].concat()), Err(CheckError::Malformed));
        assert_eq!(CheckAnswer::decode(&[2]), Err(CheckError::UnsupportedVersion(2)));
        assert_eq!(CheckAnswer::decode(&[]), Err(CheckError::Malformed));
        let many = CheckAnswer { links: vec![answer().links[0]; PEERS_MAX + 1], ..answer() };
        assert_eq!(CheckAnswer::decode(&many.encode()), Err(CheckError::Malformed));
        assert_eq!(read_check_question(&[1, 0]), Err(CheckError::Malformed));
        assert_eq!(read_check_question(&[7]), Err(CheckError::UnsupportedVersion(7)));
    }

    #[test]
    fn kinds_of_ways_have_room_for_more() {
        for code in 0..=u8::MAX {
            assert_eq!(u8::from(Path::from(code)), code);
        }
        assert_eq!([0, 1, 2, 255].map(|code| Path::from(code).name()), ["direct", "relayed", "other", "other"]);
    }
}
