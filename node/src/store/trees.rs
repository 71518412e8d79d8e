//! The tree beside an artifact, so that no asker has the whole file hashed again, and what is served from both.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use sha2::{Digest as _, Sha256};

use super::artifacts::{ArtifactError, Artifacts, blocking, refused};
use super::file;
use crate::content::{Content, Held, Holding, Outboard, pairs_bytes};

/// Follows the name of the artifact.
pub(super) const TREE_SUFFIX: &str = ".tree";
/// What stands before the pairs of a tree: four letters, the version, the size and the BLAKE3 of the content.
pub(super) const HEAD_BYTES: usize = 45;
const MAGIC: [u8; 5] = *b"HgTr\x01";

impl Artifacts {
    /// Content by BLAKE3 as far as it is here, to be served in ranges.
    ///
    /// # Errors
    /// What the disk says, or [`ArtifactError::Damaged`].
    pub async fn held(&self, blake3: Blake3Digest) -> Result<Held, ArtifactError> {
        let this = self.clone();
        blocking(move || this.held_blocking(blake3)).await
    }

    fn held_blocking(&self, blake3: Blake3Digest) -> Result<Held, ArtifactError> {
        if let Some(known) = self.served(blake3) {
            return Ok(Held::Whole(known));
        }
        // Others who ask for the same meanwhile find it afterwards.
        let _planting = self.planting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.served(blake3) {
            return Ok(Held::Whole(known));
        }
        let digest = match self.named(blake3) {
            Some(digest) => Some(digest),
            None => {
                self.plant_all();
                self.named(blake3)
            }
        };
        let Some(digest) = digest else {
            let partly = self.lock().partial.values().any(|row| row.content.blake3() == blake3);
            return Ok(if partly { Held::Partly } else { Held::Nothing });
        };
        let tree = match read(&self.tree_path(digest)) {
            Some(tree) if tree.content().blake3() == blake3 => tree,
            Some(_) | None => self.plant(digest)?,
        };
        let path = self.path(digest);
        let holding = Arc::new(Holding::in_file(tree, File::open(&path).map_err(refused("read", &path))?));
        let mut state = self.lock();
        state.served.retain(|_, served| served.strong_count() > 0);
        state.served.insert(blake3, Arc::downgrade(&holding));
        Ok(Held::Whole(holding))
    }

    fn served(&self, blake3: Blake3Digest) -> Option<Arc<Holding>> {
        self.lock().served.get(&blake3)?.upgrade()
    }

    fn named(&self, blake3: Blake3Digest) -> Option<Sha256Digest> {
        self.lock().by_blake3.get(&blake3).copied()
    }

    /// Makes the trees that are missing: of files that an earlier version stored, or whose tree a crash took.
    fn plant_all(&self) {
        let treeless = self.lock().treeless.clone();
        for digest in treeless {
            if let Err(error) = self.plant(digest) {
                tracing::warn!(%digest, %error, "an artifact is not served to peers");
                self.lock().treeless.remove(&digest);
            }
        }
    }

    /// Hashes an artifact once, and keeps the tree.
    fn plant(&self, digest: Sha256Digest) -> Result<Outboard, ArtifactError> {
        let path = self.path(digest);
        let file = File::open(&path).map_err(refused("read", &path))?;
        let size = file.metadata().map_err(refused("look at", &path))?.len();
        let mut hashing = Hashing { inner: file, sha256: Sha256::new() };
        let tree = Outboard::of(&mut hashing, size).map_err(refused("hash", &path))?;
        let found = Sha256Digest::from_bytes(hashing.sha256.finalize().into());
        if found != digest {
            return Err(ArtifactError::Damaged { digest, found });
        }
        write(&self.tree_path(digest), &tree)?;
        self.lock().whole(digest, tree.content().blake3());
        Ok(tree)
    }
}

/// Hashes what is read through it.
struct Hashing {
    inner: File,
    sha256: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..read]);
        Ok(read)
    }
}

pub(super) fn write(path: &Path, tree: &Outboard) -> Result<(), ArtifactError> {
    let bytes = [&head(tree.content()), tree.pairs()].concat();
    file::write(path, &bytes).map_err(refused("write", path))
}

pub(super) fn head(content: Content) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..5].copy_from_slice(&MAGIC);
    head[5..13].copy_from_slice(&content.size().to_le_bytes());
    head[13..].copy_from_slice(content.blake3().as_bytes());
    head
}

/// The content that a tree says it is of; `None` where it cannot be read.
pub(super) fn content_of(path: &Path) -> Option<Content> {
    let mut head = [0; HEAD_BYTES];
    File::open(path).ok()?.read_exact(&mut head).ok()?;
    parse_head(&head)
}

/// The content and the pairs of a tree, which are not checked.
pub(super) fn parse(bytes: &[u8]) -> Option<(Content, &[u8])> {
    let (head, pairs) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let content = parse_head(head)?;
    (pairs.len() == pairs_bytes(content)).then_some((content, pairs))
}

fn parse_head(head: &[u8; HEAD_BYTES]) -> Option<Content> {
    let (magic, rest) = head.split_first_chunk::<5>()?;
    let (size, blake3) = rest.split_first_chunk::<8>()?;
    let blake3 = Blake3Digest::from_bytes(blake3.try_into().ok()?);
    (*magic == MAGIC).then(|| Content::new(blake3, u64::from_le_bytes(*size)).ok())?
}

/// A tree whose every hash holds; `None` where there is none, and a new one has to be made.
fn read(path: &Path) -> Option<Outboard> {
    let content = content_of(path)?;
    let bytes = file::read_bounded(path, (HEAD_BYTES + pairs_bytes(content)) as u64).ok()?;
    let (content, pairs) = parse(&bytes)?;
    Outboard::checked(content, pairs.to_vec()).ok()
}

#[cfg(test)]
#[path = "trees_tests.rs"]
mod tests;
