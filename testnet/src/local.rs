//! Nodes as processes of this machine.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use hedgerow::admin::AdminClient;
use hedgerow::admin::wire::{EmulationReport, Status};
use hedgerow::net::EmulationSettings;
use hedgerow::runner::{Fleet, FleetError, Launcher, LogTail, log_tail};

use crate::links::Links;
use crate::plan::{Plan, PlannedNode, region_name};
use crate::report::NodeReport;

/// The word after which this program is a node.
pub(crate) const NODE_WORD: &str = "__node";

/// The first ports: node *i* has UDP on `24000 + 10 i` and REST on the next, outside of the range that the kernel
/// hands out by itself.
pub(crate) const PORT_BASE: u16 = 24_000;

/// A mesh of processes; they end with this value and with the process that holds it.
#[derive(Debug)]
pub(crate) struct LocalMesh {
    plan: Plan,
    fleet: Fleet,
    folder: PathBuf,
    port_base: u16,
}

impl LocalMesh {
    /// No process yet. `folder` is for the data of all nodes; `node_program` stands in for this program's own node.
    pub(crate) fn new(plan: Plan, port_base: u16, folder: PathBuf, node_program: Option<PathBuf>) -> io::Result<Self> {
        let launcher = match node_program {
            Some(program) => Launcher::program(program),
            None => Launcher::this_program()?.lead([NODE_WORD]),
        };
        Ok(Self { plan, fleet: Fleet::new(launcher, &folder), folder, port_base })
    }

    /// Starts every node; those that join wait for their tickets themselves.
    pub(crate) fn start(&mut self) -> Result<(), FleetError> {
        for node in self.plan.nodes() {
            let words = words(self.plan, &node, self.port_base, &self.folder);
            self.fleet.start(&node.name, words)?;
        }
        Ok(())
    }

    /// Asks every node how it is.
    pub(crate) async fn report(&mut self) -> io::Result<Vec<NodeReport>> {
        let (running, fleet) = (self.running()?, &self.fleet);
        let asked = self.plan.nodes().map(async |node| {
            let running = running.contains(&node.name);
            let status = if running { status_of(fleet, &node.name).await } else { None };
            NodeReport {
                region: region_name(node.region),
                running,
                rest: status.as_ref().map(|status| format!("http://{}", status.listen.rest)),
                status,
                name: node.name,
            }
        });
        Ok(join_all(asked).await)
    }

    /// All links clear: the mesh sockets are on loopback, told apart by their ports.
    pub(crate) fn links(&self) -> Links {
        let port_base = self.port_base;
        Links::new(self.plan, |node| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, node.port(port_base)))])
    }

    /// The names of those that run.
    pub(crate) fn running(&mut self) -> io::Result<BTreeSet<String>> {
        let mut running = BTreeSet::new();
        for node in self.plan.nodes() {
            if let Ok(process) = self.fleet.node_mut(&node.name)
                && process.is_running()?
            {
                running.insert(node.name);
            }
        }
        Ok(running)
    }

    /// Has a node emulate this and nothing else.
    pub(crate) async fn emulate(&self, name: &str, settings: &EmulationSettings) -> anyhow::Result<()> {
        let client = self.fleet.node(name)?.admin().patience(ANSWER_WITHIN);
        let _report: EmulationReport = client.put("set what it emulates", "/admin/v1/emulation", settings).await?;
        Ok(())
    }

    /// Ends a node as a power cut would.
    pub(crate) async fn kill(&mut self, name: &str) -> Result<(), FleetError> {
        self.fleet.kill(name).await
    }

    /// Starts a node again with its data.
    pub(crate) async fn restart(&mut self, name: &str) -> Result<(), FleetError> {
        self.fleet.restart(name, STOP_WITHIN).await
    }

    /// The end of a node's log.
    pub(crate) fn log(&self, name: &str, lines: usize) -> Result<String, FleetError> {
        let tail = log_tail(&self.fleet.node(name)?.spec().log, lines);
        Ok(match &tail.lines {
            Ok(lines) if !lines.is_empty() => lines.join("\n"),
            Ok(_) | Err(_) => tail.to_string(),
        })
    }

    /// A client of a node's admin socket.
    pub(crate) fn admin(&self, name: &str) -> Result<AdminClient, FleetError> {
        Ok(self.fleet.node(name)?.admin())
    }

    /// The end of a node's log, with its place.
    pub(crate) fn last_words(&self, name: &str) -> Result<LogTail, FleetError> {
        Ok(self.fleet.node(name)?.last_words())
    }

    /// Stops every node.
    pub(crate) async fn stop(&mut self) -> Result<(), FleetError> {
        self.fleet.stop_all(STOP_WITHIN).await?;
        Ok(())
    }
}

async fn status_of(fleet: &Fleet, name: &str) -> Option<Status> {
    let client = fleet.node(name).ok()?.admin().patience(ANSWER_WITHIN);
    client.get("read the status", "/admin/v1/status").await.ok()
}

/// What a node is started with after `run`.
fn words(plan: Plan, node: &PlannedNode, port_base: u16, folder: &Path) -> Vec<String> {
    let ticket = |region| folder.join(format!("ticket-{}", region_name(region)));
    let port = node.port(port_base);
    let mut words = vec!["--region".to_owned(), region_name(node.region), "--emulate".to_owned()];
    words.extend(["--port-base".to_owned(), port.to_string()]);
    for flag in ["--listen", "--advertise"] {
        words.extend([flag.to_owned(), format!("{}:{port}", Ipv4Addr::LOCALHOST)]);
    }
    if node.is_founder() {
        words.extend(["--init".to_owned(), "--uses".to_owned(), plan.ticket_uses().to_string()]);
        for region in plan.regions() {
            words.extend(["--ticket-out".to_owned(), format!("{}={}", region_name(region), ticket(region).display())]);
        }
    } else {
        words.extend(["--ticket-file".to_owned(), ticket(node.region).display().to_string()]);
    }
    words
}

/// A status is answered from memory.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// As long as Docker gives a container by default.
const STOP_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_founder_writes_a_ticket_for_each_region_and_the_others_read_their_own() {
        let plan = Plan::new(4, 2).expect("a plan");
        let words: Vec<String> =
            plan.nodes().map(|node| words(plan, &node, 24_000, Path::new("f")).join(" ")).collect();
        let common =
            |port: u16| format!("--emulate --port-base {port} --listen 127.0.0.1:{port} --advertise 127.0.0.1:{port}");
        assert_eq!(
            words,
            [
                format!(
                    "--region r1 {} --init --uses 2 --ticket-out r1=f/ticket-r1 --ticket-out r2=f/ticket-r2",
                    common(24_010)
                ),
                format!("--region r1 {} --ticket-file f/ticket-r1", common(24_020)),
                format!("--region r2 {} --ticket-file f/ticket-r2", common(24_030)),
                format!("--region r2 {} --ticket-file f/ticket-r2", common(24_040)),
            ]
        );
    }
}
