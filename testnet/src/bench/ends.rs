//! Networks of members of one mesh, which serve each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use hedgerow::content::{Held, Holding};
use hedgerow::net::{Net, NetConfig, NetEvent, Protocol, Relaying, Socket, Trust, Verdict};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::testing::SampleMesh;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::link::Origin;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What every member answers with what it was asked.
pub(super) const ECHO: Protocol = Protocol::new("bench/echo/1");
const DAY_S: u64 = 86_400;
const PATIENCE: Duration = Duration::from_secs(20);

/// A mesh whose certificates hold today.
pub(super) struct Members {
    mesh: SampleMesh,
    now_s: u64,
}

/// The network of one member, which serves.
pub(super) struct End {
    pub(super) id: NodeId,
    pub(super) net: Net,
    _trust: watch::Sender<Arc<Trust>>,
    serving: JoinHandle<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Members {
    pub(super) fn new() -> anyhow::Result<Self> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?.as_secs();
        Ok(Self { mesh: SampleMesh::new(1), now_s })
    }

    /// Starts the network of a member, over loopback.
    pub(super) fn start(&self, number: u32) -> anyhow::Result<End> {
        self.start_over(number, Socket::Bind(SocketAddr::from(([127, 0, 0, 1], 0))), None)
    }

    /// Starts the network of a member, which hands out that content.
    pub(super) fn start_over(&self, number: u32, socket: Socket, holds: Option<Arc<Holding>>) -> anyhow::Result<End> {
        let keys = self.mesh.keys(number);
        let (id, own) = (keys.chain.node(), Some(self.certificate(number)));
        let root = Some(Arc::new(self.mesh.root().clone()));
        let trust = Trust { node: id, transport: Arc::new(keys.transport), root, own, revoked: Default::default() };
        serve(trust, socket, holds)
    }

    /// Starts the network of somebody who knows the mesh and is no member.
    pub(super) fn stranger(&self, number: u32) -> anyhow::Result<End> {
        let keys = self.mesh.keys(number);
        let root = Some(Arc::new(self.mesh.root().clone()));
        let (node, transport) = (keys.chain.node(), Arc::new(keys.transport));
        let trust = Trust { node, transport, root, own: None, revoked: Default::default() };
        serve(trust, Socket::Bind(SocketAddr::from(([127, 0, 0, 1], 0))), None)
    }

    /// The name of a member.
    pub(super) fn node(&self, number: u32) -> NodeId {
        self.mesh.keys(number).chain.node()
    }

    fn certificate(&self, number: u32) -> Certificate {
        let between = [UnixSeconds(self.now_s - DAY_S), UnixSeconds(self.now_s + DAY_S)];
        self.mesh.certificate_between(number, u64::from(number), between, UnixSeconds(self.now_s))
    }
}

fn serve(trust: Trust, socket: Socket, holds: Option<Arc<Holding>>) -> anyhow::Result<End> {
    let id = trust.node;
    let (sender, trust) = watch::channel(Arc::new(trust));
    let topics = vec!["bench".to_owned()];
    let (net, mut events) =
        Net::start(NetConfig { socket, trust, emulate: true, relaying: Relaying::default(), topics })
            .context("start a network")?;
    let serving = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                NetEvent::Request { body, respond, .. } => respond.send(Ok(body)),
                NetEvent::StreamRequest { answers, .. } => answers.finish().await,
                NetEvent::HoldingRequest { respond, .. } => {
                    respond.send(holds.clone().map_or(Held::Nothing, Held::Whole));
                }
                NetEvent::Gossip { verdict, .. } => verdict.give(Verdict::Accept),
                NetEvent::BulkRequest { .. }
                | NetEvent::JoinRequest { .. }
                | NetEvent::LinkUp { .. }
                | NetEvent::LinkRtt { .. }
                | NetEvent::LinkUsed { .. }
                | NetEvent::LinkUnanswered { .. }
                | NetEvent::LinkDown { .. }
                | NetEvent::Message { .. } => {}
            }
        }
    });
    Ok(End { id, net, _trust: sender, serving })
}

impl End {
    /// Learns where another is, and links to it.
    pub(super) async fn link_to(&self, other: &Self) -> anyhow::Result<()> {
        self.net.learn(other.id, Origin::Given, &[other.net.local_addr()]);
        self.net.reach(other.id, PATIENCE).await.context("link to a member")
    }
}

/// Seconds of CPU that this process has used.
pub(super) fn cpu_seconds() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

/// Seconds of CPU that this thread has used.
pub(super) fn thread_seconds() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Bytes of this process in memory.
pub(super) fn resident_bytes() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("understand /proc/self/status")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("understand /proc/self/status")?;
    Ok(kib * 1024.0)
}

/// Seconds until something holds.
pub(super) async fn until(mut holds: impl FnMut() -> bool) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while !holds() {
        anyhow::ensure!(start.elapsed() < PATIENCE, "see it within {} s", PATIENCE.as_secs());
        look.tick().await;
    }
    Ok(start.elapsed().as_secs_f64())
}
