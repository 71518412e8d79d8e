//! What travels from one simulated node to another.

use hedgerow_attest::id::NodeId;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::core::Lane;
use hedgerow_protocol::fact::{Scope, SignedFact, VerifiedFact};
use hedgerow_protocol::roster::Roster;
use hedgerow_protocol::wire::{self, ProbeMessage, VerifiedMessage};

/// How messages are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WireMode {
    /// As values: what the receiver would make of them is asked, signatures are not computed.
    #[default]
    Struct,
    /// As bytes, encoded, decoded and verified as between two nodes.
    Bytes,
}

/// A message under way.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    /// How it travels.
    pub(crate) lane: Lane,
    /// What it is.
    pub(crate) cargo: Cargo,
}

/// The message itself.
#[derive(Debug, Clone)]
pub(crate) enum Cargo {
    /// As a value.
    Message(Box<VerifiedMessage>),
    /// As a frame.
    Frame(Vec<u8>),
    /// A gossiped fact as a value.
    Fact(VerifiedFact, Box<Publication>),
    /// The same as bytes.
    FactBytes(Box<[u8]>, Box<Publication>),
}

/// What tells one gossiped fact from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Publication {
    /// Its topic.
    pub(crate) scope: Scope,
    /// Its number.
    pub(crate) number: u32,
}

/// What a receiver makes of a parcel.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A message to step with.
    Message(VerifiedMessage),
    /// A fact to step with, and to pass on.
    Fact(VerifiedFact, Publication),
    /// Nothing that counts.
    Refused,
}

impl Cargo {
    /// The message as this mode hands it over.
    pub(crate) fn pack(message: VerifiedMessage, mode: WireMode) -> Self {
        match mode {
            WireMode::Struct => Self::Message(Box::new(message)),
            WireMode::Bytes => Self::Frame(wire::encode(&message.to_wire())),
        }
    }

    /// The gossiped fact as this mode hands it over.
    pub(crate) fn publish(fact: VerifiedFact, publication: Publication, mode: WireMode) -> Self {
        let publication = Box::new(publication);
        match mode {
            WireMode::Struct => Self::Fact(fact, publication),
            WireMode::Bytes => Self::FactBytes(fact.signed().to_bytes().into(), publication),
        }
    }

    /// Bytes that it has on the wire, without packets and acknowledgements.
    pub(crate) fn bytes(&self) -> u64 {
        let length = match self {
            Self::Message(message) => wire::encode(&message.to_wire()).len(),
            Self::Frame(frame) => frame.len(),
            Self::Fact(fact, ..) => fact.signed().to_bytes().len(),
            Self::FactBytes(bytes, ..) => bytes.len(),
        };
        length as u64
    }

    /// Whether the receiver answers at once, so that its acknowledgement rides on the answer.
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            Self::Message(message) => matches!(**message, VerifiedMessage::Probe(ProbeMessage::Ping { .. })),
            // Version byte after the length, message 0 (probe), kind 0 (ping).
            Self::Frame(frame) => frame.get(5..7) == Some(&[0, 0]),
            Self::Fact(..) | Self::FactBytes(..) => false,
        }
    }

    /// What a node with this roster makes of it.
    pub(crate) fn open(self, from: NodeId, roster: &Roster, root: &TrustRoot, now: UnixSeconds) -> Opened {
        match self {
            Self::Message(message) => match message.recheck(from, roster, root) {
                Ok(message) => Opened::Message(message),
                Err(_refusal) => Opened::Refused,
            },
            Self::Frame(frame) => match wire::decode(&frame).map(|message| message.verify(from, roster, root, now)) {
                Ok(Ok(opened)) => Opened::Message(opened.message),
                Ok(Err(_)) | Err(_) => Opened::Refused,
            },
            Self::Fact(fact, publication) => match fact.stands(roster, root) {
                Ok(()) => Opened::Fact(fact, *publication),
                Err(_refusal) => Opened::Refused,
            },
            Self::FactBytes(bytes, publication) => {
                match SignedFact::from_bytes(&bytes).map(|fact| fact.verify(roster, root, now)) {
                    Ok(Ok(fact)) => Opened::Fact(fact, *publication),
                    Ok(Err(_)) | Err(_) => Opened::Refused,
                }
            }
        }
    }
}
