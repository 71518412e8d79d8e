//! The order of the steps, and what happens to the processes and folders whatever they find.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::mesh::DemoMesh;
use super::report::Report;
use super::{aggregator_loss, election, entry_loss, inference, membership, models, sessions};
use crate::cli::{CliError, DemoArguments, Exit};

/// `hedgerow demo`: brings the mesh up, walks through the steps, takes it down.
///
/// Children end with this process however it ends; the data folders are removed unless they are to be kept.
pub(crate) async fn run(arguments: &DemoArguments) -> Result<Exit, CliError> {
    let failed = |source| CliError::Local {
        operation: "run the demonstration",
        source,
        remedy: Some("run it again with --keep and read the logs in the folder that it names".to_owned()),
        exit: Exit::Failed,
    };
    let folder =
        tempfile::Builder::new().prefix("hedgerow-demo-").tempdir().context("make a folder").map_err(failed)?;
    let passed = show(folder.path(), arguments).await;
    if arguments.keep {
        let kept = folder.keep();
        Report::new().note(&format!("kept {}", kept.display())).map_err(failed)?;
    }
    Ok(if passed.map_err(failed)? { Exit::Ok } else { Exit::Failed })
}

async fn show(folder: &Path, arguments: &DemoArguments) -> Result<bool> {
    let mut report = Report::new();
    let mut mesh = DemoMesh::new(folder)?;
    let walked = tokio::select! {
        walked = steps(folder, &mut mesh, &mut report) => walked,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("wait for Ctrl-C").and_then(|()| bail!("interrupted")),
    };
    if let Err(error) = &walked {
        report.note(&format!("stopped: {error:#}"))?;
        for name in super::mesh::NODES.map(|(name, _)| name) {
            report.note(&format!("{name}: {}", mesh.last_words(name)))?;
        }
    }
    if arguments.stay && walked.is_ok() {
        stay(&mesh, &report).await?;
    }
    let ended = report.check("every process is gone", async {
        mesh.stop().await?;
        Ok("stopped by signal".to_owned())
    });
    let ended = ended.await?;
    Ok(report.finish()? && walked.is_ok() && ended)
}

/// Later steps stand on earlier ones: an error ends the walk, a failed check does not.
async fn steps(folder: &Path, mesh: &mut DemoMesh, report: &mut Report) -> Result<()> {
    report.step("1  six nodes join one mesh by ticket")?;
    membership::run(folder, mesh, report).await?;
    report.step("2  each region elects an aggregator")?;
    election::run(mesh, report).await?;
    report.step("3  a publisher signs and pushes two models")?;
    models::run(folder, mesh, report).await?;
    report.step("4  an application asks the nearest peer")?;
    inference::run(mesh, report).await?;
    report.step("5  a session is kept by three nodes")?;
    let session = sessions::run(mesh, report).await?;
    report.step("6  the entry node is killed")?;
    entry_loss::run(mesh, report, &session).await?;
    report.step("7  an aggregator is killed and comes back")?;
    aggregator_loss::run(mesh, report).await
}

async fn stay(mesh: &DemoMesh, report: &Report) -> Result<()> {
    report.step("the mesh stays up; Ctrl-C ends it")?;
    for node in mesh.nodes() {
        report.note(&format!("{} in {}: http://{}", node.name, node.region, node.rest_address))?;
    }
    if let Some(node) = mesh.nodes().first() {
        report.note(&format!("try: curl -s http://{}/mesh/v1/members", node.rest_address))?;
        report.note(&format!("     curl -s http://{}/v2/models/digits", node.rest_address))?;
    }
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")
}
