//! What may be typed, and the order of things.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::crashes::crashes;
use super::error::MeasureError;
use super::figures::{Figures, Idle, Seen};
use super::watch::{agree, idle, observed};
use crate::arguments::{Format, parse_life};
use crate::commands::{say, tell};
use crate::local::{self, LocalMesh};
use crate::plan::Plan;
use crate::sim;
use crate::supervisor::StateFolder;

/// `measure`
#[derive(Clone, Debug, Args)]
pub(crate) struct MeasureArguments {
    /// How many nodes, all in one region
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(2..))]
    nodes: u16,
    /// How many of them are killed, one after the other, and started again
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    crashes: u32,
    /// Which nodes are killed, and the seed of the simulation
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the nodes are left alone before anything is measured
    #[arg(long, default_value = "1m", value_parser = parse_life, value_name = "TIME")]
    settle: Duration,
    /// How long the bytes of idle nodes are counted
    #[arg(long, default_value = "30s", value_parser = parse_life, value_name = "TIME")]
    idle: Duration,
    /// How long it may take until the nodes agree at first
    #[arg(long, default_value = "2m", value_parser = parse_life, value_name = "TIME")]
    ready_within: Duration,
    /// Ports of node i begin at N + 10 i
    #[arg(long, default_value_t = local::PORT_BASE, value_name = "N", value_parser = clap::value_parser!(u16).range(1024..=60_000))]
    port_base: u16,
    /// Run this `hedgerow` binary as the nodes
    #[arg(long, value_name = "FILE")]
    node_program: Option<PathBuf>,
    /// How the figures are printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// Brings a mesh up, measures it, takes it down, simulates it, and fails where the two differ too much.
pub(crate) async fn measure(arguments: &MeasureArguments, state: Option<PathBuf>) -> anyhow::Result<()> {
    let plan = Plan::new(arguments.nodes, 1)?;
    // A temporary folder is removed with everything in it when this function ends; of a folder that was named, only
    // after a success, so that the logs of a failure can be read.
    let temporary = match state {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("hedgerow-").tempdir().context("make a temporary folder")?),
    };
    let folder = StateFolder::find(state.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned())))?;
    let _held = folder.hold()?;
    folder.clear().context("remove what an earlier testnet left")?;
    fs::create_dir_all(folder.nodes()).with_context(|| format!("make {}", folder.nodes().display()))?;
    let mut mesh = LocalMesh::new(plan, arguments.port_base, folder.nodes(), arguments.node_program.clone())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let measured = tokio::select! {
        measured = measure_mesh(arguments, plan, &mut mesh) => measured,
        pressed = tokio::signal::ctrl_c() => pressed.map_err(MeasureError::Watch).and(Err(MeasureError::Interrupted)),
        _ = terminated.recv() => Err(MeasureError::Interrupted),
    };
    let stopped = mesh.stop().await;
    let (idle, seen) = measured?;
    stopped?;
    folder.clear().context("remove the nodes' data")?;

    tell("simulating the same crashes");
    let MeasureArguments { nodes, crashes, seed, .. } = *arguments;
    let simulated = tokio::task::spawn_blocking(move || sim::local_crashes(u32::from(nodes), crashes, seed)).await??;
    let figures = Figures::new(nodes, seed, idle, &seen, &simulated).expect("there is at least one crash");
    say(&match arguments.output {
        Format::Table => figures.text(),
        Format::Json => serde_json::to_string_pretty(&figures)?,
    });
    let missed = figures.missed();
    if missed.is_empty() { Ok(()) } else { Err(MeasureError::Missed { missed }.into()) }
}

async fn measure_mesh(
    arguments: &MeasureArguments,
    plan: Plan,
    mesh: &mut LocalMesh,
) -> Result<(Idle, Seen), MeasureError> {
    tell(&format!("starting {} nodes", plan.node_count()));
    mesh.start()?;
    agree(plan, mesh, arguments.ready_within).await?;
    let observed = observed(plan, mesh)?;
    tell(&format!(
        "all agree; left alone for {:?}, then their bytes are counted for {:?}",
        arguments.settle, arguments.idle
    ));
    sleep(arguments.settle).await;
    let idle = idle(&observed, mesh, arguments.idle).await?;
    let nodes = agree(plan, mesh, arguments.ready_within).await?;
    let seen = crashes(plan, mesh, nodes, &observed, (arguments.crashes, arguments.seed)).await?;
    Ok((idle, seen))
}
