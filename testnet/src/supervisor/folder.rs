//! The state folder of a testnet.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Where things are in a state folder. The lock also marks the folder as ours: nothing is removed from any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateFolder(PathBuf);

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// Neither variable says where state belongs: name a folder with `--state`.
    #[error("find a state folder: neither XDG_STATE_HOME nor HOME is set; name one with --state")]
    NoHome,
    /// It holds something else: name an empty or absent one with `--state`.
    #[error("use {} as a state folder: it holds other things; name an empty folder with --state", folder.display())]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// Another supervisor holds it: `hedgerow-testnet down` ends that.
    #[error("hold {}: a testnet is up there; end it with `hedgerow-testnet down`", folder.display())]
    Held {
        /// The folder.
        folder: PathBuf,
    },
    /// A unix socket's path ends at 107 bytes: name a shorter folder with `--state`.
    #[error("use {}: sockets in it would have paths above 107 bytes; name a shorter folder with --state", folder.display())]
    TooLong {
        /// The folder.
        folder: PathBuf,
    },
    /// The system refused.
    #[error("prepare {}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl StateFolder {
    /// The folder given, or `hedgerow-testnet` among the user's state.
    pub(crate) fn find(given: Option<PathBuf>) -> Result<Self, FolderError> {
        let folder = match given {
            Some(folder) => folder,
            None => match (std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME")) {
                (Some(state), _) if !state.is_empty() => PathBuf::from(state).join("hedgerow-testnet"),
                (_, Some(home)) if !home.is_empty() => PathBuf::from(home).join(".local/state/hedgerow-testnet"),
                _ => return Err(FolderError::NoHome),
            },
        };
        let folder = std::path::absolute(&folder).map_err(|source| FolderError::Io { folder, source })?;
        if folder.as_os_str().len() + LONGEST_SOCKET.len() > SOCKET_PATH_MAX {
            return Err(FolderError::TooLong { folder });
        }
        Ok(Self(folder))
    }

    /// Makes the folder and holds it until the file is dropped.
    pub(crate) fn hold(&self) -> Result<File, FolderError> {
        let io = |source| FolderError::Io { folder: self.0.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(io)?;
        let lock = self.0.join(LOCK);
        if !lock.exists() {
            for entry in fs::read_dir(&self.0).map_err(io)? {
                if !is_early(&entry.map_err(io)?.path()) {
                    return Err(FolderError::NotOurs { folder: self.0.clone() });
                }
            }
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(lock).map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(FolderError::Held { folder: self.0.clone() }),
            Err(error) => Err(io(error.into())),
        }
    }

    /// Removes everything but the lock and the supervisor's log. Only for who holds the folder.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for path in [self.nodes(), self.image_context()] {
            ignore_absent(fs::remove_dir_all(path))?;
        }
        ignore_absent(fs::remove_file(self.socket()))
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The socket at which the supervisor answers.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// What the supervisor wrote.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join(LOG)
    }

    /// Data folders and logs of the nodes, tickets, the compose file.
    pub(crate) fn nodes(&self) -> PathBuf {
        self.0.join("nodes")
    }

    /// Where the image's build context is put together.
    pub(crate) fn image_context(&self) -> PathBuf {
        self.0.join(IMAGE)
    }
}

/// What `up` writes before its supervisor has locked the folder.
fn is_early(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == LOG || name == IMAGE)
}

fn ignore_absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

const LOCK: &str = "testnet.lock";
const LOG: &str = "supervisor.log";
const IMAGE: &str = "image";

/// The longest path below the folder that a socket gets.
const LONGEST_SOCKET: &str = "/nodes/n60/admin.sock";

/// `sun_path` has 108 bytes on Linux, one of them for the final zero (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_once_and_cleared_for_the_next() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = StateFolder::find(Some(place.path().join("t"))).expect("a state folder");
        let held = folder.hold().expect("free");
        fs::create_dir_all(folder.nodes().join("n1")).expect("data");
        assert!(matches!(folder.hold(), Err(FolderError::Held { .. })));
        assert!(folder.nodes().exists(), "a held folder is not touched");
        drop(held);
        let _held = folder.hold().expect("free again, whatever is in it");
        folder.clear().expect("cleared");
        assert!(!folder.nodes().exists());
    }

    #[test]
    fn nothing_is_removed_from_a_folder_that_holds_other_things() {
        let place = tempfile::tempdir().expect("a folder");
        fs::create_dir(place.path().join("nodes")).expect("somebody's folder");
        let folder = StateFolder::find(Some(place.path().to_owned())).expect("a state folder");
        assert!(matches!(folder.hold(), Err(FolderError::NotOurs { .. })));
        assert!(folder.nodes().exists());
    }

    #[test]
    fn a_folder_too_deep_for_sockets_is_refused() {
        let deep = PathBuf::from(format!("/{}", "d".repeat(90)));
        assert!(matches!(StateFolder::find(Some(deep)), Err(FolderError::TooLong { .. })));
    }
}
