//! Several node processes of one program, each with a folder under one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::{join_all, try_join_all};

use super::process::{EndError, Launcher, NodeProcess, NodeSpec, ReadyError, StartError, Stopped};
use crate::admin::wire::Status;

/// Node processes by name. Dropping it kills them all.
#[derive(Debug)]
pub struct Fleet {
    launcher: Launcher,
    folder: PathBuf,
    nodes: BTreeMap<String, NodeProcess>,
}

/// Why something could not be done with a node of the fleet.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// No node of this name was started.
    #[error("find the node {name} among {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nodes that there are.
        known: Vec<String>,
    },
    /// See [`StartError`].
    #[error(transparent)]
    Start(#[from] StartError),
    /// See [`ReadyError`].
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// See [`EndError`].
    #[error(transparent)]
    End(#[from] EndError),
}

impl Fleet {
    /// No process yet; data folders and logs will be `folder/NAME` and `folder/NAME.log`.
    ///
    /// The logs lie beside the data folders because a node joins by ticket only into an empty folder.
    pub fn new(launcher: Launcher, folder: impl Into<PathBuf>) -> Self {
        Self { launcher, folder: folder.into(), nodes: BTreeMap::new() }
    }

    /// Starts a node; `args` are the words after `run`.
    pub fn start(
        &mut self,
        name: &str,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<&mut NodeProcess, FleetError> {
        if self.nodes.contains_key(name) {
            return Err(StartError::Running { name: name.to_owned() }.into());
        }
        let spec = NodeSpec {
            name: name.to_owned(),
            data: self.folder.join(name),
            log: self.folder.join(format!("{name}.log")),
            args: args.into_iter().map(Into::into).collect(),
        };
        let process = NodeProcess::start(self.launcher.clone(), spec)?;
        Ok(self.nodes.entry(name.to_owned()).or_insert(process))
    }

    /// Waits until one node is ready.
    pub async fn ready(&mut self, name: &str, within: Duration) -> Result<Status, FleetError> {
        Ok(self.node_mut(name)?.ready(within).await?)
    }

    /// Waits until every node is ready, or fails with the first that cannot be.
    pub async fn ready_all(&mut self, within: Duration) -> Result<BTreeMap<String, Status>, FleetError> {
        let waits = self.nodes.iter_mut().map(|(name, node)| async move {
            let status = node.ready(within).await?;
            Ok::<_, ReadyError>((name.clone(), status))
        });
        Ok(try_join_all(waits).await?.into_iter().collect())
    }

    /// Ends one node as a power cut would.
    pub async fn kill(&mut self, name: &str) -> Result<(), FleetError> {
        self.node_mut(name)?.kill().await?;
        Ok(())
    }

    /// Stops one node; see [`NodeProcess::stop`].
    pub async fn stop(&mut self, name: &str, within: Duration) -> Result<Stopped, FleetError> {
        Ok(self.node_mut(name)?.stop(within).await?)
    }

    /// Starts one node again with its words and its data, stopping it first where it runs.
    pub async fn restart(&mut self, name: &str, stop_within: Duration) -> Result<(), FleetError> {
        let node = self.node_mut(name)?;
        match node.stop(stop_within).await {
            Ok(_) | Err(EndError::NotRunning { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        node.start_again()?;
        Ok(())
    }

    /// Stops every node that runs, all at once.
    pub async fn stop_all(&mut self, within: Duration) -> Result<BTreeMap<String, Stopped>, FleetError> {
        let stops = self.nodes.iter_mut().map(|(name, node)| async move { (name.clone(), node.stop(within).await) });
        let mut stopped = BTreeMap::new();
        for (name, ended) in join_all(stops).await {
            match ended {
                Ok(how) => drop(stopped.insert(name, how)),
                Err(EndError::NotRunning { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(stopped)
    }

    /// One node.
    pub fn node(&self, name: &str) -> Result<&NodeProcess, FleetError> {
        self.nodes.get(name).ok_or_else(|| self.unknown(name))
    }

    /// One node, to be changed.
    pub fn node_mut(&mut self, name: &str) -> Result<&mut NodeProcess, FleetError> {
        if !self.nodes.contains_key(name) {
            return Err(self.unknown(name));
        }
        Ok(self.nodes.get_mut(name).expect("just looked up"))
    }

    /// All nodes in the order of their names.
    pub fn nodes_mut(&mut self) -> impl Iterator<Item = &mut NodeProcess> {
        self.nodes.values_mut()
    }

    fn unknown(&self, name: &str) -> FleetError {
        FleetError::Unknown { name: name.to_owned(), known: self.nodes.keys().cloned().collect() }
    }
}
