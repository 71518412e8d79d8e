//! Signed frames: what one group commit of one replica wrote, as it is stored in logs and travels between replicas.
//!
//! The signature covers the head of a frame, and the head names its records by a root over their digests. One signature thus serves a whole
//! group commit, and a single record can be proven by the digests of the others. Every head names the root before it, so that a replica that
//! signs two histories convicts itself. Byte layout: `docs/sessions.md`.

use std::{fmt, sync::Arc};

use hedgerow_attest::{
    id::{CellId, NodeId},
    key::PublicKey,
    signed::{Domain, EnvelopeError, Signed, Verified, VerifyError},
};
use hedgerow_protocol::{
    id::BootId,
    name::Namespace,
    session_id::{GroupId, SESSION_ID_VERSION, SessionId},
};
use serde::{Deserialize, Serialize};

use crate::{
    engine::Author,
    heads::DocEpoch,
    limits::{CHANGE_BYTES_MAX, FRAME_BYTES_MAX, FRAME_RECORDS_MAX},
};

/// The place of a record in what one boot of one node wrote to one group, from 1 and without gaps. 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One boot of one node, whose records are numbered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Who wrote.
    pub node: NodeId,
    /// In which run.
    pub boot: BootId,
}

/// Names a frame and, through the root before it, all of its origin's history in the group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRoot(pub [u8; 32]);

impl FrameRoot {
    /// What stands before the first frame.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Debug for FrameRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// One change of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which session; its class is the group's.
    pub session: SessionId,
    /// The epoch of the history that the change belongs to.
    pub epoch: DocEpoch,
    /// The change chunk.
    pub change: Vec<u8>,
}

/// The signed part of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameHead {
    /// Who wrote the records.
    pub origin: Origin,
    /// The group that they belong to.
    pub group: GroupId,
    /// The number of the first record.
    pub first_lsn: Lsn,
    /// How many records there are, 1 to [`FRAME_RECORDS_MAX`].
    pub records: u32,
    /// The root of the origin's frame before this one in this group; zeros in the first.
    pub previous: FrameRoot,
    /// Covers [`FrameHead::previous`] and the digest of every record, in order.
    pub root: FrameRoot,
}

impl Domain for FrameHead {
    const DOMAIN: &'static str = "hedgerow/session-frame/1";
    const PAYLOAD_MAX: usize = 512;
}

impl FrameHead {
    /// The head over `records`, to be signed.
    ///
    /// # Panics
    /// When there are more than [`FRAME_RECORDS_MAX`] records or none.
    #[must_use]
    pub fn over(origin: Origin, group: GroupId, first_lsn: Lsn, previous: FrameRoot, records: &[Record]) -> Self {
        assert!(
            (1..=FRAME_RECORDS_MAX).contains(&records.len()),
            "a frame has between one and {FRAME_RECORDS_MAX} records"
        );
        let root = root(&previous, &group, records);
        let records = u32::try_from(records.len()).expect("bounded just above");
        Self { origin, group, first_lsn, records, previous, root }
    }

    /// The number of the last record.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0.saturating_add(u64::from(self.records)).saturating_sub(1))
    }
}

/// Why bytes are no frame of a replica; its sender is broken, hostile or of another release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("read a frame of {bytes} bytes, at most {FRAME_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes given.
        bytes: usize,
    },
    /// Written by a later release; upgrade this node.
    #[error("read a frame of version {version}, this node knows version 1")]
    UnsupportedVersion {
        /// The version found.
        version: u8,
    },
    /// Not the encoding of a frame.
    #[error("read a malformed frame")]
    Malformed,
    /// The head does not read.
    #[error("read the head of a frame")]
    Head(#[source] EnvelopeError),
    /// The head is not signed by the origin.
    #[error("verify the head of a frame")]
    Signature(#[source] VerifyError),
    /// The records are not those that the head names, or their number or numbering is impossible.
    #[error("match the records of a frame with its signed head")]
    OtherRecords,
}

/// A frame whose signature nobody has checked. Cloning shares its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFrame {
    head: Signed<FrameHead>,
    records: Arc<[Record]>,
}

impl SealedFrame {
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The key that claims to have signed; only what is read back from this node's own log may be taken at its word.
    pub(crate) fn claimed_signer(&self) -> PublicKey {
        *self.head.claimed_signer()
    }

    /// The head before any check, for finding the key that must have signed and for dropping what is known already.
    ///
    /// # Errors
    /// When the payload of the envelope is no head.
    pub fn claimed_head(&self) -> Result<FrameHead, FrameError> {
        self.head.peek().map_err(FrameError::Head)
    }

    /// The frame, if the holder of `statement` signed it and the records are those that were signed.
    ///
    /// # Errors
    /// [`FrameError::Signature`] and [`FrameError::OtherRecords`].
    pub fn verify(self, statement: &PublicKey) -> Result<VerifiedFrame, FrameError> {
        let head = self.head.verify(statement).map_err(FrameError::Signature)?;
        VerifiedFrame::new(head, self.records)
    }

    /// The frame as it is stored and sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let cell = self.head.peek().ok().map(|head| head.group.cell);
        let records = self.records.iter().map(|record| WireRecord::of(record, cell)).collect();
        let frame = WireFrame { head: self.head.clone(), records };
        postcard::to_extend(&frame, vec![FRAME_VERSION]).expect("a vector takes any number of bytes")
    }

    /// Reads a frame and checks its shape and bounds, not its signature.
    ///
    /// # Errors
    /// Any [`FrameError`] but [`FrameError::Signature`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { bytes: bytes.len() });
        }
        let body = match bytes.split_first() {
            Some((&FRAME_VERSION, body)) => body,
            Some((&version, _)) => return Err(FrameError::UnsupportedVersion { version }),
            None => return Err(FrameError::Malformed),
        };
        let Ok((frame, [])) = postcard::take_from_bytes::<WireFrame>(body) else {
            return Err(FrameError::Malformed);
        };
        let head = frame.head.peek().map_err(FrameError::Head)?;
        let within = |record: &WireRecord| record.change.len() <= CHANGE_BYTES_MAX;
        if head.records as usize != frame.records.len() || !frame.records.iter().all(within) {
            return Err(FrameError::OtherRecords);
        }
        let records = frame.records.into_iter().map(|record| record.into_record(&head.group)).collect();
        Ok(Self { head: frame.head, records })
    }
}

/// A frame that its origin signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFrame {
    head: Verified<FrameHead>,
    records: Arc<[Record]>,
}

impl VerifiedFrame {
    /// Joins a verified head with its records.
    ///
    /// # Errors
    /// [`FrameError::OtherRecords`].
    pub fn new(head: Verified<FrameHead>, records: impl Into<Arc<[Record]>>) -> Result<Self, FrameError> {
        let records = records.into();
        let numbered = head.first_lsn.0 >= 1 && head.first_lsn.0.checked_add(u64::from(head.records)).is_some();
        let counted = (1..=FRAME_RECORDS_MAX).contains(&records.len()) && head.records as usize == records.len();
        if numbered && counted && root(&head.previous, &head.group, &records) == head.root {
            Ok(Self { head, records })
        } else {
            Err(FrameError::OtherRecords)
        }
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> &FrameHead {
        &self.head
    }

    /// Whose changes these are, as the engine names them.
    #[must_use]
    pub fn author(&self) -> Author {
        Author { statement: *self.head.signer(), boot: self.head.origin.boot }
    }

    /// The records in their order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The frame for storing and sending.
    #[must_use]
    pub fn seal(&self) -> SealedFrame {
        SealedFrame { head: self.head.envelope().clone(), records: self.records.clone() }
    }
}

#[derive(Serialize, Deserialize)]
struct WireFrame {
    head: Signed<FrameHead>,
    records: Vec<WireRecord>,
}

/// A record without what its group says already.
#[derive(Serialize, Deserialize)]
struct WireRecord {
    /// Left out while the session lives in the cell of its birth.
    birth: Option<CellId>,
    namespace: Namespace,
    name: [u8; 16],
    epoch: DocEpoch,
    change: Vec<u8>,
}

impl WireRecord {
    fn of(record: &Record, cell: Option<CellId>) -> Self {
        let SessionId { version: _, birth, class: _, namespace, name } = &record.session;
        let birth = (Some(*birth) != cell).then_some(*birth);
        Self { birth, namespace: namespace.clone(), name: *name, epoch: record.epoch, change: record.change.clone() }
    }

    fn into_record(self, group: &GroupId) -> Record {
        let Self { birth, namespace, name, epoch, change } = self;
        let birth = birth.unwrap_or(group.cell);
        let session = SessionId { version: SESSION_ID_VERSION, birth, class: group.class.clone(), namespace, name };
        Record { session, epoch, change }
    }
}

fn root(previous: &FrameRoot, group: &GroupId, records: &[Record]) -> FrameRoot {
    let mut hasher = blake3::Hasher::new_derive_key("hedgerow session frame root 1");
    hasher.update(&previous.0);
    for record in records {
        let bytes =
            postcard::to_stdvec(&WireRecord::of(record, Some(group.cell))).expect("a vector takes any number of bytes");
        hasher.update(&blake3::derive_key("hedgerow session record 1", &bytes));
    }
    FrameRoot(*hasher.finalize().as_bytes())
}

const FRAME_VERSION: u8 = 1;

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
