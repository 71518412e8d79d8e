//! Every maximum of this crate, in one place.
//!
//! The maxima of what is *written here* ([`Limits`]) may be lowered per node; the maxima of what is *accepted from others* are constants, because
//! two replicas that accept different things never become equal.

/// Bounds on what one node accepts from its own clients and keeps in memory for one placement group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one value. Default [`VALUE_BYTES_MAX`]; larger values belong in an artifact that the session names by digest.
    pub value_bytes: usize,
    /// Bytes of all live values and paths of one session. Default 64 KiB. A merge of concurrent writes may exceed it; the next write may not.
    pub body_bytes: usize,
    /// Components of a path. Default [`PATH_DEPTH_MAX`].
    pub path_depth: usize,
    /// Operations in one write. Default 64.
    pub ops: usize,
    /// Bytes of change history of one session beyond which local writes are refused. Default 1 MiB, some ten thousand small changes; a quarter of
    /// what is accepted from others, so that replicas near the bound do not refuse each other.
    pub history_bytes: usize,
    /// Sessions in one placement group. Default 4,096.
    pub sessions: usize,
    /// Requests (waiting for quorum, for a token, or for the commit ahead of them) per group. Default 4,096; beyond it `Busy`.
    pub requests: usize,
    /// Bytes of frames kept per group for peers that lag. Default 64 MiB; beyond it local writes are refused, foreign ones too.
    pub log_bytes: usize,
    /// Frames that wait for a change they depend on. Default 256; beyond it the oldest are forgotten and fetched again later.
    pub parked_frames: usize,
}

impl Limits {
    /// The defaults named at each field.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            value_bytes: VALUE_BYTES_MAX,
            body_bytes: 64 << 10,
            path_depth: PATH_DEPTH_MAX,
            ops: 64,
            history_bytes: 1 << 20,
            sessions: 4_096,
            requests: 4_096,
            log_bytes: 64 << 20,
            parked_frames: 256,
        }
    }
}

/// Bytes of one value in a change.
pub const VALUE_BYTES_MAX: usize = 4 << 10;

/// Components of a path in a change.
pub const PATH_DEPTH_MAX: usize = 8;

/// Bytes (UTF-8) of one path component.
pub const PATH_COMPONENT_BYTES_MAX: usize = 128;

/// Bytes of one change. A write carries at most [`Limits::body_bytes`] of values and paths; the rest is room for predecessors.
pub const CHANGE_BYTES_MAX: usize = 128 << 10;

/// Engine operations in one change: deleting a subtree is one operation of a session and one of the engine per key.
pub const CHANGE_OPS_MAX: u64 = 4_096;

/// Predecessor references in one change.
pub const CHANGE_PREDECESSORS_MAX: u64 = 16_384;

/// Dependencies of one change, heads of one document, and heads in a causal token. A replica's write merges all heads it knows, so there are never
/// more heads than replicas that wrote at the same time.
pub const HEADS_MAX: usize = 32;

/// Actors that one change refers to, its own excluded.
pub const CHANGE_ACTORS_MAX: u64 = 256;

/// Bytes of change history of one session that are accepted from others.
pub const HISTORY_BYTES_MAX: usize = 4 << 20;

/// Records in one frame.
pub const FRAME_RECORDS_MAX: usize = 2_048;

/// Bytes of the records of one frame: a frame is closed once it holds this much, so one frame holds at most this and one change more.
pub const FRAME_BYTES_TARGET: usize = 256 << 10;

/// Bytes of one frame as encoded.
pub const FRAME_BYTES_MAX: usize = 512 << 10;

/// Bytes of one message between replicas.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Bytes of frames sent in answer to one pull; the puller asks again once it has stored them.
pub const PULL_BYTES_MAX: usize = 768 << 10;

/// Entries of a version vector in a message: origins times their boots.
pub const VECTOR_ENTRIES_MAX: usize = 4_096;

/// Change hashes in one request for missing changes.
pub const WANTED_CHANGES_MAX: usize = 256;
