//! How a node ends, and when it is told to.

use std::io;
use std::time::Duration;

use hedgerow_attest::revocation::VerifiedRevocation;
use hedgerow_protocol::core::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::start::Peer;
use crate::observe::chain;

impl Peer {
    /// Resolves when the node has left its mesh for good and somebody was told so, or nobody asked for a while. The node is of no
    /// use then.
    pub fn left(&self) -> impl Future<Output = ()> + use<> {
        let departure = self.state.departure.clone();
        async move {
            departure.done().await;
            if tokio::time::timeout(LAST_ANSWERS, departure.heard()).await.is_err() {
                tracing::debug!("nobody asked how the departure went");
            }
        }
    }

    /// Resolves when the node was put out of its mesh for good, with by what; it is of no use then.
    pub fn expelled(&self) -> impl Future<Output = VerifiedRevocation> + use<> {
        let mut expelled = self.expelled.clone();
        async move {
            match expelled.wait_for(Option::is_some).await.map(|revocation| revocation.clone()) {
                Ok(Some(revocation)) => revocation,
                // The upkeep has ended, and so does the node.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Stops: says so to the mesh (a stop, not a departure), lets requests end while the network is there, then ends every room.
    pub async fn stop(mut self) {
        if !self.state.departure.is_done() && self.expelled.borrow().is_none() {
            self.announce().await;
        }
        // The announcement is in queues of the network, which closing drops.
        tokio::time::sleep(FLUSH).await;
        self.serving.cancel();
        end(&mut self.doors, "requests", REQUESTS_PATIENCE).await;
        self.state.net.shutdown().await;
        self.stop.cancel();
        if tokio::time::timeout(ROOMS_PATIENCE, self.groups.ended()).await.is_err() {
            tracing::warn!("sessions did not end in time: the disk does not answer");
        }
        end(&mut self.tasks, "rooms", ROOMS_PATIENCE).await;
        self.store.close().await;
        if let Err(error) = std::fs::remove_file(self.folder.layout().admin_socket()) {
            tracing::debug!(%error, "the admin socket was not removed");
        }
    }

    async fn announce(&self) {
        let announced = self.state.api.core.command(Command::Stop);
        match tokio::time::timeout(STOP_PATIENCE, announced).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "the stop was not announced"),
            Err(_elapsed) => tracing::warn!("the stop was not announced in time"),
        }
    }
}

/// Resolves at SIGTERM or SIGINT; which of them is given back for the log.
pub async fn stop_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// Waits for tasks that were told to end; those that do not are ended.
async fn end(tasks: &mut JoinSet<&'static str>, what: &str, patience: Duration) {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a room ended by a fault");
            }
        }
    };
    if tokio::time::timeout(patience, all).await.is_err() {
        tracing::warn!(left = tasks.len(), "ended {what} that did not end in time");
        tasks.shutdown().await;
    }
}

/// How long messages that were handed to the network get to leave. A guess: queues are empty within milliseconds, and whoever
/// misses the announcement finds the node gone by its probes.
const FLUSH: Duration = Duration::from_millis(150);
/// How long requests that were taken may go on.
const REQUESTS_PATIENCE: Duration = Duration::from_secs(2);
/// How long rooms may take to end; they wait for nothing but the disk.
const ROOMS_PATIENCE: Duration = Duration::from_secs(2);
/// What the announcement of a stop may take; a command is answered in well under it.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// How long a node that left waits for its operator to ask, who does so several times a second.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
