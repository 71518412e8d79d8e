//! The nodes under supervision, whatever runs them.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, bail};
use futures::future::join_all;
use hedgerow::net::EmulationSettings;

use super::folder::StateFolder;
use super::owner::Supervision;
use crate::compose::{self, ComposeMesh};
use crate::links::Links;
use crate::local::{self, LocalMesh};
use crate::plan::BackendKind;
use crate::report::{Disagreement, NodeReport, agreement};

/// A mesh of either kind.
#[derive(Debug)]
pub(super) enum Nodes {
    Local(LocalMesh),
    Compose(ComposeMesh),
}

impl Nodes {
    /// No node yet.
    pub(super) async fn prepare(supervision: &Supervision, folder: &StateFolder) -> anyhow::Result<Self> {
        let plan = supervision.plan;
        fs::create_dir_all(folder.nodes()).with_context(|| format!("make {}", folder.nodes().display()))?;
        match supervision.backend {
            BackendKind::Local => {
                let port_base = supervision.port_base.unwrap_or(local::PORT_BASE);
                let program = supervision.node_program.clone();
                Ok(Self::Local(LocalMesh::new(plan, port_base, folder.nodes(), program)?))
            }
            BackendKind::Compose => {
                let port_base = supervision.port_base.unwrap_or(compose::PORT_BASE);
                Ok(Self::Compose(ComposeMesh::new(plan, port_base, &folder.nodes()).await?))
            }
        }
    }

    /// Starts every node and waits until they agree.
    pub(super) async fn start(&mut self, supervision: &Supervision) -> anyhow::Result<()> {
        match self {
            Self::Local(mesh) => mesh.start()?,
            Self::Compose(mesh) => mesh.start().await?,
        }
        let deadline = tokio::time::Instant::now() + supervision.ready_within;
        loop {
            let nodes = self.report().await?;
            let why = match agreement(supervision.plan, &nodes) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if matches!(why, Disagreement::Ended(_)) || tokio::time::Instant::now() >= deadline {
                bail!("{why}{}", self.last_words(&why).await);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks every node how it is.
    pub(super) async fn report(&mut self) -> anyhow::Result<Vec<NodeReport>> {
        Ok(match self {
            Self::Local(mesh) => mesh.report().await?,
            Self::Compose(mesh) => mesh.report().await?,
        })
    }

    /// Ends a node as a power cut would.
    pub(super) async fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        match self {
            Self::Local(mesh) => mesh.kill(name).await.map_err(Into::into),
            Self::Compose(mesh) => mesh.kill(name).await.map_err(Into::into),
        }
    }

    /// Starts a node again with its data, and has it emulate what it is to.
    pub(super) async fn restart(&mut self, name: &str, settings: &EmulationSettings) -> anyhow::Result<()> {
        match self {
            Self::Local(mesh) => mesh.restart(name).await?,
            Self::Compose(mesh) => mesh.restart(name).await?,
        }
        if *settings == EmulationSettings::default() {
            return Ok(());
        }
        let deadline = tokio::time::Instant::now() + ANSWERS_WITHIN;
        while let Err(error) = self.emulate_one(name, settings).await {
            if tokio::time::Instant::now() >= deadline {
                return Err(error.context(format!("set the links of {name}, which is started")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// All links clear and all firewalls open, as nodes start.
    pub(super) fn links(&self) -> Links {
        match self {
            Self::Local(mesh) => mesh.links(),
            Self::Compose(mesh) => mesh.links(),
        }
    }

    /// Has those of the named nodes that run emulate what they are to.
    pub(super) async fn emulate(&mut self, names: &BTreeSet<String>, links: &Links) -> anyhow::Result<()> {
        let running = match self {
            Self::Local(mesh) => mesh.running()?,
            Self::Compose(mesh) => mesh.running().await?,
        };
        let told = names.intersection(&running).map(async |name| {
            let set = self.emulate_one(name, &links.of(name)).await;
            set.with_context(|| format!("set the links of {name}"))
        });
        join_all(told).await.into_iter().collect()
    }

    async fn emulate_one(&self, name: &str, settings: &EmulationSettings) -> anyhow::Result<()> {
        match self {
            Self::Local(mesh) => mesh.emulate(name, settings).await,
            Self::Compose(mesh) => mesh.emulate(name, settings).await.map_err(Into::into),
        }
    }

    /// The end of a node's log.
    pub(super) async fn log(&self, name: &str, lines: usize) -> anyhow::Result<String> {
        Ok(match self {
            Self::Local(mesh) => mesh.log(name, lines)?,
            Self::Compose(mesh) => mesh.log(name, lines).await?,
        })
    }

    /// Stops every node and removes what containers leave.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Local(mesh) => mesh.stop().await.map_err(Into::into),
            Self::Compose(mesh) => mesh.stop().await.map_err(Into::into),
        }
    }

    /// The logs of the nodes that are in the way, at most three of them.
    async fn last_words(&self, why: &Disagreement) -> String {
        let mut text = String::new();
        for name in why.nodes().iter().take(3) {
            let log = self.log(name, LAST_LINES).await.unwrap_or_else(|error| format!("{error:#}"));
            text.push_str(&format!("\n{name}: {}", log.trim_end()));
        }
        text
    }
}

/// A tenth of a second is noticeable to who waits; asking containers takes longer than that by itself.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// A node answers on its admin socket as soon as it has opened its stores.
const ANSWERS_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

const LAST_LINES: usize = 12;
