//! What a log holds of one group, read at the start of a process.

use hedgerow_protocol::session_id::GroupId;

use crate::frame::{FrameError, SealedFrame};

/// The frames of one group in the order of the log. They are this node's own records: their signatures were checked before they were logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    frames: Vec<SealedFrame>,
}

/// Why a log does not make a snapshot. The log is damaged: restore it, or remove it and let the node fetch the group from the other replicas.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read record {index} of the session log")]
pub struct SnapshotError {
    /// Which record, from 0.
    pub index: usize,
    /// What is wrong with it.
    #[source]
    pub source: FrameError,
}

impl Snapshot {
    /// A group of which the log holds nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self { frames: Vec::new() }
    }

    /// Reads every record that a log holds and groups them. `records` are the bytes of [`SealedFrame::to_bytes`] in the order in which they were
    /// appended.
    ///
    /// # Errors
    /// At the first record that does not read.
    pub fn by_group<'a>(
        records: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<std::collections::BTreeMap<GroupId, Self>, SnapshotError> {
        let mut groups = std::collections::BTreeMap::<GroupId, Self>::new();
        for (index, bytes) in records.into_iter().enumerate() {
            let read = |bytes| {
                let frame = SealedFrame::from_bytes(bytes)?;
                Ok((frame.claimed_head()?.group, frame))
            };
            let (group, frame) = read(bytes).map_err(|source| SnapshotError { index, source })?;
            groups.entry(group).or_insert_with(Self::empty).frames.push(frame);
        }
        Ok(groups)
    }

    /// The frames in their order.
    pub(crate) fn into_frames(self) -> Vec<SealedFrame> {
        self.frames
    }
}
