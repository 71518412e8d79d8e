//! The last words of a process, for the message about its end.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// The end of a log file, as people should see it under an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTail {
    /// The file.
    pub path: PathBuf,
    /// Its last whole lines; or why they cannot be shown.
    pub lines: Result<Vec<String>, io::ErrorKind>,
}

/// Reads at most `lines_max` lines out of the last 64 KiB of a file, without reading the rest. Bytes that
/// are not UTF-8 are shown as replacement characters.
pub fn log_tail(path: &Path, lines_max: usize) -> LogTail {
    let lines = read_end(path).map_err(|error| error.kind()).map(|(text, is_cut)| {
        let lines: Vec<&str> = text.lines().skip(usize::from(is_cut)).collect();
        let shown = lines.get(lines.len().saturating_sub(lines_max)..).unwrap_or_default();
        shown.iter().map(|line| (*line).to_owned()).collect()
    });
    LogTail { path: path.to_owned(), lines }
}

impl fmt::Display for LogTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lines {
            Ok(lines) if lines.is_empty() => write!(f, "{} is empty", self.path.display()),
            Ok(lines) => {
                write!(f, "the end of {}:", self.path.display())?;
                lines.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
            Err(kind) => write!(f, "{} cannot be read: {kind}", self.path.display()),
        }
    }
}

/// The text, and whether it may begin inside a line.
fn read_end(path: &Path) -> io::Result<(String, bool)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES_MAX);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut end)?;
    Ok((String::from_utf8_lossy(&end).into_owned(), start > 0))
}

/// The most that is read of a log.
pub(super) const TAIL_BYTES_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_whole_lines_are_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("n1.log");
        std::fs::write(&path, "one\ntwo\nthree\n").expect("write");
        let tail = log_tail(&path, 2);
        assert_eq!(tail.to_string(), format!("the end of {}:\n  two\n  three", path.display()));
    }

    #[test]
    fn a_long_log_is_not_read_from_its_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("n1.log");
        let line = "x".repeat(1_000);
        std::fs::write(&path, format!("{line}\n").repeat(200)).expect("write");
        let lines = log_tail(&path, usize::MAX).lines.expect("readable");
        assert_eq!((lines.len(), lines.iter().all(|shown| *shown == line)), (65, true));
    }

    #[test]
    fn an_empty_log_and_a_missing_one_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("n1.log");
        assert_eq!(log_tail(&path, 9).lines, Err(io::ErrorKind::NotFound));
        std::fs::write(&path, "").expect("write");
        assert_eq!(log_tail(&path, 9).to_string(), format!("{} is empty", path.display()));
    }
}
