//! What links cost that nobody uses.

use std::time::Duration;

use anyhow::Context as _;
use hedgerow::net::limits::CTL_CONNECTIONS_MAX;

use super::ends::{End, Members, cpu_seconds, resident_bytes};
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
    for number in FEW..MANY {
        let other = members.start(number + 2)?;
        hub.link_to(&other).await.context("link to one more")?;
        others.push(other);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let cpu = cpu_seconds();
    tokio::time::sleep(IDLE).await;
    let share = (cpu_seconds() - cpu) / IDLE.as_secs_f64() * 100.0;
    let from = format!("{MANY} links for {} s, the {MANY} other nodes in this process too", IDLE.as_secs());
    figures.add("idle work of a node with 200 links and of all others, % of a core", Some(4.0), share, from);
    Ok(())
}
