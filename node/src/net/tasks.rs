//! The tasks of the network: all owned, all told to stop, all awaited.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Owner of every task the network spawns; clones share the set.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    set: Arc<Mutex<JoinSet<()>>>,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs a task until it ends or [`Tasks::finish`] gives up on it. After the stop nothing is started.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.stop.is_cancelled() {
            return;
        }
        let mut set = self.set.lock().expect("no holder of the lock panics");
        while let Some(ended) = set.try_join_next() {
            report(ended);
        }
        set.spawn(task);
    }

    /// The signal on which tasks end.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Gives the signal, then waits; tasks that outlive `patience` are aborted.
    pub(super) async fn finish(&self, patience: Duration) {
        self.stop.cancel();
        let mut set = std::mem::take(&mut *self.set.lock().expect("no holder of the lock panics"));
        let all = async {
            while let Some(ended) = set.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!(left = set.len(), "aborted network tasks that did not stop");
            set.shutdown().await;
        }
    }
}

/// Waits until that time, for ever if there is none.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a network task panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn finishing_stops_willing_tasks_and_aborts_the_others() {
        let tasks = Tasks::default();
        let (tx, mut rx) = tokio::sync::mpsc::channel(1);
        let stop = tasks.stop().clone();
        tasks.spawn(async move {
            stop.cancelled().await;
            tx.send("stopped").await.unwrap();
        });
        tasks.spawn(std::future::pending());
        tasks.finish(Duration::from_secs(1)).await;
        assert_eq!(rx.recv().await, Some("stopped"));
        assert_eq!(rx.recv().await, None);
        tasks.spawn(async { panic!("must not run") });
        assert_eq!(tasks.set.lock().unwrap().len(), 0);
    }
}
