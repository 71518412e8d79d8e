//! What links cost that nobody uses.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hedgerow::net::limits::CTL_CONNECTIONS_MAX;

use super::ends::{End, Members, resident_bytes, thread_seconds};
use super::figure::Figures;

/// Links of one node for memory: as many as its swarm takes.
const FEW: u32 = 100;
/// Links of one node for idle work.
const MANY: u32 = 200;
const IDLE: Duration = Duration::from_secs(20);

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    const { assert!(FEW <= CTL_CONNECTIONS_MAX, "every link has a connection of the swarm") };
    let members = Members::new()?;
    let hub = members.start(1)?;
    let mut others: Vec<End> = (0..FEW).map(|number| members.start(number + 2)).collect::<Result<_, _>>()?;
    let before = resident_bytes()?;
    for other in &others {
        hub.link_to(other).await?;
    }
    while hub.net.gossip_peers().len() < others.len() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Handshakes have ended and their buffers are given back.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let each = (resident_bytes()? - before) / f64::from(2 * FEW) / 1e3;
    let from = format!("{FEW} links, both ends in this process, ctl and rpc open");
    figures.add("memory of an idle link, kB an end", Some(160.0), each, from);
    others.extend((FEW..MANY).map(|number| members.start(number + 2)).collect::<Result<Vec<_>, _>>()?);
    drop(hub);
    let others = Arc::new(others);
    let idle = Arc::clone(&others);
    let share = tokio::task::spawn_blocking(move || idle_share(&idle)).await.context("wait for the idle node")??;
    let from = format!("{MANY} links for {} s, on a thread of its own", IDLE.as_secs());
    figures.add("idle work of a node with 200 links, % of a core", Some(2.0), share, from);
    Ok(())
}

/// What a node that has links to all of them does, in percent of this thread.
fn idle_share(others: &[End]) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(async {
        let hub = Members::new()?.start(MANY + 2)?;
        for other in others {
            hub.link_to(other).await.context("link to one more")?;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let cpu = thread_seconds();
        tokio::time::sleep(IDLE).await;
        anyhow::ensure!(hub.net.links().len() == others.len(), "keep every link");
        Ok((thread_seconds() - cpu) / IDLE.as_secs_f64() * 100.0)
    })
}
