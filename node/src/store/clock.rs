//! A moment that is known to have passed, for machines whose clock begins anew with each start.

use std::io;
use std::path::PathBuf;

use hedgerow_attest::time::{DateError, UnixSeconds};

use super::file;
use super::folder::Layout;

/// Why the moment is not known. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ClockFileError {
    /// The system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no date; it may be removed where the clock of the machine is right.
    #[error("read the date in {}; if the clock of this machine is right, remove the file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DateError,
    },
}

impl Layout {
    /// The moment that was kept last, if any was.
    pub fn read_clock(&self) -> Result<Option<UnixSeconds>, ClockFileError> {
        let path = self.clock();
        let text = match file::read_bounded(&path, CLOCK_FILE_BYTES_MAX) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ClockFileError::Io { action: "read", path, source }),
        };
        let date = text.strip_suffix('\n').unwrap_or(&text);
        UnixSeconds::parse(date).map(Some).map_err(|source| ClockFileError::Malformed { path, source })
    }

    /// Keeps a moment that has passed, durably.
    pub fn write_clock(&self, passed: UnixSeconds) -> Result<(), ClockFileError> {
        let path = self.clock();
        file::write(&path, format!("{passed}\n").as_bytes()).map_err(|source| ClockFileError::Io {
            action: "write",
            path,
            source,
        })
    }
}

/// A date has 20 characters.
const CLOCK_FILE_BYTES_MAX: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_comes_back_and_anything_else_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        assert_eq!(layout.read_clock().unwrap(), None);
        for passed in [UnixSeconds(1_700_000_000), UnixSeconds(7)] {
            layout.write_clock(passed).unwrap();
            assert_eq!(layout.read_clock().unwrap(), Some(passed));
        }
        assert_eq!(std::fs::read_to_string(layout.clock()).unwrap(), "1970-01-01T00:00:07Z\n");
        for bad in ["", "soon", "2023-02-29T00:00:00Z", "2023-01-01T00:00:00Z\n\n"] {
            std::fs::write(layout.clock(), bad).unwrap();
            let error = layout.read_clock().unwrap_err();
            assert!(matches!(error, ClockFileError::Malformed { .. }), "{bad}");
            assert!(error.to_string().contains("remove the file"), "{error}");
        }
    }
}
