//! Content from memory to memory, beside a stream of a bare connection.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use hedgerow::content::{Content, Holding, MemorySink, Outboard};
use hedgerow::net::{LinkLane, Socket};
use hedgerow_attest::digest::Blake3Digest;

use super::bare::Bare;
use super::ends::{Members, cpu_seconds};
use super::figure::{Figures, quantile};

const CONTENT_BYTES: usize = 256 << 20;
const PART_BYTES: usize = 256 << 10;
const ROUNDS: usize = 5;

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let bytes: Bytes =
        (0..CONTENT_BYTES).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 11) as u8).collect::<Vec<_>>().into();
    let tree = Outboard::of(bytes.as_ref(), CONTENT_BYTES as u64)?;
    let named = Content::new(Blake3Digest::of(&bytes), CONTENT_BYTES as u64)?;
    let holding = Arc::new(Holding::in_memory(tree, bytes.clone()));
    let members = Members::new()?;
    let asker = members.start(1)?;
    let source = members.start_over(2, Socket::Bind(SocketAddr::from(([127, 0, 0, 1], 0))), Some(holding))?;
    asker.link_to(&source).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let cpu = cpu_seconds();
        let sink = Arc::new(MemorySink::new(named));
        asker.net.gather(&[source.id], sink.clone()).await.context("gather content")?;
        anyhow::ensure!(sink.take().len() == CONTENT_BYTES, "gather all of the content");
        ours.push(per_gib(cpu_seconds() - cpu));
        let cpu = cpu_seconds();
        bare(&bytes).await?;
        theirs.push(per_gib(cpu_seconds() - cpu));
    }
    let (our, their) = (quantile(&mut ours, 0.5), quantile(&mut theirs, 0.5));
    let from = format!("{our:.2} beside {their:.2} s per GiB, both ends, {ROUNDS} times 256 MiB");
    figures.add("verified content, CPU, times a bare stream", Some(1.4), our / their, from);
    Ok(())
}

/// Neither end copies more, or looks at its stream more often, than a node does.
async fn bare(content: &Bytes) -> anyhow::Result<()> {
    let bare = Bare::connect(LinkLane::Bulk).await?;
    let (accepted, content) = (bare.accepted.clone(), content.clone());
    let sending = async move {
        let mut send = accepted.open_uni().await?;
        for start in (0..content.len()).step_by(PART_BYTES) {
            send.write_chunk(content.slice(start..content.len().min(start + PART_BYTES))).await?;
        }
        send.finish()?;
        anyhow::Ok(())
    };
    let receiving = async {
        let mut recv = bare.dialled.accept_uni().await?;
        let mut taken = Vec::with_capacity(CONTENT_BYTES);
        let mut chunks = [const { Bytes::new() }; 32];
        while let Some(count) = recv.read_chunks(&mut chunks).await? {
            chunks[..count].iter().for_each(|chunk| taken.extend_from_slice(chunk));
        }
        anyhow::ensure!(taken.len() == CONTENT_BYTES, "receive all of the content");
        anyhow::Ok(())
    };
    let (sent, received) = tokio::join!(sending, receiving);
    sent.context("send")?;
    received.context("receive")
}

fn per_gib(cpu_s: f64) -> f64 {
    cpu_s * (1_u64 << 30) as f64 / CONTENT_BYTES as f64
}
