//! Artifact files: each named by its sha256, whole or absent, and read only if the digest still holds.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hedgerow_attest::digest::Sha256Digest;

use super::file;
use crate::config::ArtifactLimits;

/// The folder of artifact files. Clones share its accounting of space.
#[derive(Debug, Clone)]
pub struct Artifacts {
    folder: Arc<Path>,
    limits: ArtifactLimits,
    /// Bytes of all files. Held while a file is added or removed, so that the total stays below its limit.
    held_bytes: Arc<Mutex<u64>>,
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
        let artifacts = Self { folder: folder.into(), limits, held_bytes: Arc::default() };
        let total = artifacts.list()?.iter().map(|&(_, bytes)| bytes).sum();
        *artifacts.held_bytes.lock().unwrap_or_else(PoisonError::into_inner) = total;
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
        let mut held = self.held_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        // A damaged file is replaced; it had its bytes counted already.
        let present = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(refused("look at", &path)(source)),
        };
        if present == bytes && self.read_blocking(digest).is_ok() {
            return Ok(digest);
        }
        let total = held.saturating_sub(present).saturating_add(bytes);
        if total > self.limits.total_bytes_max {
            return Err(ArtifactError::NoRoom {
                bytes,
                held_bytes: *held,
                total_bytes_max: self.limits.total_bytes_max,
            });
        }
        file::write(&path, content).map_err(refused("write", &path))?;
        *held = total;
        Ok(digest)
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

    fn remove_blocking(&self, digest: Sha256Digest) -> Result<(), ArtifactError> {
        let path = self.path(digest);
        let mut held = self.held_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ArtifactError::Absent { digest }),
            Err(source) => return Err(refused("look at", &path)(source)),
        };
        fs::remove_file(&path).map_err(refused("remove", &path))?;
        *held = held.saturating_sub(bytes);
        file::sync_folder(&self.folder).map_err(refused("sync", &self.folder))
    }

    fn path(&self, digest: Sha256Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("disk work neither panics nor is cancelled")
}

fn refused(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    let path = path.to_path_buf();
    move |source| ArtifactError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ArtifactLimits = ArtifactLimits { bytes_max: 100, total_bytes_max: 150 };

    #[tokio::test]
    async fn bytes_come_back_under_their_digest_after_a_restart() {
        let parent = tempfile::tempdir().unwrap();
        let digest = {
            let artifacts = Artifacts::open(parent.path(), LIMITS).unwrap();
            let digest = artifacts.put(Bytes::from_static(b"weights")).await.unwrap();
            assert_eq!(artifacts.put(Bytes::from_static(b"weights")).await.unwrap(), digest, "twice is once");
            digest
        };
        fs::write(parent.path().join(".staged-left"), "half").unwrap();
        let artifacts = Artifacts::open(parent.path(), LIMITS).unwrap();
        assert_eq!(digest, Sha256Digest::of(b"weights"));
        assert_eq!(artifacts.read(digest).await.unwrap(), b"weights".as_slice());
        assert_eq!(artifacts.list().unwrap(), [(digest, 7)]);
        assert!(artifacts.holds(digest) && !parent.path().join(".staged-left").exists());
        artifacts.remove(digest).await.unwrap();
        assert!(
            matches!(artifacts.read(digest).await, Err(ArtifactError::Absent { digest: absent }) if absent == digest)
        );
        assert!(matches!(artifacts.remove(digest).await, Err(ArtifactError::Absent { .. })));
    }

    #[tokio::test]
    async fn a_flipped_bit_is_noticed_and_can_be_mended() {
        let parent = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(parent.path(), LIMITS).unwrap();
        let digest = artifacts.put(Bytes::from_static(b"weights")).await.unwrap();
        fs::write(parent.path().join(digest.to_string()), "weighty").unwrap();
        match artifacts.read(digest).await {
            Err(ArtifactError::Damaged { digest: asked, found }) => {
                assert_eq!((asked, found), (digest, Sha256Digest::of(b"weighty")));
            }
            other => panic!("{other:?}"),
        }
        artifacts.put(Bytes::from_static(b"weights")).await.unwrap();
        assert_eq!(artifacts.read(digest).await.unwrap(), b"weights".as_slice());
    }

    #[tokio::test]
    async fn limits_hold_for_one_file_and_for_all() {
        let parent = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(parent.path(), LIMITS).unwrap();
        let refused = artifacts.put(vec![1; 101].into()).await;
        assert!(matches!(refused, Err(ArtifactError::TooLarge { bytes: 101, bytes_max: 100 })), "{refused:?}");
        let first = artifacts.put(vec![1; 100].into()).await.unwrap();
        let refused = artifacts.put(vec![2; 51].into()).await;
        assert!(
            matches!(refused, Err(ArtifactError::NoRoom { bytes: 51, held_bytes: 100, total_bytes_max: 150 })),
            "{refused:?}"
        );
        artifacts.put(vec![3; 50].into()).await.unwrap();
        artifacts.remove(first).await.unwrap();
        artifacts.put(vec![2; 51].into()).await.unwrap();
        assert_eq!(artifacts.list().unwrap().iter().map(|&(_, bytes)| bytes).sum::<u64>(), 101);
    }
}
