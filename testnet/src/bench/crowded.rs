//! Requests while a download fills a slow path.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hedgerow::content::{Content, Holding, MemorySink, Outboard};
use hedgerow::net::fabric::Fabric;
use hedgerow::net::{PathSettings, Socket};
use hedgerow_attest::digest::Blake3Digest;

use super::ends::{ECHO, End, Members};
use super::figure::{Figures, quantile};

/// 100 Mbit/s, and a round trip of 40 ms.
const RATE_KBPS: u32 = 100_000;
const ONE_WAY: Duration = Duration::from_millis(20);
const CONTENT_BYTES: usize = 96 << 20;
const REQUESTS: usize = 150;

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let fabric = Fabric::new(1);
    fabric.set_default(PathSettings { rate_kbps: RATE_KBPS, ..PathSettings::delayed(ONE_WAY) });
    let members = Members::new()?;
    let bytes: Bytes = vec![7; CONTENT_BYTES].into();
    let named = Content::new(Blake3Digest::of(&bytes), CONTENT_BYTES as u64)?;
    let holding = Holding::in_memory(Outboard::of(bytes.as_ref(), CONTENT_BYTES as u64)?, bytes);
    let place = |ip: &str| fabric.public().bind(format!("{ip}:4334").parse().expect("an address"));
    let asker = members.start_over(1, Socket::Given(place("203.0.113.1")?), None)?;
    let source = members.start_over(2, Socket::Given(place("203.0.113.2")?), Some(Arc::new(holding)))?;
    asker.link_to(&source).await?;
    let mut alone = ask(&asker, &source).await?;
    let sink = Arc::new(MemorySink::new(named));
    let (net, from) = (asker.net.clone(), source.id);
    let start = Instant::now();
    let download = tokio::spawn(async move { net.gather(&[from], sink).await.map(|_gathered| start.elapsed()) });
    // It has filled the path when its first second is over.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut beside = ask(&asker, &source).await?;
    anyhow::ensure!(!download.is_finished(), "ask while the download lasts");
    let took = download.await.context("wait for the download")?.context("download")?;
    let rate = CONTENT_BYTES as f64 * 8.0 / 1e6 / took.as_secs_f64();
    let p99 = [quantile(&mut alone, 0.99), quantile(&mut beside, 0.99)];
    let from = format!("{:.1} beside {:.1} ms without it; the download at {rate:.0} of 100 Mbit/s", p99[1], p99[0]);
    figures.add("request beside a download, 40 ms, p99, times one without", Some(2.0), p99[1] / p99[0], from);
    Ok(())
}

async fn ask(asker: &End, answerer: &End) -> anyhow::Result<Vec<f64>> {
    let mut times_ms = Vec::new();
    for _ in 0..REQUESTS {
        let start = Instant::now();
        let body = Bytes::from_static(&[7; 64]);
        asker.net.request(answerer.id, ECHO, body, Duration::from_secs(10)).await.context("ask")?;
        times_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times_ms)
}
