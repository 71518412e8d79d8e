//! Fifty without a membership who dial all the time, in a process of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hedgerow::net::Rule;
use tokio::process::Command;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::ends::{ECHO, End, Members, resident_bytes, thread_seconds};
use super::figure::{Figures, quantile};

const STRANGERS: u32 = 50;
const FLOOD: Duration = Duration::from_secs(60);
const ONE_WAY_MS: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let members = Members::new()?;
    let (stage, stages) = watch::channel(Stage::Calm);
    let (told, node) = oneshot::channel();
    let attacked = tokio::task::spawn_blocking(move || serve(told, stages));
    let node = node.await.context("start the node")?;
    let asker = members.start(2)?;
    asker.link_to(&node).await?;
    for (one, other) in [(&asker, &*node), (&*node, &asker)] {
        let emulation = one.net.emulation().context("emulate a delay")?;
        emulation.set(&[Rule { delay_ms: ONE_WAY_MS, ..Rule::towards(other.net.local_addr()) }])?;
    }
    let mut alone = ask(&asker, &node).await?;
    let before = (resident_bytes()?, node.net.refusals());
    stage.send_replace(Stage::Flood);
    let program = std::env::current_exe().context("find this program")?;
    let mut strangers = Command::new(program);
    strangers.args(["bench", "strangers", &node.net.local_addr().to_string()]).kill_on_drop(true);
    let mut strangers = strangers.spawn().context("start the strangers")?;
    let mut beside = ask(&asker, &node).await?;
    let ended = strangers.wait().await.context("wait for the strangers")?;
    anyhow::ensure!(ended.success(), "have strangers dial to their end");
    stage.send_replace(Stage::Over);
    let grown = (resident_bytes()? - before.0) / f64::from(1 << 20);
    let counted = |reason: &str| {
        let of = |refusals: &std::collections::BTreeMap<&'static str, u64>| refusals.get(reason).copied().unwrap_or(0);
        of(&node.net.refusals()) - of(&before.1)
    };
    let (refused, ignored) = (counted("no_membership"), counted("rate_limited"));
    anyhow::ensure!(node.net.gossip_peers() == [asker.id], "keep strangers out of the swarm");
    drop(node);
    let cpu_s = attacked.await.context("wait for the node")??;
    anyhow::ensure!(refused > u64::from(STRANGERS), "refuse strangers");
    let from = format!("{refused} refused, {ignored} not answered, by {STRANGERS} in {} s", FLOOD.as_secs());
    figures.add("stranger refused, ms of CPU", Some(2.0), cpu_s * 1e3 / refused as f64, from);
    let p99 = [quantile(&mut alone, 0.99), quantile(&mut beside, 0.99)];
    let from = format!("{:.1} beside {:.1} ms without strangers", p99[1], p99[0]);
    figures.add("request of a member meanwhile, 40 ms, p99, times one without", Some(1.2), p99[1] / p99[0], from);
    figures.add("memory meanwhile, MiB more", Some(5.0), grown, "of the process of the node and the member".to_owned());
    Ok(())
}

/// The process of the strangers.
pub(super) async fn dial(address: SocketAddr) -> anyhow::Result<()> {
    let members = Members::new()?;
    let strangers: Vec<_> = (0..STRANGERS).map(|number| members.stranger(1_000 + number)).collect::<Result<_, _>>()?;
    let mut dialling = JoinSet::new();
    for stranger in strangers {
        dialling.spawn(async move {
            let until = Instant::now() + FLOOD;
            while Instant::now() < until {
                stranger.net.dial(address).await;
            }
        });
    }
    while let Some(ended) = dialling.join_next().await {
        ended.context("dial all the time")?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Calm,
    Flood,
    Over,
}

/// Runs the node on a thread of its own; returns how much of that the flood took.
fn serve(told: oneshot::Sender<Arc<End>>, mut stages: watch::Receiver<Stage>) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(async {
        let node = Arc::new(Members::new()?.start(1)?);
        anyhow::ensure!(told.send(node.clone()).is_ok(), "be waited for");
        stages.wait_for(|stage| *stage == Stage::Flood).await.context("wait for the flood")?;
        let cpu = thread_seconds();
        stages.wait_for(|stage| *stage == Stage::Over).await.context("wait for its end")?;
        Ok(thread_seconds() - cpu)
    })
}

async fn ask(asker: &End, node: &End) -> anyhow::Result<Vec<f64>> {
    let (mut times_ms, until) = (Vec::new(), Instant::now() + FLOOD / 2);
    while Instant::now() < until {
        let start = Instant::now();
        let body = Bytes::from_static(&[7; 64]);
        asker.net.request(node.id, ECHO, body, PATIENCE).await.context("ask")?;
        times_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times_ms)
}
