//! What links cost that nobody uses.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use hedgerow::net::limits::CTL_CONNECTIONS_MAX;
use hedgerow_protocol::link::Origin;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::ends::{End, Members, resident_bytes, thread_seconds, until};
use super::figure::Figures;

/// Links before anything is counted: what an endpoint makes once is made by then.
const WARM_UP: u32 = 8;
/// Links with a connection of the swarm beside them.
const FEW: u32 = 100;
/// Links of one node for idle work.
const MANY: u32 = 200;
const IDLE: Duration = Duration::from_secs(20);
/// Handshakes have ended and their buffers are given back.
const SETTLED: Duration = Duration::from_secs(5);
/// Those for whom the swarm had no room try it again ever more rarely, and so do those whom nobody dialled and who look for a relay:
/// their handshakes are not work of an idle link.
const QUIET: Duration = Duration::from_secs(165);
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    const { assert!(FEW <= CTL_CONNECTIONS_MAX && MANY > CTL_CONNECTIONS_MAX, "some links have no connection of the swarm") };
    let mut others = Others::start(MANY)?;
    let found = others.find().await?;
    let found = tokio::task::spawn_blocking(move || hub(&found)).await.context("wait for the idle node")??;
    let (with_ctl, alone) = (found.with_ctl_bytes / 1e3, found.alone_bytes / 1e3);
    let from = format!("{} links, ctl and rpc open, the far ends in another process", FEW - WARM_UP);
    figures.add("memory of an idle link, kB an end", Some(160.0), with_ctl, from);
    let from = format!("{} links for which the swarm had no room; the rest is ctl's", MANY - CTL_CONNECTIONS_MAX);
    figures.add("  of it rpc, kB", None, alone, from);
    let from =
        format!("{MANY} links for {} s, three minutes after the last came up, on a thread of its own", IDLE.as_secs());
    figures.add("idle work of a node with 200 links, % of a core", Some(2.0), found.idle_percent, from);
    others.stop().await
}

/// What was seen of one node with links to all of them.
struct Found {
    with_ctl_bytes: f64,
    alone_bytes: f64,
    idle_percent: f64,
}

/// Runs the node on a thread of its own.
fn hub(others: &[SocketAddr]) -> anyhow::Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(async {
        let members = Members::new()?;
        let hub = members.start(1)?;
        let link = async |from: u32, to: u32| -> anyhow::Result<f64> {
            for (number, address) in (from..to).zip(others.iter().skip(from as usize)) {
                let node = members.node(number + 2);
                hub.net.learn(node, Origin::Given, &[*address]);
                hub.net.reach(node, PATIENCE).await.context("link to one more")?;
            }
            let swarmed = to.min(CTL_CONNECTIONS_MAX) as usize;
            until(|| hub.net.gossip_peers().len() >= swarmed).await?;
            tokio::time::sleep(SETTLED).await;
            resident_bytes()
        };
        let warm = link(0, WARM_UP).await?;
        let few = link(WARM_UP, FEW).await?;
        let full = link(FEW, CTL_CONNECTIONS_MAX).await?;
        let many = link(CTL_CONNECTIONS_MAX, MANY).await?;
        tokio::time::sleep(QUIET).await;
        let cpu = thread_seconds();
        tokio::time::sleep(IDLE).await;
        let idle_percent = (thread_seconds() - cpu) / IDLE.as_secs_f64() * 100.0;
        anyhow::ensure!(hub.net.links().len() == others.len(), "keep every link");
        Ok(Found {
            with_ctl_bytes: (few - warm) / f64::from(FEW - WARM_UP),
            alone_bytes: (many - full) / f64::from(MANY - CTL_CONNECTIONS_MAX),
            idle_percent,
        })
    })
}

/// The far ends, in a process of their own.
struct Others {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    count: u32,
}

impl Others {
    fn start(count: u32) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut members = Command::new(program);
        members.args(["bench", "members", &count.to_string()]);
        members.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = members.spawn().context("start the members")?;
        let stdout = child.stdout.take().context("hear the members")?;
        Ok(Self { child, said: BufReader::new(stdout).lines(), count })
    }

    /// Where each of them is.
    async fn find(&mut self) -> anyhow::Result<Vec<SocketAddr>> {
        let mut found = Vec::new();
        for _ in 0..self.count {
            let line = self.said.next_line().await.context("hear a member")?.context("hear of every member")?;
            found.push(line.parse().context("understand where a member is")?);
        }
        Ok(found)
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let ended = self.child.wait().await.context("wait for the members")?;
        anyhow::ensure!(ended.success(), "have the members serve to their end");
        Ok(())
    }
}

/// The process of the far ends: says where each of them is and serves until standard input ends.
#[expect(clippy::print_stdout, reason = "the other process reads it")]
pub(super) async fn serve(count: u32) -> anyhow::Result<()> {
    let members = Members::new()?;
    let ends: Vec<End> = (0..count).map(|number| members.start(number + 2)).collect::<Result<_, _>>()?;
    for end in &ends {
        println!("{}", end.net.local_addr());
    }
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await.context("wait for the end of standard input")?;
    Ok(())
}
