//! The mesh of the demonstration: six node processes in two regions, and how they are talked to.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::admin::wire::{MemberRow, Status};
use crate::admin::{AdminClient, HttpClient};
use crate::runner::{Fleet, Launcher};

/// The regions, each with three nodes.
pub(super) const REGIONS: [&str; 2] = ["eu", "us"];
/// Nodes of each region; the first of all founds the mesh.
pub(super) const NODES: [(&str, &str); 6] =
    [("n1", "eu"), ("n2", "eu"), ("n3", "eu"), ("n4", "us"), ("n5", "us"), ("n6", "us")];

/// A node opens its stores and joins in well under this.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(20);

/// A node that was started and answered.
#[derive(Clone, Debug)]
pub(super) struct DemoNode {
    /// `n1` to `n6`.
    pub(super) name: &'static str,
    /// Its region.
    pub(super) region: &'static str,
    /// `NodeId`, base32.
    pub(super) id: String,
    /// The mesh socket.
    pub(super) udp: SocketAddr,
    /// The REST interface as applications use it.
    pub(super) rest: HttpClient,
    /// Where that interface listens.
    pub(super) rest_address: SocketAddr,
    /// The operator's door.
    pub(super) admin: AdminClient,
}

/// The processes and what is known of the nodes in them. Dropping it ends every process.
#[derive(Debug)]
pub(super) struct DemoMesh {
    fleet: Fleet,
    nodes: Vec<DemoNode>,
}

impl DemoMesh {
    /// No node yet; their folders will be under `folder`.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let launcher = Launcher::this_program().context("find the program that is running")?;
        Ok(Self { fleet: Fleet::new(launcher, folder), nodes: Vec::new() })
    }

    /// Starts a process; `arguments` are the words after `run`.
    pub(super) fn start(&mut self, name: &str, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Result<()> {
        self.fleet.start(name, arguments)?;
        Ok(())
    }

    /// Waits until a started node answers and remembers where; also after a restart.
    pub(super) async fn ready(&mut self, name: &'static str, region: &'static str) -> Result<Status> {
        let status = self.fleet.ready(name, READY_WITHIN).await?;
        let node = DemoNode {
            name,
            region,
            id: status.node.clone(),
            udp: on_loopback(status.listen.udp),
            rest: HttpClient::tcp(status.listen.rest),
            rest_address: status.listen.rest,
            admin: self.fleet.node(name)?.admin(),
        };
        self.nodes.retain(|known| known.name != name);
        self.nodes.push(node);
        self.nodes.sort_by_key(|node| node.name);
        Ok(status)
    }

    /// Ends a node as a power cut would; it is no longer among [`Self::nodes`].
    pub(super) async fn kill(&mut self, name: &str) -> Result<()> {
        self.fleet.kill(name).await?;
        self.nodes.retain(|node| node.name != name);
        Ok(())
    }

    /// Starts an ended node again with its data.
    pub(super) fn start_again(&mut self, name: &str) -> Result<()> {
        Ok(self.fleet.node_mut(name)?.start_again()?)
    }

    /// Stops what runs.
    pub(super) async fn stop(&mut self) -> Result<()> {
        self.fleet.stop_all(Duration::from_secs(5)).await?;
        Ok(())
    }

    /// The last lines of a node's log, for a failure's report.
    pub(super) fn last_words(&self, name: &str) -> String {
        self.fleet.node(name).map_or_else(|error| error.to_string(), |node| node.last_words().to_string())
    }

    /// The nodes that run and have answered, by name.
    pub(super) fn nodes(&self) -> &[DemoNode] {
        &self.nodes
    }

    /// One of them.
    pub(super) fn node(&self, name: &str) -> Result<&DemoNode> {
        self.nodes.iter().find(|node| node.name == name).with_context(|| format!("{name} has not been ready"))
    }

    /// The name of the node with this id.
    pub(super) fn name_of(&self, id: &str) -> &str {
        self.nodes.iter().find(|node| node.id == id).map_or("a node outside the demo", |node| node.name)
    }

    /// The nodes of a region.
    pub(super) fn region(&self, region: &str) -> impl Iterator<Item = &DemoNode> {
        self.nodes.iter().filter(move |node| node.region == region)
    }

    /// Runs a command of this binary against a node, as an operator would, and gives back what it printed.
    pub(super) async fn operate(&self, name: &str, words: &[&str]) -> Result<String> {
        let data = &self.fleet.node(name)?.spec().data;
        let output = tokio::process::Command::new(std::env::current_exe()?)
            .arg("--data")
            .arg(data)
            .args(words)
            .stdin(Stdio::null())
            .output()
            .await
            .context("execute this program")?;
        if !output.status.success() {
            bail!("`hedgerow {}`: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl DemoNode {
    /// What the node says of itself.
    pub(super) async fn status(&self) -> Result<Status> {
        Ok(self.admin.get("read the status", "/admin/v1/status").await?)
    }

    /// Whom the node sees.
    pub(super) async fn members(&self) -> Result<Vec<MemberRow>> {
        Ok(self.admin.get("list the members", "/admin/v1/members").await?)
    }
}

/// A socket bound to every address is reached through loopback here.
fn on_loopback(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address }
}
