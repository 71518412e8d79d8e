//! The data folder: what lies where, and the right to use it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hedgerow_attest::region::Region;

use super::file;

/// The names in a data folder. A value of this type is only names: it neither reads nor locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// A data folder of this version that this process alone uses, until the value is dropped.
#[derive(Debug)]
pub struct DataFolder {
    layout: Layout,
    /// Holds the advisory lock for as long as it is open.
    _lock: File,
}

/// Why a data folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has the lock; retry when it has ended.
    #[error(
        "open data folder {}: it is in use by another process{}; stop it or choose another folder with --data",
        path.display(),
        pid.map_or(String::new(), |pid| format!(" (pid {pid})"))
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process that holds it, where it has written that down already.
        pid: Option<u32>,
    },
    /// The folder was made by a version with another layout.
    #[error("open data folder {}: it is of version `{found}` and this program reads `{VERSION}`; use the program that made it, or another folder with --data", path.display())]
    OtherVersion {
        /// The folder.
        path: PathBuf,
        /// The first line of its `VERSION` file.
        found: String,
    },
    /// The folder holds files, but none says that they are Hedgerow's.
    #[error("open data folder {}: it has no VERSION file but holds `{entry}`; name an empty folder, or one made by this program, with --data", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// One of the entries.
        entry: String,
    },
    /// The admin socket could not be bound there.
    #[error("open data folder {}: the path of the admin socket in it has {bytes} bytes and a unix socket's has at most {SOCKET_PATH_BYTES_MAX}; choose a shorter path with --data", path.display())]
    PathTooLong {
        /// The folder.
        path: PathBuf,
        /// Length of the socket's path.
        bytes: usize,
    },
    /// The system refused.
    #[error("open data folder: cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DataFolder {
    /// Takes the folder for this process, making it (mode 0700) where there is none.
    ///
    /// The lock is advisory (flock) and ends with the process, so a crash leaves nothing to clean up. Work on a network
    /// file system is not supported: flock may be local there.
    pub fn open(root: &Path) -> Result<Self, FolderError> {
        let layout = Layout::new(root);
        layout.check_socket_path()?;
        let io = |action, path: &Path| {
            let path = path.to_path_buf();
            move |source| FolderError::Io { action, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(io("make", root))?;
        let version = layout.version();
        let found = match file::read_bounded(&version, VERSION_FILE_BYTES_MAX) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io("read", &version)(error)),
        };
        match &found {
            Some(found) if found != VERSION => {
                return Err(FolderError::OtherVersion { path: root.to_path_buf(), found: found.clone() });
            }
            Some(_) => {}
            None => layout.check_fresh()?,
        }
        let lock = layout.lock()?;
        // Only a folder that was empty or is ours by its VERSION gets here, so nobody else's permissions are narrowed.
        fs::set_permissions(root, Permissions::from_mode(0o700)).map_err(io("restrict", root))?;
        if found.is_none() {
            file::write(&version, format!("{VERSION}\n").as_bytes()).map_err(io("write", &version))?;
        }
        Ok(Self { layout, _lock: lock })
    }

    /// What lies where.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl Layout {
    /// The names under this folder.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The unix socket on which the running node answers its operator.
    pub fn admin_socket(&self) -> PathBuf {
        self.root.join("admin.sock")
    }

    /// Secret keys of the node, one for each purpose, mode 0600.
    pub fn identity_key(&self) -> PathBuf {
        self.root.join("identity.key")
    }

    /// Secret key that publishes models, mode 0600; only where the mesh was founded.
    pub fn publisher_key(&self) -> PathBuf {
        self.root.join("publisher.key")
    }

    /// Secret keys of the operator (signs roots, delegates issuing, revokes), mode 0600; only where the mesh was founded.
    /// No running node reads it: take it off the machine.
    pub fn operator_key(&self) -> PathBuf {
        self.root.join("operator.key")
    }

    /// Secret key that signs the policy, mode 0600; only where the mesh was founded.
    pub fn policy_key(&self) -> PathBuf {
        self.root.join("policy.key")
    }

    /// Secret key for TUF's snapshot and timestamp, mode 0600; only where the mesh was founded.
    pub fn freshness_key(&self) -> PathBuf {
        self.root.join("freshness.key")
    }

    /// The node's signed inception.
    pub fn inception(&self) -> PathBuf {
        self.root.join("inception.bin")
    }

    /// The node's certificate; its presence makes the node a member.
    pub fn membership(&self) -> PathBuf {
        self.root.join("membership.bin")
    }

    /// The delegation under which this node issues certificates, where it does.
    pub fn delegation(&self) -> PathBuf {
        self.root.join("delegation.bin")
    }

    /// The root of trust of the mesh.
    pub fn root_json(&self) -> PathBuf {
        self.root.join("root.json")
    }

    /// The signed policy with which the mesh was founded.
    pub fn policy(&self) -> PathBuf {
        self.root.join("policy.bin")
    }

    /// The genesis of a region, as far as this node has to know it at its start.
    pub fn genesis(&self, region: &Region) -> PathBuf {
        self.root.join(format!("{GENESIS_PREFIX}{region}{GENESIS_SUFFIX}"))
    }

    /// A moment that has passed.
    pub fn clock(&self) -> PathBuf {
        self.root.join("clock")
    }

    /// Votes, fences, membership and invitations.
    pub fn mesh_store(&self) -> PathBuf {
        self.root.join("mesh.redb")
    }

    /// The log of session changes.
    pub fn session_log(&self) -> PathBuf {
        self.root.join("log.redb")
    }

    /// Why the last attempt to join failed, for people.
    pub fn join_failure(&self) -> PathBuf {
        self.root.join("join.failure")
    }

    /// Folder of artifact files, each named by its sha256.
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    fn version(&self) -> PathBuf {
        self.root.join("VERSION")
    }

    fn check_socket_path(&self) -> Result<(), FolderError> {
        let bytes = self.admin_socket().as_os_str().as_bytes().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            return Err(FolderError::PathTooLong { path: self.root.clone(), bytes });
        }
        Ok(())
    }

    /// Refuses to make a folder of somebody else's files a data folder.
    fn check_fresh(&self) -> Result<(), FolderError> {
        let failed = |source| FolderError::Io { action: "list", path: self.root.clone(), source };
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if !MAY_STAND_IN_A_FRESH_FOLDER.iter().any(|allowed| name == *allowed) {
                let entry = name.to_string_lossy().into_owned();
                return Err(FolderError::NotOurs { path: self.root.clone(), entry });
            }
        }
        Ok(())
    }

    fn lock(&self) -> Result<File, FolderError> {
        let path = self.root.join("lock");
        let failed = |action| {
            let path = path.clone();
            move |source| FolderError::Io { action, path, source }
        };
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                lock.take(32).read_to_string(&mut text).map_err(failed("read"))?;
                return Err(FolderError::InUse { path: self.root.clone(), pid: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(failed("write"))?;
        Ok(lock)
    }
}

/// The one line of a data folder's `VERSION` file.
pub const VERSION: &str = "hedgerow-data 1";
/// Bytes of a path that a unix socket can be bound to: `sun_path` is 108 with its final zero (unix(7)).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
const VERSION_FILE_BYTES_MAX: u64 = 64;
pub(crate) const GENESIS_PREFIX: &str = "genesis-";
pub(crate) const GENESIS_SUFFIX: &str = ".bin";
/// Left by an operator, a file system or an opening that was interrupted.
const MAY_STAND_IN_A_FRESH_FOLDER: [&str; 3] = ["hedgerow.toml", "lost+found", "lock"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_folder_is_private_and_says_its_version() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("a/b");
        let folder = DataFolder::open(&root).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(root.join("VERSION")).unwrap(), "hedgerow-data 1\n");
        drop(folder);
        DataFolder::open(&root).unwrap();
    }

    #[test]
    fn a_folder_in_use_names_the_process() {
        let parent = tempfile::tempdir().unwrap();
        let held = DataFolder::open(parent.path()).unwrap();
        match DataFolder::open(parent.path()) {
            Err(FolderError::InUse { path, pid }) => {
                assert_eq!((path.as_path(), pid), (parent.path(), Some(std::process::id())));
            }
            other => panic!("{other:?}"),
        }
        drop(held);
        DataFolder::open(parent.path()).unwrap();
    }

    #[test]
    fn another_version_is_refused_and_untouched() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("VERSION"), "hedgerow-data 2\n").unwrap();
        match DataFolder::open(parent.path()) {
            Err(error @ FolderError::OtherVersion { .. }) => assert!(
                error
                    .to_string()
                    .contains("it is of version `hedgerow-data 2` and this program reads `hedgerow-data 1`"),
                "{error}"
            ),
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1, "not even a lock file");
    }

    #[test]
    fn a_folder_of_other_files_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(parent.path().join("thesis.tex"), "").unwrap();
        assert!(
            matches!(DataFolder::open(parent.path()), Err(FolderError::NotOurs { entry, .. }) if entry == "thesis.tex")
        );
        assert_eq!(fs::metadata(parent.path()).unwrap().permissions().mode() & 0o777, 0o755);

        fs::remove_file(parent.path().join("thesis.tex")).unwrap();
        fs::write(parent.path().join("hedgerow.toml"), "").unwrap();
        DataFolder::open(parent.path()).unwrap();
        assert_eq!(fs::metadata(parent.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_socket_has_to_fit_into_an_address() {
        let parent = tempfile::tempdir().unwrap();
        let fixed = parent.path().as_os_str().len() + "//admin.sock".len();
        let fits = parent.path().join("d".repeat(SOCKET_PATH_BYTES_MAX - fixed));
        DataFolder::open(&fits).unwrap();
        std::os::unix::net::UnixListener::bind(Layout::new(&fits).admin_socket()).unwrap();
        let long = parent.path().join("d".repeat(SOCKET_PATH_BYTES_MAX - fixed + 1));
        assert!(matches!(DataFolder::open(&long), Err(FolderError::PathTooLong { bytes: 108, .. })));
        assert!(!long.exists());
    }
}
