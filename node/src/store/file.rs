//! Small files that are there whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Replaces or makes `path` with `bytes`, durably, mode 0600: after a crash it has its old content or all of the new.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = parent(path)?;
    staged(folder, bytes)?.persist(path)?;
    sync_folder(folder)
}

/// Makes `path` with `bytes`, durably, mode 0600.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where something is there, which is then untouched; of two that race, one wins.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = parent(path)?;
    staged(folder, bytes)?.persist_noclobber(path)?;
    sync_folder(folder)
}

/// The whole file, if it has at most `bytes_max` bytes.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] for a longer one, of which no more than the bound is read.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    // A file planted as a FIFO must not block the start.
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Makes names that were added to or removed from a folder survive a power failure (fsync(2), notes).
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A synced temporary file beside its destination, so that renaming it stays inside one file system.
pub(crate) fn staged(folder: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(STAGED_PREFIX).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Names of files that were never finished; a crash may leave them behind.
pub(crate) const STAGED_PREFIX: &str = ".staged-";
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn creating_never_replaces_and_writing_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        create(&path, b"one").unwrap();
        assert_eq!(create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write(&path, b"three").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing staged is left");
    }

    #[test]
    fn a_file_over_its_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write(&path, &[7; 100]).unwrap();
        assert_eq!(read_bounded(&path, 100).unwrap(), [7; 100]);
        assert_eq!(read_bounded(&path, 99).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
