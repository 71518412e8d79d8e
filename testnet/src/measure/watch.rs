//! Looking at nodes from outside: whether they agree, what they send.

use std::time::Duration;

use futures::future::try_join_all;
use hedgerow::admin::AdminClient;
use hedgerow::admin::wire::Status;
use hedgerow::runner::FleetError;
use tokio::time::{Instant, sleep};

use super::error::{Logs, MeasureError};
use super::figures::{Idle, IdleNode};
use crate::local::LocalMesh;
use crate::plan::Plan;
use crate::report::{Disagreement, NodeReport, agreement};

/// A node as it is looked at.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// `n1` and so on.
    pub(super) name: String,
    /// Its admin socket.
    pub(super) admin: AdminClient,
}

/// Every node of a plan.
pub(super) fn observed(plan: Plan, mesh: &LocalMesh) -> Result<Vec<Observed>, FleetError> {
    plan.nodes().map(|node| Ok(Observed { admin: mesh.admin(&node.name)?, name: node.name })).collect()
}

/// Waits until all nodes are ready, count each other alive and name one aggregator.
pub(super) async fn agree(plan: Plan, mesh: &mut LocalMesh, within: Duration) -> Result<Vec<NodeReport>, MeasureError> {
    let deadline = Instant::now() + within;
    loop {
        let nodes = mesh.report().await.map_err(MeasureError::Watch)?;
        let Err(why) = agreement(plan, &nodes) else { return Ok(nodes) };
        if matches!(why, Disagreement::Ended(_)) || Instant::now() >= deadline {
            let logs = logs(mesh, &why.nodes());
            return Err(MeasureError::Disagree { within, why, logs });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What each node sends during that time, by the counter of its own mesh socket.
pub(super) async fn idle(nodes: &[Observed], mesh: &LocalMesh, span: Duration) -> Result<Idle, MeasureError> {
    let rates = nodes.iter().map(async |node| {
        let before = status(node, mesh).await?.traffic.sent_bytes;
        let from = Instant::now();
        sleep(span).await;
        let after = status(node, mesh).await?;
        let seconds = from.elapsed().as_secs_f64();
        let bytes = after.traffic.sent_bytes.checked_sub(before);
        let bytes = bytes.ok_or_else(|| MeasureError::Reset { node: node.name.clone(), logs: log(node, mesh) })?;
        let is_holder = after.aggregators.iter().any(|aggregator| aggregator.holder == after.node);
        Ok::<_, MeasureError>(IdleNode { name: node.name.clone(), bytes_per_s: bytes as f64 / seconds, is_holder })
    });
    let rates = try_join_all(rates).await?;
    Ok(Idle::of(span.as_secs_f64(), rates).expect("a plan has a node"))
}

async fn status(node: &Observed, mesh: &LocalMesh) -> Result<Status, MeasureError> {
    let status = node.admin.get("read the status", "/admin/v1/status").await;
    status.map_err(|source| MeasureError::Silent { node: node.name.clone(), logs: log(node, mesh), source })
}

fn log(node: &Observed, mesh: &LocalMesh) -> Logs {
    logs(mesh, std::slice::from_ref(&node.name))
}

/// The ends of the logs of at most three of these; more would bury the message.
pub(super) fn logs(mesh: &LocalMesh, names: &[String]) -> Logs {
    Logs(names.iter().take(3).filter_map(|name| mesh.last_words(name).ok()).collect())
}

/// A tenth of the time in which a node comes back.
const LOOK_EVERY: Duration = Duration::from_millis(200);
