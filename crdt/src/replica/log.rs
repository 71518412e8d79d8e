//! The frames of a group in the order in which they were logged, and how far each origin's reach without a gap.

use std::collections::BTreeMap;

use crate::{
    engine::ActorId,
    frame::{FrameHead, FrameRoot, Lsn, Origin, Record, SealedFrame},
    heads::ChangeHash,
    message::Held,
    prescan::{hash_of, scan},
};

/// Which records of each origin are held without a gap.
pub(crate) type Reach = BTreeMap<Origin, Lsn>;

/// All frames of a group that this replica has handed to its log. The first [`Log::durable`] of them are on stable storage; only those are ever
/// shown to others.
#[derive(Debug, Default)]
pub(crate) struct Log {
    frames: Vec<Logged>,
    durable: usize,
    durable_reach: Reach,
    streams: BTreeMap<Origin, Stream>,
    changes: BTreeMap<ChangeHash, usize>,
    bytes: usize,
}

#[derive(Debug)]
struct Logged {
    head: FrameHead,
    frame: SealedFrame,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Stream {
    /// First record of each frame, and where the frame stands in the log.
    frames: BTreeMap<Lsn, usize>,
    reach: Lsn,
}

/// What the log says about a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    /// Nothing that contradicts it.
    Absent,
    /// It is here.
    Same,
    /// A frame of the same origin that excludes it.
    Contradicted(SealedFrame),
    /// It names a frame before the first.
    Impossible,
}

impl Log {
    /// Adds a frame that [`Log::holding`] calls absent.
    pub(crate) fn append(&mut self, head: FrameHead, frame: SealedFrame) {
        let place = self.frames.len();
        let bytes = frame.records().iter().map(|record| record.change.len()).sum();
        for record in frame.records() {
            self.changes.insert(hash_of(&record.change), place);
        }
        let stream = self.streams.entry(head.origin).or_default();
        stream.frames.insert(head.first_lsn, place);
        self.bytes += bytes;
        self.frames.push(Logged { head, frame, bytes });
        let origin = self.frames[place].head.origin;
        self.extend_reach(origin);
    }

    /// Everything appended so far is on stable storage.
    pub(crate) fn settle(&mut self) {
        for logged in &self.frames[self.durable..] {
            let origin = logged.head.origin;
            self.durable_reach.insert(origin, self.streams[&origin].reach);
        }
        self.durable = self.frames.len();
    }

    pub(crate) fn holding(&self, head: &FrameHead) -> Holding {
        let Some(stream) = self.streams.get(&head.origin) else {
            return first_in_chain(head);
        };
        let at = |place: &usize| &self.frames[*place];
        let before = stream.frames.range(..=head.first_lsn).next_back().map(|(_, place)| at(place));
        let after = stream.frames.range(Lsn(head.first_lsn.0.saturating_add(1))..).next().map(|(_, place)| at(place));
        if let Some(after) = after {
            let adjacent = after.head.first_lsn.0 == head.last_lsn().0.saturating_add(1);
            if after.head.first_lsn <= head.last_lsn() || (adjacent && after.head.previous != head.root) {
                return Holding::Contradicted(after.frame.clone());
            }
        }
        let Some(before) = before else {
            return first_in_chain(head);
        };
        if before.head == *head {
            return Holding::Same;
        }
        let adjacent = before.head.last_lsn().0.saturating_add(1) == head.first_lsn.0;
        if before.head.last_lsn() >= head.first_lsn || (adjacent && before.head.root != head.previous) {
            return Holding::Contradicted(before.frame.clone());
        }
        Holding::Absent
    }

    /// How far the records of `origin` reach without a gap, durable or not.
    pub(crate) fn reach(&self, origin: &Origin) -> Lsn {
        self.streams.get(origin).map_or(Lsn(0), |stream| stream.reach)
    }

    /// The root of the last frame of `origin`, zeros before the first.
    pub(crate) fn last_root(&self, origin: &Origin) -> FrameRoot {
        let last = self.streams.get(origin).and_then(|stream| stream.frames.last_key_value());
        last.map_or(FrameRoot::NONE, |(_, place)| self.frames[*place].head.root)
    }

    pub(crate) fn durable_reach(&self) -> &Reach {
        &self.durable_reach
    }

    /// What is on stable storage, as it is told to others.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.durable_reach.iter().map(|(origin, durable)| Held { origin: *origin, durable: *durable }).collect()
    }

    /// Durable frames beyond `reach` in the order of this log, which is an order that their dependencies allow, up to `bytes_max`.
    pub(crate) fn beyond(&self, reach: &Reach, bytes_max: usize) -> Vec<SealedFrame> {
        let lacks =
            |logged: &&Logged| logged.head.last_lsn() > reach.get(&logged.head.origin).copied().unwrap_or_default();
        take_bytes(self.frames[..self.durable].iter().filter(lacks), bytes_max)
    }

    /// The durable frames that contain any of `changes`, up to `bytes_max`.
    pub(crate) fn containing(&self, changes: &[ChangeHash], bytes_max: usize) -> Vec<SealedFrame> {
        let mut places: Vec<usize> = changes.iter().filter_map(|change| self.changes.get(change).copied()).collect();
        places.sort_unstable();
        places.dedup();
        take_bytes(places.into_iter().filter(|place| *place < self.durable).map(|place| &self.frames[place]), bytes_max)
    }

    /// The frame in which `origin` made the change with this number. Walks all of the origin's frames: for proofs of misbehaviour.
    pub(crate) fn frame_numbered(&self, origin: &Origin, actor: ActorId, seq: u64) -> Option<&SealedFrame> {
        let places = self.streams.get(origin)?.frames.values();
        let numbered =
            |record: &Record| scan(&record.change).is_ok_and(|change| change.actor == actor && change.seq == seq);
        places.map(|place| &self.frames[*place].frame).find(|frame| frame.records().iter().any(numbered))
    }

    /// All frames in the order of the log.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &SealedFrame> {
        self.frames.iter().map(|logged| &logged.frame)
    }

    /// Bytes of all changes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn extend_reach(&mut self, origin: Origin) {
        let stream = self.streams.get_mut(&origin).expect("the stream was just written to");
        while let Some(place) = stream.frames.get(&Lsn(stream.reach.0.saturating_add(1))) {
            stream.reach = self.frames[*place].head.last_lsn();
        }
    }
}

fn first_in_chain(head: &FrameHead) -> Holding {
    let is_first = head.first_lsn == Lsn(1);
    if is_first == (head.previous == FrameRoot::NONE) { Holding::Absent } else { Holding::Impossible }
}

fn take_bytes<'a>(frames: impl Iterator<Item = &'a Logged>, bytes_max: usize) -> Vec<SealedFrame> {
    let mut bytes = 0;
    frames
        .take_while(|logged| {
            // The overhead of heads and names stays within the room that a message has above what a pull may hold.
            let first = bytes == 0;
            bytes += logged.bytes + 512 + 128 * logged.frame.records().len();
            first || bytes <= bytes_max
        })
        .map(|logged| logged.frame.clone())
        .collect()
}
