//! A small request on a warm link, beside one stream of a bare connection.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hedgerow::net::LinkLane;

use super::bare::Bare;
use super::ends::{ECHO, End, Members, cpu_seconds};
use super::figure::{Figures, quantile};

const BODY: &[u8] = &[7; 64];
const BLOCKS: usize = 40;
const REQUESTS: usize = 250;
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let members = Members::new()?;
    let (asker, answerer) = (members.start(1)?, members.start(2)?);
    asker.link_to(&answerer).await?;
    let bare = Bare::connect(LinkLane::Rpc).await?;
    let accepted = bare.accepted.clone();
    let serving = tokio::spawn(async move {
        while let Ok((mut send, mut recv)) = accepted.accept_bi().await {
            let echoed = async {
                let body = recv.read_to_end(1024).await?;
                send.write_all(&body).await?;
                send.finish().map_err(anyhow::Error::from)
            };
            if echoed.await.is_err() {
                return;
            }
        }
    });
    let (mut ours, mut theirs) = (Block::default(), Block::default());
    for block in 0..=BLOCKS {
        // The first of each warms up.
        let mut fresh = [Block::default(), Block::default()];
        fresh[0].of(|| ask(&asker, &answerer)).await?;
        fresh[1].of(|| ask_bare(&bare)).await?;
        if block > 0 {
            let [our, their] = fresh;
            ours.add(our);
            theirs.add(their);
        }
    }
    serving.abort();
    let count = ours.times_us.len();
    let mut quantiles = |share| (quantile(&mut ours.times_us, share), quantile(&mut theirs.times_us, share));
    let (p50, p99) = (quantiles(0.5), quantiles(0.99));
    let beside = |(our, their): (f64, f64)| format!("{our:.1} beside {their:.1} us, {count} each");
    figures.add("request of 64 B, p50, times a bare stream", Some(1.5), p50.0 / p50.1, beside(p50));
    figures.add("request of 64 B, p99, times a bare stream", None, p99.0 / p99.1, beside(p99));
    let cpu = [ours.cpu_s, theirs.cpu_s].map(|cpu_s| cpu_s * 1e6 / count as f64);
    let from = format!("{:.1} beside {:.1} us, both ends", cpu[0], cpu[1]);
    figures.add("request of 64 B, CPU, times a bare stream", None, cpu[0] / cpu[1], from);
    Ok(())
}

/// Some requests after each other.
#[derive(Default)]
struct Block {
    times_us: Vec<f64>,
    cpu_s: f64,
}

impl Block {
    async fn of<F: Future<Output = anyhow::Result<()>>>(&mut self, mut ask: impl FnMut() -> F) -> anyhow::Result<()> {
        let cpu = cpu_seconds();
        for _ in 0..REQUESTS {
            let start = Instant::now();
            ask().await?;
            self.times_us.push(start.elapsed().as_secs_f64() * 1e6);
        }
        self.cpu_s = cpu_seconds() - cpu;
        Ok(())
    }

    fn add(&mut self, other: Self) {
        self.times_us.extend(other.times_us);
        self.cpu_s += other.cpu_s;
    }
}

async fn ask(asker: &End, answerer: &End) -> anyhow::Result<()> {
    let answer = asker.net.request(answerer.id, ECHO, Bytes::from_static(BODY), DEADLINE).await;
    anyhow::ensure!(answer.context("ask")? == BODY, "be answered with what was asked");
    Ok(())
}

async fn ask_bare(bare: &Bare) -> anyhow::Result<()> {
    let (mut send, mut recv) = bare.dialled.open_bi().await?;
    send.write_all(BODY).await?;
    send.finish()?;
    anyhow::ensure!(recv.read_to_end(1024).await? == BODY, "be answered with what was asked");
    Ok(())
}
