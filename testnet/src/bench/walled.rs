//! Two behind firewalls, and a relay between.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hedgerow::net::fabric::Fabric;
use hedgerow::net::{Firewall, PathSettings, Socket};
use hedgerow_protocol::link::{Origin, through};

use super::ends::{ECHO, End, Members, until};
use super::figure::{Figures, quantile};

const ROUNDS: u64 = 10;
const ONE_WAY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let (mut answered, mut direct) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (one, other) = meet(round).await.with_context(|| format!("play round {round}"))?;
        answered.push(one);
        direct.push(other);
    }
    for (what, goal, samples) in [
        ("behind firewalls: first request answered, s", 2.0, &mut answered),
        ("behind firewalls: link direct, s", 5.0, &mut direct),
    ] {
        let median = quantile(samples, 0.5);
        let from = format!("the largest of {ROUNDS}, every path 20 ms; p50 {median:.2} s");
        figures.add(what, Some(goal), quantile(samples, 1.0), from);
    }
    Ok(())
}

/// Seconds until a request is answered through the relay, and until the link is direct.
async fn meet(seed: u64) -> anyhow::Result<(f64, f64)> {
    let fabric = Fabric::new(seed);
    fabric.set_default(PathSettings::delayed(ONE_WAY));
    let members = Members::new()?;
    let at = |ip: [u8; 4]| fabric.public().bind(SocketAddr::from((ip, 4334)));
    let relay = members.start_over(1, Socket::Given(at([203, 0, 113, 1])?), None)?;
    let mut walled = Vec::new();
    for (number, ip) in [(2, [198, 51, 100, 2]), (3, [192, 0, 2, 3])] {
        let socket = at(ip)?;
        socket.set_firewall(Firewall::Stateful);
        let end = members.start_over(number, Socket::Given(socket), None)?;
        end.link_to(&relay).await?;
        until(|| *end.net.waits_at().borrow() == [relay.id]).await.context("wait at the relay")?;
        walled.push(end);
    }
    let [a, b] = walled.as_slice() else { anyhow::bail!("start two") };
    a.net.learn(b.id, Origin::Said, &[b.net.local_addr(), through(&relay.id)]);
    let start = Instant::now();
    a.net.request(b.id, ECHO, Bytes::from_static(b"hello"), PATIENCE).await.context("ask through a relay")?;
    let answered = start.elapsed().as_secs_f64();
    until(|| is_direct(a, b) && is_direct(b, a)).await.context("have a direct link")?;
    Ok((answered, start.elapsed().as_secs_f64()))
}

fn is_direct(one: &End, other: &End) -> bool {
    one.net.links().iter().any(|link| link.node == other.id && link.relay.is_none())
}
