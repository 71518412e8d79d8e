//! How the rest of the node talks to the mesh core.

use std::sync::Arc;

use hedgerow_protocol::core::{Command, CommandRefusal, Reply};
use hedgerow_protocol::roster::Roster;
use hedgerow_protocol::view::MeshView;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use super::inbox::Arrival;

/// A cheap handle on the task that owns the core.
#[derive(Clone, Debug)]
pub struct CoreHandle {
    pub(super) arrivals: mpsc::Sender<Arrival>,
    pub(super) view: watch::Receiver<Arc<MeshView>>,
    pub(super) roster: watch::Receiver<Arc<Roster>>,
}

/// Why a command had no effect that is known of.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The core said no; nothing changed.
    #[error("be obeyed by the mesh core")]
    Refused(#[source] CommandRefusal),
    /// The node is stopping. The command may have been obeyed.
    #[error("reach the mesh core: the node is stopping")]
    Stopping,
    /// The store failed. What was commanded may or may not be there after a restart, and nobody was told of it: make room on
    /// the disk or replace it, then restart the node.
    #[error("make it durable: the node's storage failed; restart the node")]
    Storage,
}

impl CoreHandle {
    /// Gives a command and waits until what it asks for is durable.
    pub async fn command(&self, command: Command) -> Result<(), CommandError> {
        self.ask(command).await.map(drop)
    }

    /// Gives a command and waits for the answer.
    pub async fn ask(&self, command: Command) -> Result<Reply, CommandError> {
        let (reply, answer) = oneshot::channel();
        let arrival = Arrival::Command { command: Box::new(command), reply };
        self.arrivals.send(arrival).await.map_err(|_closed| CommandError::Stopping)?;
        match answer.await {
            Ok(Ok(Reply::Refused(refusal))) => Err(CommandError::Refused(refusal)),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(error),
            Err(_closed) => Err(CommandError::Stopping),
        }
    }

    /// What this node believes at this moment.
    pub fn view(&self) -> Arc<MeshView> {
        self.view.borrow().clone()
    }

    /// The same to be waited on.
    pub fn views(&self) -> watch::Receiver<Arc<MeshView>> {
        self.view.clone()
    }

    /// The members whose certificates this node has verified.
    pub fn roster(&self) -> Arc<Roster> {
        self.roster.borrow().clone()
    }

    /// The same to be waited on.
    pub fn rosters(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.clone()
    }
}
