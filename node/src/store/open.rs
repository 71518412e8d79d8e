//! Opening and closing everything that a node stores.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase as _, TableDefinition, WriteTransaction};

use super::artifacts::{ArtifactError, Artifacts};
use super::committer::{CommitThread, Committer};
use super::folder::DataFolder;
use super::log::SessionLog;
use super::mesh::MeshStore;
use crate::config::ArtifactLimits;

/// Everything that a node stores. The handles are cheap to clone and stay valid until [`Store::close`].
#[derive(Debug)]
pub struct Store {
    /// Votes, fences, membership and invitations.
    pub mesh: MeshStore,
    /// Changes of sessions.
    pub sessions: SessionLog,
    /// Artifact files.
    pub artifacts: Artifacts,
    threads: [CommitThread; 2],
}

/// Why a store could not be opened. Nothing that it holds was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is damaged, or the disk refused; restore a backup, or join again with an empty data folder.
    #[error("open store {}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// The file was written in another format.
    #[error("open store {}: its format is {found} and this program reads {FORMAT}; use the program that made it", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// The number in the file.
        found: u64,
    },
    /// The system gave no thread to write with; retry when it is less loaded.
    #[error("open store {}: cannot start a thread", path.display())]
    Thread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The artifact folder cannot be used.
    #[error("open the artifact folder")]
    Artifacts(#[source] ArtifactError),
}

/// Why rows could not be read. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The disk refused, or a page is damaged.
    #[error("read from {file}")]
    Database {
        /// Which store.
        file: &'static str,
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// More than a process should take into memory at once.
    #[error("read from {file}: more than {bytes_max} bytes of rows")]
    TooMuch {
        /// Which store.
        file: &'static str,
        /// The bound.
        bytes_max: usize,
    },
    /// A row that this program did not write, or a later version did.
    #[error("read from {file}: a row of table `{table}` does not decode; use the program that wrote it")]
    Row {
        /// Which store.
        file: &'static str,
        /// Which table.
        table: &'static str,
    },
}

impl Store {
    /// Opens, and where needed makes, the stores of a folder. After a crash this repairs them; see `docs/storage.md`.
    pub fn open(folder: &DataFolder, limits: ArtifactLimits) -> Result<Self, OpenError> {
        let layout = folder.layout();
        let (mesh_path, log_path) = (layout.mesh_store(), layout.session_log());
        let mesh_database = open_database(&mesh_path)?;
        let log_database = open_database(&log_path)?;
        let artifacts = Artifacts::open(&layout.artifacts(), limits).map_err(OpenError::Artifacts)?;
        let (mesh, mesh_thread) = MeshStore::start(mesh_database, &mesh_path)?;
        let (sessions, log_thread) = SessionLog::start(log_database, &log_path)?;
        Ok(Self { mesh, sessions, artifacts, threads: [mesh_thread, log_thread] })
    }

    /// Commits what is queued and waits until it is on disk; what other handles submit later is refused.
    pub async fn close(self) {
        for thread in self.threads {
            thread.close().await;
        }
    }
}

fn open_database(path: &Path) -> Result<Database, OpenError> {
    let failed = |source: redb::Error| OpenError::Database { path: path.to_path_buf(), source: Box::new(source) };
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|error| failed(redb::Error::Io(error)))?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder.create_file(file).map_err(|error| failed(error.into()))
}

/// Checks or writes the format number, makes the tables and starts the thread that writes.
pub(super) fn start(
    file: &'static str,
    path: &Path,
    database: Database,
    make_tables: fn(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(Arc<Database>, Committer, CommitThread), OpenError> {
    let failed = |source: redb::Error| OpenError::Database { path: path.to_path_buf(), source: Box::new(source) };
    let found = format_of(&database, make_tables).map_err(failed)?;
    if found != FORMAT {
        return Err(OpenError::OtherFormat { path: path.to_path_buf(), found });
    }
    let database = Arc::new(database);
    let (committer, thread) = Committer::start(file, Arc::clone(&database))
        .map_err(|source| OpenError::Thread { path: path.to_path_buf(), source })?;
    Ok((database, committer, thread))
}

fn format_of(
    database: &Database,
    make_tables: fn(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<u64, redb::Error> {
    let reading = database.begin_read()?;
    match reading.open_table(META) {
        Ok(meta) => Ok(meta.get("format")?.map_or(0, |found| found.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => {
            let transaction = database.begin_write()?;
            transaction.open_table(META)?.insert("format", FORMAT)?;
            make_tables(&transaction)?;
            transaction.commit()?;
            Ok(FORMAT)
        }
        Err(error) => Err(error.into()),
    }
}

/// Version of the tables in a redb file; rows carry versions of their own.
const FORMAT: u64 = 1;
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// redb's page cache for one file; its own default of 1 GiB is no size for an edge machine. A guess: the working set of
/// both stores is a few MiB in a cell of 128, which a profile of reads under load would confirm.
const CACHE_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::{LogRow, RowChange};
    use super::*;

    #[tokio::test]
    async fn what_was_stored_is_there_after_a_restart() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        let store = Store::open(&folder, ArtifactLimits::default()).unwrap();
        let vote = RowChange::Put { table: 2, key: b"cell".to_vec(), value: b"vote".to_vec() };
        let row = LogRow { index: b"group".to_vec(), value: b"frame".to_vec() };
        store.mesh.persist(vec![vote], false).await.await.unwrap();
        store.sessions.append(vec![row]).await.await.unwrap();
        for path in [folder.layout().mesh_store(), folder.layout().session_log()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        store.close().await;

        let store = Store::open(&folder, ArtifactLimits::default()).unwrap();
        assert_eq!(store.mesh.rows().unwrap(), [(2, b"cell".to_vec(), b"vote".to_vec())]);
        assert_eq!(store.sessions.rows(b"group").unwrap(), [(1, b"frame".to_vec())]);
        store.close().await;
    }

    #[tokio::test]
    async fn another_format_and_a_damaged_file_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        Store::open(&folder, ArtifactLimits::default()).unwrap().close().await;
        let path = folder.layout().mesh_store();
        let later = Database::create(&path).unwrap();
        let transaction = later.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", FORMAT + 1).unwrap();
        transaction.commit().unwrap();
        drop(later);
        match Store::open(&folder, ArtifactLimits::default()) {
            Err(OpenError::OtherFormat { path: refused, found }) => assert_eq!((refused, found), (path.clone(), 2)),
            other => panic!("{other:?}"),
        }
        fs::write(&path, "no database").unwrap();
        let damaged = Store::open(&folder, ArtifactLimits::default());
        assert!(matches!(&damaged, Err(OpenError::Database { path: refused, .. }) if *refused == path), "{damaged:?}");
    }

    #[test]
    fn the_documentation_has_every_table_and_version() {
        let documented = include_str!("../../../docs/storage.md");
        let tables = ["meta", "rows", "certificates", "addresses", "invites", "redemptions", "issuer", "index"];
        for name in tables.into_iter().chain([super::super::VERSION]) {
            assert!(documented.contains(&format!("`{name}`")), "docs/storage.md does not mention `{name}`");
        }
        assert!(documented.contains(&format!("whose row `format` is {FORMAT}")));
    }
}
