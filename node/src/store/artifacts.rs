//! Artifact files: each named by its sha256, whole or absent, and read only if the digest still holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use sha2::{Digest as _, Sha256};

use super::file;
use super::partial::{self, PART_SUFFIX};
use super::trees::{self, TREE_SUFFIX};
use crate::config::ArtifactLimits;
use crate::content::{Content, Holding, Outboard};

/// The folder of artifact files. Clones share its accounting of space.
#[derive(Debug, Clone)]
pub struct Artifacts {
    pub(super) folder: Arc<Path>,
    pub(super) limits: ArtifactLimits,
    state: Arc<Mutex<State>>,
    /// Held by whoever makes trees for files that have none, so that nobody does it twice.
    pub(super) planting: Arc<Mutex<()>>,
}

/// What is in the folder. Held while a file is added or removed, so that the total stays below its limit.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Bytes of all artifacts, and those that partial files will have.
    pub(super) held_bytes: u64,
    /// Artifacts with their tree, by what peers ask for.
    pub(super) by_blake3: BTreeMap<Blake3Digest, Sha256Digest>,
    /// Artifacts without one.
    pub(super) treeless: BTreeSet<Sha256Digest>,
    /// What is being served.
    pub(super) served: BTreeMap<Blake3Digest, Weak<Holding>>,
    pub(super) partial: BTreeMap<Sha256Digest, PartialRow>,
    /// Of the last [`super::Partial`].
    pub(super) last_number: u64,
}

/// A partial file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartialRow {
    pub(super) content: Content,
    /// Which [`super::Partial`] fills it, if one does.
    pub(super) filled_by: Option<u64>,
}

/// Why an artifact could not be stored or read. The folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is not here; fetch it from a node that has it.
    #[error("find artifact {digest}: this node does not hold it")]
    Absent {
        /// What was asked for.
        digest: Sha256Digest,
    },
    /// The file's bytes have changed since it was stored; remove it and fetch it again.
    #[error("read artifact {digest}: its bytes are those of {found}; the file is damaged")]
    Damaged {
        /// What was asked for.
        digest: Sha256Digest,
        /// What is there.
        found: Sha256Digest,
    },
    /// Larger than one file may be.
    #[error("store an artifact of {bytes} bytes: at most {bytes_max} are allowed; raise artifacts.bytes_max")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// No room beside what is held.
    #[error(
        "store an artifact of {bytes} bytes: {held_bytes} are held and {total_bytes_max} allowed; raise artifacts.total_bytes_max or remove models"
    )]
    NoRoom {
        /// Its size.
        bytes: u64,
        /// What all files have together.
        held_bytes: u64,
        /// The limit.
        total_bytes_max: u64,
    },
    /// It is being fetched; wait for that to end.
    #[error("fetch artifact {digest}: it is being fetched already")]
    Fetching {
        /// What was asked for.
        digest: Sha256Digest,
    },
    /// So many artifacts are fetched in part that no other is begun; those that are no longer wanted are removed by and by.
    #[error("begin to fetch artifact {digest}: {count_max} are here in part already")]
    TooManyParts {
        /// What was asked for.
        digest: Sha256Digest,
        /// The limit.
        count_max: usize,
    },
    /// Some of it has not arrived yet.
    #[error("finish artifact {digest}: {groups} groups of it are missing")]
    Unfinished {
        /// What was asked for.
        digest: Sha256Digest,
        /// How many.
        groups: usize,
    },
    /// The system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Artifacts {
    /// Opens, and where needed makes, the folder; removes what a crash left unfinished.
    pub(super) fn open(folder: &Path, limits: ArtifactLimits) -> Result<Self, ArtifactError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(refused("make", folder))?;
        for entry in fs::read_dir(folder).map_err(refused("list", folder))? {
            let path = entry.map_err(refused("list", folder))?.path();
            let unfinished =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(file::STAGED_PREFIX));
            if unfinished {
                fs::remove_file(&path).map_err(refused("remove unfinished", &path))?;
            }
        }
        let (state, planting) = (Arc::default(), Arc::default());
        let artifacts = Self { folder: folder.into(), limits, state, planting };
        artifacts.take_stock()?;
        Ok(artifacts)
    }

    /// Stores bytes durably under their digest, which it returns. What is there already is not written again.
    pub async fn put(&self, bytes: Bytes) -> Result<Sha256Digest, ArtifactError> {
        let this = self.clone();
        blocking(move || this.put_blocking(&bytes)).await
    }

    /// The bytes with this digest, checked against it.
    pub async fn read(&self, digest: Sha256Digest) -> Result<Bytes, ArtifactError> {
        let this = self.clone();
        blocking(move || this.read_blocking(digest)).await
    }

    /// The bytes with this digest, checked against it, if they are here and at most `bytes_max`; a longer file is not read.
    pub async fn read_small(&self, digest: Sha256Digest, bytes_max: u64) -> Result<Option<Bytes>, ArtifactError> {
        let this = self.clone();
        blocking(move || match length_of(&this.path(digest))? {
            Some(bytes) if bytes <= bytes_max => this.read_blocking(digest).map(Some),
            Some(_) | None => Ok(None),
        })
        .await
    }

    /// Whether the bytes with this digest are here and right, without taking them into memory.
    ///
    /// # Errors
    /// [`ArtifactError::Absent`], [`ArtifactError::Damaged`], or what the disk says.
    pub async fn verify(&self, digest: Sha256Digest) -> Result<(), ArtifactError> {
        let this = self.clone();
        blocking(move || this.verify_blocking(digest)).await
    }

    /// Forgets the bytes with this digest.
    pub async fn remove(&self, digest: Sha256Digest) -> Result<(), ArtifactError> {
        let this = self.clone();
        blocking(move || this.remove_blocking(digest)).await
    }

    /// Whether there is a file for this digest; its bytes are not looked at.
    pub fn holds(&self, digest: Sha256Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Every digest that is held, with its size in bytes, in order of digest. Blocks on the disk.
    pub fn list(&self) -> Result<Vec<(Sha256Digest, u64)>, ArtifactError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(refused("list", &self.folder))? {
            let entry = entry.map_err(refused("list", &self.folder))?;
            let metadata = entry.metadata().map_err(refused("look at", &entry.path()))?;
            let digest = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(digest) = digest.filter(|_| metadata.is_file()) {
                found.push((digest, metadata.len()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn put_blocking(&self, content: &[u8]) -> Result<Sha256Digest, ArtifactError> {
        let bytes = content.len() as u64;
        if bytes > self.limits.bytes_max {
            return Err(ArtifactError::TooLarge { bytes, bytes_max: self.limits.bytes_max });
        }
        let digest = Sha256Digest::of(content);
        let path = self.path(digest);
        let tree = Outboard::of(content, bytes).map_err(refused("hash", &path))?;
        let mut state = self.lock();
        let present = length_of(&path)?;
        if present == Some(bytes) && self.read_blocking(digest).is_ok() {
            return Ok(digest);
        }
        // A damaged file is replaced; it had its bytes counted already.
        let present = present.unwrap_or_default();
        if state.partial.get(&digest).is_some_and(|row| row.filled_by.is_none()) {
            self.remove_part(&mut state, digest)?;
        }
        self.room(&state, present, bytes)?;
        // The tree first: a file without one is hashed once more, a tree without a file is removed at the next start.
        trees::write(&self.tree_path(digest), &tree)?;
        file::write(&path, content).map_err(refused("write", &path))?;
        state.held_bytes = state.held_bytes.saturating_sub(present).saturating_add(bytes);
        state.whole(digest, tree.content().blake3());
        Ok(digest)
    }

    /// Whether `bytes` may be stored in the place of `present` ones.
    pub(super) fn room(&self, state: &State, present: u64, bytes: u64) -> Result<(), ArtifactError> {
        let (held_bytes, total_bytes_max) = (state.held_bytes, self.limits.total_bytes_max);
        if held_bytes.saturating_sub(present).saturating_add(bytes) > total_bytes_max {
            return Err(ArtifactError::NoRoom { bytes, held_bytes, total_bytes_max });
        }
        Ok(())
    }

    fn read_blocking(&self, digest: Sha256Digest) -> Result<Bytes, ArtifactError> {
        let path = self.path(digest);
        let content = match file::read_bounded(&path, self.limits.bytes_max) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ArtifactError::Absent { digest }),
            Err(source) => return Err(refused("read", &path)(source)),
        };
        let found = Sha256Digest::of(&content);
        if found == digest { Ok(content.into()) } else { Err(ArtifactError::Damaged { digest, found }) }
    }

    fn verify_blocking(&self, digest: Sha256Digest) -> Result<(), ArtifactError> {
        let path = self.path(digest);
        match fs::File::open(&path) {
            Ok(file) => match sha256_of(&file).map_err(refused("read", &path))? {
                found if found == digest => Ok(()),
                found => Err(ArtifactError::Damaged { digest, found }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ArtifactError::Absent { digest }),
            Err(source) => Err(refused("read", &path)(source)),
        }
    }

    fn remove_blocking(&self, digest: Sha256Digest) -> Result<(), ArtifactError> {
        let path = self.path(digest);
        let mut state = self.lock();
        let bytes = length_of(&path)?.ok_or(ArtifactError::Absent { digest })?;
        fs::remove_file(&path).map_err(refused("remove", &path))?;
        state.held_bytes = state.held_bytes.saturating_sub(bytes);
        state.treeless.remove(&digest);
        let named = state.by_blake3.extract_if(.., |_, held| *held == digest).map(|(blake3, _)| blake3);
        for blake3 in named.collect::<Vec<_>>() {
            state.served.remove(&blake3);
        }
        remove_if_there(&self.tree_path(digest))?;
        file::sync_folder(&self.folder).map_err(refused("sync", &self.folder))
    }

    /// Looks what is in the folder, and removes what belongs to nothing.
    fn take_stock(&self) -> Result<(), ArtifactError> {
        let mut state = State::default();
        for (digest, bytes) in self.list()? {
            state.held_bytes = state.held_bytes.saturating_add(bytes);
            match trees::content_of(&self.tree_path(digest)).filter(|content| content.size() == bytes) {
                Some(content) => drop(state.by_blake3.insert(content.blake3(), digest)),
                None => drop(state.treeless.insert(digest)),
            }
        }
        let begun = partial::take_stock(self)?;
        state.held_bytes = begun.values().fold(state.held_bytes, |held, row| held.saturating_add(row.content.size()));
        state.partial = begun;
        for entry in fs::read_dir(&self.folder).map_err(refused("list", &self.folder))? {
            let path = entry.map_err(refused("list", &self.folder))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let (stem, part) = match name.strip_suffix(TREE_SUFFIX).unwrap_or(name).strip_suffix(PART_SUFFIX) {
                Some(stem) => (stem, true),
                None => (name.strip_suffix(TREE_SUFFIX).unwrap_or_default(), false),
            };
            let Ok(digest) = stem.parse::<Sha256Digest>() else { continue };
            let belongs = if part { state.partial.contains_key(&digest) } else { self.holds(digest) };
            if !belongs {
                fs::remove_file(&path).map_err(refused("remove unfinished", &path))?;
            }
        }
        *self.lock() = state;
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, digest: Sha256Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    pub(super) fn tree_path(&self, digest: Sha256Digest) -> PathBuf {
        self.folder.join(format!("{digest}{TREE_SUFFIX}"))
    }
}

impl State {
    /// Notes that an artifact is here whole and with its tree.
    pub(super) fn whole(&mut self, digest: Sha256Digest, blake3: Blake3Digest) {
        self.treeless.remove(&digest);
        self.by_blake3.insert(blake3, digest);
        // Whoever has the file before it goes on with that one; others get this.
        self.served.remove(&blake3);
    }
}

/// The digest of a file from its beginning, in bounded memory.
pub(super) fn sha256_of(mut file: &fs::File) -> io::Result<Sha256Digest> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; READ_BYTES]);
    io::Seek::rewind(&mut file)?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Sha256Digest::from_bytes(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

pub(super) fn length_of(path: &Path) -> Result<Option<u64>, ArtifactError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(refused("look at", path)(source)),
    }
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), ArtifactError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(refused("remove", path)(source)),
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("disk work neither panics nor is cancelled")
}

pub(super) fn refused(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    let path = path.to_path_buf();
    move |source| ArtifactError::Io { action, path, source }
}

const READ_BYTES: usize = 1 << 20;

#[cfg(test)]
#[path = "artifacts_tests.rs"]
mod tests;
