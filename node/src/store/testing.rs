//! A disk that loses power: what was not synced may survive in part, and a sync may be held up or fail.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::{Database, StorageBackend};

use super::committer::CommitThread;
use super::log::SessionLog;
use super::mesh::MeshStore;

/// Shared by the database that writes to it and the test that pulls its plug.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the database reads back.
    cached: Vec<u8>,
    /// What survives for certain.
    durable: Vec<u8>,
    /// What was done since the last sync, in order; any part of it may survive.
    since: Vec<Action>,
    syncs: usize,
    held: bool,
    failing: bool,
}

#[derive(Debug, Clone)]
enum Action {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Disk {
    /// A disk as it is found after power was lost: all that was synced, and of the rest what the bits of `survivors` say,
    /// each action taking the next bit.
    pub(crate) fn crashed(&self, survivors: u64) -> Self {
        let state = self.state();
        let mut image = state.durable.clone();
        for (position, action) in state.since.iter().enumerate() {
            if survivors.rotate_right(u32::try_from(position % 64).unwrap()) & 1 == 1 {
                action.apply(&mut image);
            }
        }
        let after = State { cached: image.clone(), durable: image, ..State::default() };
        Self { shared: Arc::new(Shared { state: Mutex::new(after), changed: Condvar::new() }) }
    }

    /// Holds every sync up from here on, or lets them go on.
    pub(crate) fn hold(&self, held: bool) {
        self.state().held = held;
        self.shared.changed.notify_all();
    }

    /// Lets every sync fail from here on.
    pub(crate) fn fail(&self) {
        self.state().failing = true;
    }

    /// Syncs so far, including one that is held up.
    pub(crate) fn syncs(&self) -> usize {
        self.state().syncs
    }

    /// Waits until a sync is being held up.
    pub(crate) fn wait_for_sync(&self, number: usize) {
        let state = self.state();
        let deadline = std::time::Duration::from_secs(10);
        let waited = self.shared.changed.wait_timeout_while(state, deadline, |state| state.syncs < number).unwrap();
        assert!(!waited.1.timed_out(), "sync {number} never came");
    }

    pub(crate) fn database(&self) -> Database {
        Database::builder().create_with_backend(self.clone()).unwrap()
    }
}

impl Action {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Write(offset, bytes) => {
                let end = offset + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (state, offset) = (self.state(), size(offset));
        let found = state.cached.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.act(Action::Length(size(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.sync_begun();
        if state.failing {
            return Err(io::Error::other("the disk is gone"));
        }
        state.durable = state.cached.clone();
        state.since.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.act(Action::Write(size(offset), data.to_vec()));
        Ok(())
    }
}

impl Disk {
    fn act(&self, action: Action) {
        let mut state = self.state();
        action.apply(&mut state.cached);
        state.since.push(action);
    }

    /// Counts a sync, and waits while syncs are held up.
    fn sync_begun(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.syncs += 1;
        self.shared.changed.notify_all();
        self.shared.changed.wait_while(state, |state| state.held).unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// A session log on this disk.
pub(crate) fn session_log(disk: &Disk) -> (SessionLog, CommitThread) {
    SessionLog::start(disk.database(), Path::new("log.redb")).unwrap()
}

/// A mesh store on this disk.
pub(crate) fn mesh_store(disk: &Disk) -> (MeshStore, CommitThread) {
    MeshStore::start(disk.database(), Path::new("mesh.redb")).unwrap()
}
