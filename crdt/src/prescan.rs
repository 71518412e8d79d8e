//! The armour in front of the engine: a bounded reading of a change chunk before the engine's own parser sees it.
//!
//! The engine's parser trusts counts: a run-length of three million in a change of a hundred bytes costs it seconds and a gigabyte, and a compressed
//! chunk is inflated without a bound before its checksum is looked at. This scan follows the storage format of Automerge
//! (<https://automerge.org/automerge-binary-format-spec/>, "change chunk") and admits only what [`crate::engine`] itself writes: sets and
//! deletes of scalars, under well-formed keys, in the maps of the skeleton. It allocates at most the dependencies and never inflates.

use hedgerow_attest::digest::Sha256Digest;

use crate::{
    columns::{ColumnLimits, Columns, ScanColumn},
    engine::ActorId,
    heads::ChangeHash,
    leb128::{CutShort, Reader},
    limits::{CHANGE_ACTORS_MAX, CHANGE_BYTES_MAX, CHANGE_OPS_MAX, CHANGE_PREDECESSORS_MAX, HEADS_MAX},
};

/// What a change says about itself, read without the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedChange {
    /// Its name, the sha256 over kind, length and body.
    pub hash: ChangeHash,
    /// Who claims to have made it.
    pub actor: ActorId,
    /// Its number among the actor's changes, from 1.
    pub seq: u64,
    /// The counter of its first operation.
    pub start_op: u64,
    /// What it depends on.
    pub deps: Vec<ChangeHash>,
    /// How many engine operations it holds.
    pub ops: u64,
}

/// Why bytes are not a change that this mesh makes. Nothing was parsed by the engine; the author is faulty, broken or of another release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanRefusal {
    /// More bytes than any change of this mesh.
    #[error("scan a change of {bytes} bytes, at most {CHANGE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes given.
        bytes: usize,
    },
    /// The bytes end inside a field, or go on after the last.
    #[error("scan a change whose lengths do not match its bytes")]
    CutShort,
    /// Not the magic number of the format.
    #[error("scan bytes that are no change")]
    NotAChange,
    /// The bytes are not those that the checksum was made of.
    #[error("scan a change with a wrong checksum")]
    BadChecksum,
    /// A document, compressed change or bundle. Only plain changes travel.
    #[error("scan a chunk of kind {kind}, only plain changes (kind 1) are allowed")]
    WrongChunk {
        /// The kind found: 0 document, 2 compressed change, 3 bundle.
        kind: u8,
    },
    /// More dependencies than a document has heads.
    #[error("scan a change with {count} dependencies, at most {HEADS_MAX} are allowed")]
    TooManyDependencies {
        /// Dependencies claimed.
        count: u64,
    },
    /// More actors than the bound.
    #[error("scan a change that names {count} other actors, at most {CHANGE_ACTORS_MAX} are allowed")]
    TooManyActors {
        /// Actors claimed.
        count: u64,
    },
    /// An actor of a length other than 16 bytes.
    #[error("scan an actor of {bytes} bytes, 16 were expected")]
    BadActor {
        /// Bytes found.
        bytes: usize,
    },
    /// A time, a message or trailing bytes, which this mesh never writes.
    #[error("scan a change with a time, message or trailer")]
    NotCanonical,
    /// A column that is deflated.
    #[error("scan a deflated column")]
    Deflated,
    /// A column that this mesh does not write, or columns in another order.
    #[error("scan a column of specification {spec:#x} where it does not belong")]
    UnexpectedColumn {
        /// Its specification.
        spec: u64,
    },
    /// A column claims more entries than the bound allows, whatever their encoding.
    #[error("scan {count} entries in a column, at most {max} are allowed")]
    TooManyEntries {
        /// Entries claimed so far.
        count: u64,
        /// Entries allowed.
        max: u64,
    },
    /// Columns that describe different numbers of operations.
    #[error("scan columns of different lengths")]
    UnevenColumns,
    /// A key, value, action or object that a session does not have.
    #[error("scan {what} that a session does not have")]
    Foreign {
        /// Which part.
        what: ForeignPart,
    },
}

/// The part of an operation that has no place in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignPart {
    /// Neither a JSON pointer nor a counter's cell.
    Key,
    /// A type or length of value.
    Value,
    /// Anything but set and delete, or an insertion.
    Action,
    /// An object other than the maps of the skeleton.
    Object,
    /// A predecessor by an actor that the change does not name.
    Predecessor,
}

impl std::fmt::Display for ForeignPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "a key",
            Self::Value => "a value",
            Self::Action => "an action",
            Self::Object => "an object",
            Self::Predecessor => "a predecessor",
        })
    }
}

impl From<CutShort> for ScanRefusal {
    fn from(_: CutShort) -> Self {
        Self::CutShort
    }
}

/// Scans one change chunk.
///
/// # Errors
/// When it holds anything that a session's change does not; see [`ScanRefusal`]. Takes time linear in the bytes given, whatever they claim.
pub fn scan(bytes: &[u8]) -> Result<ScannedChange, ScanRefusal> {
    if bytes.len() > CHANGE_BYTES_MAX {
        return Err(ScanRefusal::TooLarge { bytes: bytes.len() });
    }
    let (hash, body) = open_chunk(bytes)?;
    let mut reader = Reader::new(body);
    let dep_count = reader.unsigned()?;
    if dep_count > HEADS_MAX as u64 {
        return Err(ScanRefusal::TooManyDependencies { count: dep_count });
    }
    let mut deps = Vec::new();
    for _ in 0..dep_count {
        let mut hash = [0; 32];
        hash.copy_from_slice(reader.take(32)?);
        deps.push(ChangeHash(hash));
    }
    let actor = actor(&mut reader)?;
    let seq = reader.unsigned()?;
    let start_op = reader.unsigned()?;
    let (time, message) = (reader.signed()?, reader.prefixed()?);
    if time != 0 || !message.is_empty() {
        return Err(ScanRefusal::NotCanonical);
    }
    let others = other_actors(&mut reader)?;
    let columns = Columns::read(&mut reader)?;
    if !reader.is_empty() {
        return Err(ScanRefusal::NotCanonical);
    }
    let limits = ColumnLimits {
        ops: CHANGE_OPS_MAX,
        predecessors: CHANGE_PREDECESSORS_MAX,
        actors: others.count + 1,
        skeleton_actor: others.skeleton,
    };
    let ops = columns.check(&limits)?;
    Ok(ScannedChange { hash, actor, seq, start_op, deps, ops })
}

/// The hash of a change that was scanned before.
pub(crate) fn hash_of(bytes: &[u8]) -> ChangeHash {
    ChangeHash(*Sha256Digest::of(bytes.get(NAMED_FROM..).unwrap_or_default()).as_bytes())
}

/// The columns of a change that this crate's engine writes, by their specification (id × 16 + type).
pub(crate) const COLUMNS: [(u64, ScanColumn); 10] = [
    (0x01, ScanColumn::ObjectActor),
    (0x02, ScanColumn::ObjectCounter),
    (0x15, ScanColumn::Key),
    (0x34, ScanColumn::Insert),
    (0x42, ScanColumn::Action),
    (0x56, ScanColumn::ValueMeta),
    (0x57, ScanColumn::Value),
    (0x70, ScanColumn::PredecessorCount),
    (0x71, ScanColumn::PredecessorActor),
    (0x73, ScanColumn::PredecessorCounter),
];

/// The change's hash and the bytes of its body, once the header is that of a plain change, covers all bytes and has the checksum of the hash.
fn open_chunk(bytes: &[u8]) -> Result<(ChangeHash, &[u8]), ScanRefusal> {
    let mut reader = Reader::new(bytes);
    if reader.take(4)? != MAGIC {
        return Err(ScanRefusal::NotAChange);
    }
    let checksum = reader.take(4)?;
    let kind = reader.byte()?;
    if kind != CHANGE_KIND {
        return Err(ScanRefusal::WrongChunk { kind });
    }
    let body = reader.prefixed()?;
    if !reader.is_empty() {
        return Err(ScanRefusal::CutShort);
    }
    let hash = hash_of(bytes);
    if hash.0.starts_with(checksum) { Ok((hash, body)) } else { Err(ScanRefusal::BadChecksum) }
}

struct OtherActors {
    count: u64,
    /// The place of the skeleton's actor in the change's table, where 0 is the author.
    skeleton: Option<u64>,
}

fn other_actors(reader: &mut Reader<'_>) -> Result<OtherActors, ScanRefusal> {
    let count = reader.unsigned()?;
    if count > CHANGE_ACTORS_MAX {
        return Err(ScanRefusal::TooManyActors { count });
    }
    let mut skeleton = None;
    for place in 1..=count {
        if actor(reader)? == ActorId::SKELETON {
            skeleton = Some(place);
        }
    }
    Ok(OtherActors { count, skeleton })
}

fn actor(reader: &mut Reader<'_>) -> Result<ActorId, ScanRefusal> {
    let bytes = reader.prefixed()?;
    match bytes.try_into() {
        Ok(actor) => Ok(ActorId(actor)),
        Err(_) => Err(ScanRefusal::BadActor { bytes: bytes.len() }),
    }
}

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_KIND: u8 = 1;
/// A change's hash covers what follows magic number and checksum.
const NAMED_FROM: usize = 8;

#[cfg(test)]
#[path = "prescan_tests.rs"]
mod tests;
