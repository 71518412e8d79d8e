//! Content that is held whole and handed out in ranges.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use super::geometry::{Content, GROUP_LENGTH, GroupRange};
use super::outboard::Outboard;

/// Content with its tree, in memory or in a file.
#[derive(Debug)]
pub struct Holding {
    outboard: Outboard,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Memory(Bytes),
    File(File),
}

/// What a node holds of content that a peer asks for.
#[derive(Clone, Debug)]
pub enum Held {
    /// All of it.
    Whole(Arc<Holding>),
    /// Some of it, and more may come.
    Partly,
    /// Nothing.
    Nothing,
}

/// A range as it is sent.
#[derive(Debug)]
pub struct Served {
    /// The hashes that prove it.
    pub proof: Vec<u8>,
    /// Its bytes.
    pub data: Bytes,
}

/// Why a range is not handed out.
#[derive(Debug, thiserror::Error)]
pub enum HoldingError {
    /// The content ends before the range does.
    #[error("the content has {groups} groups, asked was for {range:?}")]
    Outside {
        /// Groups of the content.
        groups: u32,
        /// What was asked for.
        range: GroupRange,
    },
    /// The disk refused; it may be right again later.
    #[error("read the content")]
    Io(#[source] io::Error),
    /// The file's bytes have changed since its tree was made; fetch it again.
    #[error("group {group} of the content is not what its digest names; the file is damaged")]
    Damaged {
        /// The first such group.
        group: u32,
    },
}

impl Holding {
    /// Content in memory. Its bytes are not compared with the tree: whoever fetches them does that.
    ///
    /// # Panics
    /// When the bytes are not as many as the tree is over.
    pub fn in_memory(outboard: Outboard, data: Bytes) -> Self {
        assert_eq!(outboard.content().size(), data.len() as u64, "a tree over other bytes");
        Self { outboard, data: Data::Memory(data) }
    }

    /// Content in a file, whose bytes are compared with the tree whenever they are read, since disks change bytes too.
    pub fn in_file(outboard: Outboard, file: File) -> Self {
        Self { outboard, data: Data::File(file) }
    }

    /// What it is.
    pub fn content(&self) -> Content {
        self.outboard.content()
    }

    /// Whether [`Self::read`] waits for a disk.
    pub fn blocks(&self) -> bool {
        matches!(self.data, Data::File(_))
    }

    /// A range with its proof. From a file this takes memory for the range, in memory none.
    pub fn read(&self, range: GroupRange) -> Result<Served, HoldingError> {
        let content = self.content();
        if !content.has(range) {
            return Err(HoldingError::Outside { groups: content.groups(), range });
        }
        let (proof, leaves) = self.outboard.proof(range);
        let data = match &self.data {
            Data::Memory(data) => data.slice(range.first() as usize * GROUP_LENGTH..).split_to(content.length(range)),
            Data::File(file) => {
                let mut data = vec![0; content.length(range)];
                file.read_exact_at(&mut data, content.bytes(range).start).map_err(HoldingError::Io)?;
                let groups = data.chunks(GROUP_LENGTH);
                if let Some((leaf, _)) = leaves.iter().zip(groups).find(|(leaf, group)| !leaf.matches(group)) {
                    return Err(HoldingError::Damaged { group: leaf.group() });
                }
                data.into()
            }
        };
        Ok(Served { proof, data })
    }
}
