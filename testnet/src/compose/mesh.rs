//! A mesh of containers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use futures::future::join_all;
use hedgerow::net::EmulationSettings;

use super::engine::{Engine, EngineError};
use super::render::{mesh_addresses, render};
use crate::links::Links;
use crate::plan::{Plan, region_name};
use crate::report::NodeReport;

/// The containers of the one compose project on this engine that is ours. Unlike processes they outlive their
/// supervisor; the next `up` and `down` find them by the project's name.
#[derive(Debug)]
pub(crate) struct ComposeMesh {
    plan: Plan,
    port_base: u16,
    engine: Engine,
    file: PathBuf,
}

/// Why something could not be done with the containers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeError {
    /// See the cause.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The compose file could not be written.
    #[error("write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no container of that name in the project.
    #[error("find the node {name} among {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nodes that there are.
        known: Vec<String>,
    },
}

/// One container, as the engine lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Container {
    id: String,
    running: bool,
}

impl ComposeMesh {
    /// No container yet; the compose file will be `folder/docker-compose.yml`.
    pub(crate) async fn new(plan: Plan, port_base: u16, folder: &Path) -> Result<Self, ComposeError> {
        let engine = Engine::find().await?;
        Ok(Self { plan, port_base, engine, file: folder.join(FILE) })
    }

    /// Writes the file and starts every container, after removing those of an earlier mesh.
    pub(crate) async fn start(&self) -> Result<(), ComposeError> {
        let written = fs::write(&self.file, render(self.plan, self.port_base));
        written.map_err(|source| ComposeError::File { path: self.file.clone(), source })?;
        self.stop().await?;
        compose(&self.engine, &self.file, &["up", "--detach"]).await
    }

    /// Asks every node how it is, by the same command as the health check.
    pub(crate) async fn report(&self) -> Result<Vec<NodeReport>, ComposeError> {
        let containers = self.containers().await?;
        let asked = self.plan.nodes().map(async |node| {
            let container = containers.get(&node.name);
            let running = container.is_some_and(|container| container.running);
            let mut report = NodeReport {
                region: region_name(node.region),
                running,
                rest: running.then(|| format!("http://127.0.0.1:{}", node.port(self.port_base))),
                status: None,
                name: node.name,
            };
            if let Some(container) = container.filter(|container| container.running) {
                let words = ["exec", &container.id, "/hedgerow", "status", "-o", "json"];
                // A node that is not ready says so in its exit code as well; what it printed is the status.
                let output = self.engine.docker_output(&words).await;
                report.status = output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok());
            }
            report
        });
        Ok(join_all(asked).await)
    }

    /// All links clear: a node sends from either of its addresses.
    pub(crate) fn links(&self) -> Links {
        Links::new(self.plan, |node| mesh_addresses(self.plan, node).into_iter().map(Into::into).collect())
    }

    /// The names of those that run.
    pub(crate) async fn running(&self) -> Result<BTreeSet<String>, ComposeError> {
        let containers = self.containers().await?;
        Ok(containers.into_iter().filter(|(_, container)| container.running).map(|(name, _)| name).collect())
    }

    /// Has a node emulate this and nothing else.
    pub(crate) async fn emulate(&self, name: &str, settings: &EmulationSettings) -> Result<(), ComposeError> {
        let id = self.container(name).await?.id;
        let settings = serde_json::to_vec(settings).expect("plain data is JSON");
        let words = ["exec", "--interactive", &id, "/hedgerow", "emulate", "--file", "-"];
        self.engine.docker_with_input(&words, &settings).await?;
        Ok(())
    }

    /// Ends a container with SIGKILL.
    pub(crate) async fn kill(&self, name: &str) -> Result<(), ComposeError> {
        let id = self.container(name).await?.id;
        self.engine.docker(&["kill", &id]).await?;
        Ok(())
    }

    /// Starts a container again with its volume.
    pub(crate) async fn restart(&self, name: &str) -> Result<(), ComposeError> {
        let id = self.container(name).await?.id;
        self.engine.docker(&["restart", &id]).await?;
        Ok(())
    }

    /// The end of a container's log.
    pub(crate) async fn log(&self, name: &str, lines: usize) -> Result<String, ComposeError> {
        let id = self.container(name).await?.id;
        let output = self.engine.docker_output(&["logs", "--tail", &lines.to_string(), &id]).await?;
        // A node logs to standard error; what it prints goes first.
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Removes containers, networks and volumes; nothing to remove is fine.
    pub(crate) async fn stop(&self) -> Result<(), ComposeError> {
        compose(&self.engine, &self.file, REMOVE).await
    }

    async fn container(&self, name: &str) -> Result<Container, ComposeError> {
        let mut containers = self.containers().await?;
        let found = containers.remove(name);
        found.ok_or_else(|| ComposeError::Unknown { name: name.to_owned(), known: containers.into_keys().collect() })
    }

    /// By service, from the labels that every compose gives its containers.
    async fn containers(&self) -> Result<BTreeMap<String, Container>, ComposeError> {
        let filter = format!("label=com.docker.compose.project={PROJECT}");
        let format = "{{.Label \"com.docker.compose.service\"}} {{.ID}} {{.State}}";
        let listed = self.engine.docker(&["ps", "--all", "--filter", &filter, "--format", format]).await?;
        Ok(read_containers(&listed))
    }
}

/// Removes what a supervisor that was killed could not, by the compose file that it left in `folder`.
pub(crate) async fn remove_left_over(folder: &Path) -> Result<(), ComposeError> {
    let file = folder.join(FILE);
    if file.exists() { compose(&Engine::find().await?, &file, REMOVE).await } else { Ok(()) }
}

async fn compose(engine: &Engine, file: &Path, words: &[&str]) -> Result<(), ComposeError> {
    let file = file.to_string_lossy();
    engine.compose(&[&["--project-name", PROJECT, "--file", &file][..], words].concat()).await?;
    Ok(())
}

fn read_containers(listed: &str) -> BTreeMap<String, Container> {
    let fields = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields
        .filter_map(|fields| match fields[..] {
            [service, id, state] => {
                Some((service.to_owned(), Container { id: id.to_owned(), running: state == "running" }))
            }
            _ => None,
        })
        .collect()
}

const FILE: &str = "docker-compose.yml";

const REMOVE: &[&str] = &["down", "--volumes", "--remove-orphans"];

/// The name of the compose project.
const PROJECT: &str = "hedgerow-testnet";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_known_by_their_service() {
        let containers = read_containers("n2 abc running\nn10 def exited\n\n");
        let container = |id: &str, running| Container { id: id.to_owned(), running };
        let expected = [("n10".to_owned(), container("def", false)), ("n2".to_owned(), container("abc", true))];
        assert_eq!(containers.into_iter().collect::<Vec<_>>(), expected);
    }
}
