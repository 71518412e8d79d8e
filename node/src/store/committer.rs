//! Group commit: one thread writes to a redb file and commits whatever waits in one transaction.
//!
//! There is no timer: while one commit waits for its fsync, requests gather, and the next commit takes all of them. A
//! request is a closure over the open transaction, so that reading, deciding and writing (redeeming an invitation, taking
//! the next serial) are one durable step.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use redb::{Database, Durability, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

/// The writing side of one file. Clones feed the same thread; requests are committed, and completed, in their order.
#[derive(Clone)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Queued>,
}

/// The thread behind a [`Committer`].
#[derive(Debug)]
pub(crate) struct CommitThread {
    queue: mpsc::Sender<Queued>,
    thread: JoinHandle<()>,
}

/// Resolves when a request is committed (durably, if it asked for that) or has failed.
///
/// Dropping it does not take the request back.
#[derive(Debug)]
#[must_use = "nothing may be promised before the completion says that it is durable"]
pub struct Completion<T = ()> {
    outcome: oneshot::Receiver<Result<T, CommitError>>,
}

/// Why a request was not committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The commit failed. Whether anything of it is on disk is unknown; restart the node, after making room on the disk or
    /// replacing it, to go on from what is there.
    #[error("commit to {file}")]
    Failed {
        /// Which store.
        file: &'static str,
        /// What redb said; shared, because a commit carries many requests.
        source: Arc<redb::Error>,
    },
    /// An earlier commit failed, and nothing is written until the file has been opened again. Nothing of this request is
    /// on disk.
    #[error("commit to {file}: it takes no writes after a commit that failed; restart the node")]
    Refused {
        /// Which store.
        file: &'static str,
    },
    /// The store was closed before the request's turn. Nothing of it is on disk.
    #[error("commit: the store is closed")]
    Closed,
}

/// Whether a request waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Completes after an fsync that covers it.
    Durable,
    /// Completes once readers see it; a crash may lose it, never a part of it.
    Deferred,
}

impl Committer {
    /// Starts the thread for `database`; `file` is the name used in errors and for the thread.
    pub(crate) fn start(file: &'static str, database: Arc<Database>) -> std::io::Result<(Self, CommitThread)> {
        let (queue, requests) = mpsc::channel(QUEUE_BOUND);
        let thread = thread::Builder::new().name(file.to_owned()).spawn(move || run(file, &database, requests))?;
        Ok((Self { queue: queue.clone() }, CommitThread { queue, thread }))
    }

    /// Queues a request, waiting while the queue is full.
    ///
    /// `act` must not panic (a panic inside a write transaction leaks its pages) and should not wait for anything: every
    /// other writer of the file waits behind it.
    pub(crate) async fn submit<T, F>(&self, sync: Sync, act: F) -> Completion<T>
    where
        F: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send + 'static,
        T: Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        let request = Box::new(Request { act: Some(act), value: None, done });
        if self.queue.send(Queued::Work { request, sync }).await.is_err() {
            tracing::debug!("a request came after the store was closed"); // its completion says so
        }
        Completion { outcome }
    }
}

impl CommitThread {
    /// Commits what is queued, refuses what comes later and waits until the thread has let go of the file.
    pub(crate) async fn close(self) {
        if self.queue.send(Queued::Close).await.is_err() {
            tracing::debug!("the commit thread had ended already");
        }
        drop(self.queue);
        match tokio::task::spawn_blocking(move || self.thread.join()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => tracing::warn!("the commit thread ended by a panic"),
        }
    }
}

impl<T> Future for Completion<T> {
    type Output = Result<T, CommitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome).poll(cx).map(|outcome| outcome.unwrap_or(Err(CommitError::Closed)))
    }
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer").field("closed", &self.queue.is_closed()).finish()
    }
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work { sync, .. } => f.debug_struct("Work").field("sync", sync).finish_non_exhaustive(),
            Self::Close => f.write_str("Close"),
        }
    }
}

enum Queued {
    Work { request: Box<dyn Work>, sync: Sync },
    Close,
}

/// A request whose result type is forgotten, so that one queue carries all kinds.
trait Work: Send {
    fn apply(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error>;
    fn finish(self: Box<Self>, outcome: Result<(), CommitError>);
}

struct Request<F, T> {
    act: Option<F>,
    value: Option<T>,
    done: oneshot::Sender<Result<T, CommitError>>,
}

impl<F, T> Work for Request<F, T>
where
    F: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send,
    T: Send,
{
    fn apply(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let act = self.act.take().expect("a request is applied once");
        self.value = Some(act(transaction)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), CommitError>) {
        let Self { value, done, .. } = *self;
        let outcome = outcome.map(|()| value.expect("a commit succeeds only after every request was applied"));
        if done.send(outcome).is_err() {
            tracing::trace!("nobody waits for a commit");
        }
    }
}

fn run(file: &'static str, database: &Database, mut requests: mpsc::Receiver<Queued>) {
    let mut failed = false;
    let mut queued = Vec::new();
    while requests.blocking_recv_many(&mut queued, GROUP_MAX) > 0 {
        let mut group = Vec::with_capacity(queued.len());
        let mut durability = Durability::None;
        for item in queued.drain(..) {
            match item {
                Queued::Work { request, sync } => {
                    if sync == Sync::Durable {
                        durability = Durability::Immediate;
                    }
                    group.push(request);
                }
                Queued::Close => requests.close(),
            }
        }
        let outcome = if failed {
            Err(CommitError::Refused { file })
        } else {
            commit(database, durability, &mut group).map_err(|error| {
                tracing::error!(file, %error, "a commit failed; the store takes no more writes");
                CommitError::Failed { file, source: Arc::new(error) }
            })
        };
        failed |= outcome.is_err();
        for request in group {
            request.finish(outcome.clone());
        }
    }
}

fn commit(database: &Database, durability: Durability, group: &mut [Box<dyn Work>]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(durability)?;
    for request in group {
        request.apply(&transaction)?; // dropping the transaction undoes what the group has done so far
    }
    transaction.commit()?;
    Ok(())
}

/// Requests that wait for the disk before senders have to; at one fsync per group that is several groups' worth.
const QUEUE_BOUND: usize = 4_096;
/// Requests in one transaction: bounds what a commit holds in memory and how long the next one waits. A guess, to be settled by
/// a benchmark of commits under load.
const GROUP_MAX: usize = 2_048;

#[cfg(test)]
#[path = "committer_tests.rs"]
mod tests;
