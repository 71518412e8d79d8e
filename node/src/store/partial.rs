//! Artifacts that are here in part: ranges arrive from peers in any order, and a restart goes on with what was there.
//!
//! The file has its full length from the beginning, with holes; beside it lies the tree with the hashes that have arrived.
//! Nothing says which groups are there: after a restart a group counts if its bytes lead to the digest through hashes that
//! lead there too. So no order of writes matters, and a torn one costs its group.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hedgerow_attest::digest::Sha256Digest;

use super::artifacts::{
    ArtifactError, Artifacts, PartialRow, State, blocking, length_of, refused, remove_if_there, sha256_of,
};
use super::file;
use super::trees::{self, HEAD_BYTES, TREE_SUFFIX};
use crate::content::{Content, GroupRange, PAIR_BYTES, Piece, Sink, groups_held, pairs_bytes};

/// Follows the name of the artifact, and is followed by [`TREE_SUFFIX`] in the name of its tree.
pub(super) const PART_SUFFIX: &str = ".part";
/// Artifacts that may be here in part at the same time.
pub(crate) const PARTS_MAX: usize = 16;
/// What a loss of power may cost, bytes; a crash of the process alone costs nothing that was written.
const SYNC_BYTES: u64 = 32 << 20;

/// An artifact on its way here. Dropping it keeps what arrived.
#[derive(Debug)]
pub struct Partial {
    artifacts: Artifacts,
    number: u64,
    digest: Sha256Digest,
    content: Content,
    bytes: File,
    tree: File,
    /// By group.
    held: Mutex<Vec<bool>>,
    unsynced_bytes: AtomicU64,
}

impl Artifacts {
    /// Begins an artifact, or goes on with what is here of it. Its full size is reserved at once.
    ///
    /// # Errors
    /// [`ArtifactError::TooLarge`], [`ArtifactError::NoRoom`], [`ArtifactError::TooManyParts`]; [`ArtifactError::Fetching`]
    /// while another [`Partial`] of it lives; or what the disk says.
    pub async fn begin(&self, digest: Sha256Digest, content: Content) -> Result<Partial, ArtifactError> {
        let this = self.clone();
        blocking(move || this.begin_blocking(digest, content)).await
    }

    /// Removes the partial files of all but these artifacts, and of those that are being fetched.
    pub async fn keep_parts(&self, wanted: BTreeSet<Sha256Digest>) -> Result<(), ArtifactError> {
        let this = self.clone();
        blocking(move || {
            let mut state = this.lock();
            let unwanted =
                state.partial.iter().filter(|(digest, row)| row.filled_by.is_none() && !wanted.contains(digest));
            let unwanted: Vec<_> = unwanted.map(|(digest, _)| *digest).collect();
            unwanted.into_iter().try_for_each(|digest| this.remove_part(&mut state, digest))
        })
        .await
    }

    fn begin_blocking(&self, digest: Sha256Digest, content: Content) -> Result<Partial, ArtifactError> {
        let number = self.reserve(digest, content)?;
        let opened = self.open_part(number, digest, content);
        if opened.is_err() {
            self.lock().leave(digest, number);
        }
        opened
    }

    fn reserve(&self, digest: Sha256Digest, content: Content) -> Result<u64, ArtifactError> {
        let (bytes, bytes_max) = (content.size(), self.limits.bytes_max);
        if bytes > bytes_max {
            return Err(ArtifactError::TooLarge { bytes, bytes_max });
        }
        let mut state = self.lock();
        let number = state.last_number + 1;
        match state.partial.get_mut(&digest) {
            Some(PartialRow { filled_by: Some(_), .. }) => return Err(ArtifactError::Fetching { digest }),
            Some(row) if row.content == content => {
                row.filled_by = Some(number);
                state.last_number = number;
                return Ok(number);
            }
            // What another manifest named so cannot be this.
            Some(_) => self.remove_part(&mut state, digest)?,
            None => {}
        }
        if state.partial.len() >= PARTS_MAX {
            return Err(ArtifactError::TooManyParts { digest, count_max: PARTS_MAX });
        }
        // A damaged artifact is replaced in the end.
        let replaces = length_of(&self.path(digest))?.unwrap_or_default();
        self.room(&state, replaces, bytes)?;
        state.held_bytes = state.held_bytes.saturating_add(bytes);
        state.partial.insert(digest, PartialRow { content, filled_by: Some(number) });
        state.last_number = number;
        Ok(number)
    }

    fn open_part(&self, number: u64, digest: Sha256Digest, content: Content) -> Result<Partial, ArtifactError> {
        let [path, tree_path] = self.part_paths(digest);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let bytes = options.open(&path).map_err(refused("open", &path))?;
        bytes.set_len(content.size()).map_err(refused("make", &path))?;
        let kept = file::read_bounded(&tree_path, (HEAD_BYTES + pairs_bytes(content)) as u64).unwrap_or_default();
        let held = match trees::parse(&kept) {
            Some((named, pairs)) if named == content => {
                let read = |buffer: &mut [u8], at| bytes.read_exact_at(buffer, at);
                groups_held(content, pairs, read).map_err(refused("read", &path))?
            }
            Some(_) | None => {
                let empty = [trees::head(content).as_slice(), &vec![0; pairs_bytes(content)]].concat();
                file::write(&tree_path, &empty).map_err(refused("write", &tree_path))?;
                vec![false; content.groups() as usize]
            }
        };
        let tree = options.open(&tree_path).map_err(refused("open", &tree_path))?;
        let (artifacts, unsynced_bytes) = (self.clone(), AtomicU64::new(0));
        Ok(Partial { artifacts, number, digest, content, bytes, tree, held: Mutex::new(held), unsynced_bytes })
    }

    pub(super) fn remove_part(&self, state: &mut State, digest: Sha256Digest) -> Result<(), ArtifactError> {
        for path in self.part_paths(digest) {
            remove_if_there(&path)?;
        }
        if let Some(row) = state.partial.remove(&digest) {
            state.held_bytes = state.held_bytes.saturating_sub(row.content.size());
        }
        Ok(())
    }

    /// Of the bytes and of their tree.
    fn part_paths(&self, digest: Sha256Digest) -> [PathBuf; 2] {
        ["", TREE_SUFFIX].map(|suffix| self.folder.join(format!("{digest}{PART_SUFFIX}{suffix}")))
    }
}

impl State {
    /// Notes that a partial file is not filled any more, unless somebody else took it over.
    fn leave(&mut self, digest: Sha256Digest, number: u64) {
        let row = self.partial.get_mut(&digest).filter(|row| row.filled_by == Some(number));
        if let Some(row) = row {
            row.filled_by = None;
        }
    }
}

/// The partial files of a folder that can be gone on with. A command that opens the folder under smaller limits than the node
/// loses none of them: limits hold for what is begun.
pub(super) fn take_stock(artifacts: &Artifacts) -> Result<BTreeMap<Sha256Digest, PartialRow>, ArtifactError> {
    let mut rows = BTreeMap::new();
    for entry in fs::read_dir(&artifacts.folder).map_err(refused("list", &artifacts.folder))? {
        let name = entry.map_err(refused("list", &artifacts.folder))?.file_name();
        let digest = name.to_str().and_then(|name| name.strip_suffix(PART_SUFFIX)).and_then(|stem| stem.parse().ok());
        let Some(digest) = digest else { continue };
        let [path, tree_path] = artifacts.part_paths(digest);
        let content = trees::content_of(&tree_path);
        let length = length_of(&path)?;
        if let Some(content) = content.filter(|content| length == Some(content.size())) {
            rows.insert(digest, PartialRow { content, filled_by: None });
        }
    }
    Ok(rows)
}

impl Partial {
    /// Makes the artifact of what arrived, once all of it has: its sha256 is checked, and it gets its name durably.
    ///
    /// # Errors
    /// [`ArtifactError::Unfinished`] keeps the file. [`ArtifactError::Damaged`] removes it: the bytes are those that BLAKE3
    /// names, so the manifest contradicts itself. Or what the disk says.
    pub async fn finish(self: Arc<Self>) -> Result<(), ArtifactError> {
        blocking(move || self.finish_blocking()).await
    }

    fn finish_blocking(&self) -> Result<(), ArtifactError> {
        let (artifacts, digest) = (&self.artifacts, self.digest);
        let groups = self.lock().iter().filter(|held| !**held).count();
        if groups > 0 {
            return Err(ArtifactError::Unfinished { digest, groups });
        }
        let [part_path, part_tree_path] = artifacts.part_paths(digest);
        let found = sha256_of(&self.bytes).map_err(refused("read", &part_path))?;
        if found != digest {
            artifacts.remove_part(&mut artifacts.lock(), digest)?;
            return Err(ArtifactError::Damaged { digest, found });
        }
        self.bytes.sync_all().map_err(refused("sync", &part_path))?;
        self.tree.sync_all().map_err(refused("sync", &part_tree_path))?;
        let (path, tree_path) = (artifacts.path(digest), artifacts.tree_path(digest));
        let mut state = artifacts.lock();
        let replaced = length_of(&path)?.unwrap_or_default();
        // The bytes first: a crash between the two leaves an artifact without its tree, which is made again.
        fs::rename(&part_path, &path).map_err(refused("rename", &part_path))?;
        fs::rename(&part_tree_path, &tree_path).map_err(refused("rename", &part_tree_path))?;
        file::sync_folder(&artifacts.folder).map_err(refused("sync", &artifacts.folder))?;
        state.partial.remove(&digest);
        state.held_bytes = state.held_bytes.saturating_sub(replaced);
        state.whole(digest, self.content.blake3());
        Ok(())
    }

    fn write(&self, piece: &Piece) -> io::Result<()> {
        if piece.content() != self.content {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.bytes.write_all_at(piece.data(), self.content.bytes(piece.range()).start)?;
        for (slot, pairs) in piece.pairs() {
            self.tree.write_all_at(pairs, (HEAD_BYTES + slot * PAIR_BYTES) as u64)?;
        }
        let written = piece.data().len() as u64;
        if self.unsynced_bytes.fetch_add(written, Ordering::Relaxed) + written >= SYNC_BYTES {
            self.unsynced_bytes.store(0, Ordering::Relaxed);
            self.bytes.sync_data()?;
            self.tree.sync_data()?;
        }
        let range = piece.range();
        self.lock()[range.first() as usize..range.end() as usize].fill(true);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<bool>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Partial {
    fn content(&self) -> Content {
        self.content
    }

    fn missing(&self) -> Vec<GroupRange> {
        let held = self.lock();
        let mut ranges: Vec<GroupRange> = Vec::new();
        for group in (0..self.content.groups()).filter(|group| !held[*group as usize]) {
            let longer = ranges.last().filter(|range| range.end() == group);
            let longer = longer.and_then(|range| GroupRange::new(range.first(), range.count() + 1));
            match longer {
                Some(longer) => *ranges.last_mut().expect("it has a last") = longer,
                None => ranges.extend(GroupRange::new(group, 1)),
            }
        }
        ranges
    }

    fn store(self: Arc<Self>, piece: Piece) -> BoxFuture<'static, io::Result<()>> {
        blocking(move || self.write(&piece)).boxed()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.artifacts.lock().leave(self.digest, self.number);
    }
}

#[cfg(test)]
#[path = "partial_tests.rs"]
mod tests;
