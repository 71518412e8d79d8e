//! How soon a link that died is noticed and replaced, and a node that moved is found.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hedgerow::net::{Cut, Lane, Net, Rule, Socket};
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::link::Origin;
use tokio::task::JoinHandle;

use super::ends::{ECHO, End, Members, until};
use super::figure::{Figures, quantile};

const ROUNDS: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let (mut noticed, mut again) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let cut = if round % 2 == 0 { Cut::Out } else { Cut::In };
        let (one, other) = one_way(cut).await?;
        noticed.push(one);
        again.push(other);
    }
    let from = |samples: &mut [f64]| {
        format!("the largest of {ROUNDS}, half in each direction; p50 {:.2} s", quantile(samples, 0.5))
    };
    let median = from(&mut noticed);
    figures.add("link dead in one direction noticed, s", Some(3.0), quantile(&mut noticed, 1.0), median);
    let median = from(&mut again);
    figures.add("a request over another address, s", Some(5.0), quantile(&mut again, 1.0), median);
    let mut moved = Vec::new();
    for _ in 0..ROUNDS {
        moved.push(moves().await?);
    }
    let median = format!("the largest of {ROUNDS}; p50 {:.2} s", quantile(&mut moved, 0.5));
    figures.add("node started again elsewhere answers, s", Some(5.0), quantile(&mut moved, 1.0), median);
    Ok(())
}

/// Seconds until a dead direction is noticed, and until a request is answered over another address.
async fn one_way(cut: Cut) -> anyhow::Result<(f64, f64)> {
    let members = Members::new()?;
    let any = || Socket::Bind(SocketAddr::from(([0, 0, 0, 0], 0)));
    let (a, b) = (members.start_over(1, any(), None)?, members.start_over(2, any(), None)?);
    let ways = [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| SocketAddr::from((ip, b.net.local_addr().port())));
    a.net.learn(b.id, Origin::Said, &ways);
    a.net.reach(b.id, PATIENCE).await?;
    anyhow::ensure!(a.net.links().iter().any(|link| link.remote == ways[0]), "begin with the first address");
    let speaking = [speaks(a.net.clone(), b.id), speaks(b.net.clone(), a.id)];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let emulation = a.net.emulation().context("emulate a cut")?;
    emulation.set(&[Rule { cut, ..Rule::towards(ways[0]) }])?;
    let start = Instant::now();
    let noticed = until(|| a.net.links().iter().all(|link| link.remote != ways[0])).await?;
    until(|| ask_now(&a, &b, ways[1])).await?;
    a.net.request(b.id, ECHO, Bytes::from_static(b"again"), PATIENCE).await.context("ask over another address")?;
    let again = start.elapsed().as_secs_f64();
    speaking.iter().for_each(JoinHandle::abort);
    Ok((noticed, again))
}

fn ask_now(a: &End, b: &End, way: SocketAddr) -> bool {
    a.net.links().iter().any(|link| link.node == b.id && link.remote == way)
}

/// Seconds from the start of a node on another port until one that knew it by the old one is answered.
async fn moves() -> anyhow::Result<f64> {
    let members = Members::new()?;
    let (a, b) = (members.start(1)?, members.start(2)?);
    a.link_to(&b).await?;
    let id = b.id;
    b.net.shutdown().await;
    drop(b);
    let start = Instant::now();
    let b = members.start(2)?;
    b.link_to(&a).await?;
    a.net.request(id, ECHO, Bytes::from_static(b"there"), PATIENCE).await.context("ask a node that moved")?;
    Ok(start.elapsed().as_secs_f64())
}

/// What members of one neighbourhood do all the time.
fn speaks(net: Net, to: NodeId) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut again = tokio::time::interval(Duration::from_secs(1));
        loop {
            again.tick().await;
            if net.send(to, Lane::Probe, Bytes::from_static(b"are you there")).is_err() {
                return;
            }
        }
    })
}
