//! Meshes with real certificates, and nodes that run only the network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hedgerow::content::{Content, Held, Holding, MemorySink, Outboard};
use hedgerow::net::fabric::FabricSocket;
use hedgerow::net::{Net, NetConfig, NetError, NetEvent, Relaying, Socket, Trust};
use hedgerow_attest::digest::Blake3Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_attest::revoked::Revoked;
use hedgerow_attest::testing::{NodeKeys, SampleMesh};
use hedgerow_attest::time::{CLOCK_SKEW_S, UnixSeconds};
use hedgerow_protocol::link::Origin;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Long enough for a loaded machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const DAY_S: u64 = 86_400;

/// A mesh whose certificates hold today.
pub(crate) struct Mesh(SampleMesh);

impl Mesh {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SampleMesh::new(seed))
    }

    pub(crate) fn keys(&self, number: u32) -> NodeKeys {
        self.0.keys(number)
    }

    pub(crate) fn node(&self, number: u32) -> NodeId {
        self.keys(number).chain.node()
    }

    /// A certificate from yesterday to tomorrow.
    pub(crate) fn certificate(&self, number: u32) -> Certificate {
        let now = now_s();
        self.certificate_between(number, now - DAY_S, now + DAY_S)
    }

    pub(crate) fn certificate_between(&self, number: u32, from_s: u64, to_s: u64) -> Certificate {
        self.issue(number, u64::from(number), from_s, to_s)
    }

    /// The member of a certificate of that serial from yesterday to tomorrow.
    pub(crate) fn renewed(&self, number: u32, serial: u64) -> Member {
        let now = now_s();
        let certificate = self.issue(number, serial, now - DAY_S, now + DAY_S);
        certificate.verify(self.0.root(), UnixSeconds(now), 0).expect("issued under this root")
    }

    fn issue(&self, number: u32, serial: u64, from_s: u64, to_s: u64) -> Certificate {
        let between = [UnixSeconds(from_s), UnixSeconds(to_s)];
        self.0.certificate_between(number, serial, between, UnixSeconds(now_s()))
    }

    /// What a member knows.
    pub(crate) fn trust(&self, number: u32) -> Trust {
        Trust {
            root: Some(Arc::new(self.0.root().clone())),
            own: Some(self.certificate(number)),
            ..self.stranger(number)
        }
    }

    /// The same by somebody who knows that these nodes are out, and that what they issued with a higher serial is void.
    pub(crate) fn trust_without(&self, number: u32, out: &[(u32, u64)]) -> Trust {
        let mut trust = self.trust(number);
        for (node, holds_up_to) in out {
            trust.revoked.insert(&self.0.revocation(*node, *holds_up_to));
        }
        trust
    }

    /// What a node knows before it joins.
    pub(crate) fn stranger(&self, number: u32) -> Trust {
        Trust {
            node: self.node(number),
            transport: Arc::new(self.keys(number).transport),
            root: None,
            own: None,
            revoked: Revoked::default(),
        }
    }

    /// Nodes 1 and 2, the first of which dialled the second; both have been told of the link.
    pub(crate) async fn linked(&self) -> (Node, Node) {
        let (mut a, mut b) = (self.start(1), self.start(2));
        a.knows(&b);
        a.net.connect(b.id);
        a.link_up(b.id).await;
        b.link_up(a.id).await;
        (a, b)
    }

    /// What a member knows whose certificate is good for so many seconds more, and for no more than clocks may differ.
    pub(crate) fn ending(&self, number: u32, left_s: u64) -> Trust {
        let now = now_s();
        let own = Some(self.certificate_between(number, now - DAY_S, now + left_s - CLOCK_SKEW_S));
        Trust { own, ..self.trust(number) }
    }

    pub(crate) fn start(&self, number: u32) -> Node {
        Node::start(self.trust(number))
    }
}

/// A running network with its events.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) peer: PeerId,
    pub(crate) net: Net,
    pub(crate) events: mpsc::Receiver<NetEvent>,
    pub(crate) trust: watch::Sender<Arc<Trust>>,
}

impl Node {
    pub(crate) fn start(trust: Trust) -> Self {
        Self::try_start(SocketAddr::from(([127, 0, 0, 1], 0)), trust).expect("a free port exists")
    }

    pub(crate) fn try_start(listen: SocketAddr, trust: Trust) -> Result<Self, NetError> {
        Self::try_start_on(Socket::Bind(listen), trust)
    }

    /// A node whose network is in memory.
    pub(crate) fn start_over(socket: Arc<FabricSocket>, trust: Trust) -> Self {
        Self::try_start_on(Socket::Given(socket), trust).expect("the socket is bound")
    }

    fn try_start_on(socket: Socket, trust: Trust) -> Result<Self, NetError> {
        let (id, peer) = (trust.node, PeerId::of(&trust.transport.public()));
        let (tx, rx) = watch::channel(Arc::new(trust));
        let topics = vec![TOPIC.to_owned()];
        let (net, events) =
            Net::start(NetConfig { socket, trust: rx, emulate: true, relaying: Relaying::default(), topics })?;
        Ok(Self { id, peer, net, events, trust: tx })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.net.local_addr()
    }

    pub(crate) fn knows(&self, other: &Self) {
        self.net.learn(other.id, Origin::Given, &[other.address()]);
    }

    /// The first event that `pick` takes; earlier ones are dropped.
    pub(crate) async fn event<T>(&mut self, mut pick: impl FnMut(NetEvent) -> Option<T>) -> T {
        let next = async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("the event comes in time")
    }

    pub(crate) async fn link_up(&mut self, with: NodeId) {
        let up = self.event(|event| match event {
            NetEvent::LinkUp { peer, member, .. } if peer == with => Some(member.node()),
            _ => None,
        });
        assert_eq!(up.await, with);
    }

    pub(crate) async fn link_down(&mut self, with: NodeId) {
        self.event(|event| matches!(event, NetEvent::LinkDown { peer } if peer == with).then_some(())).await;
    }

    /// Serves from here on: requests are echoed, `content` is handed out, joins are answered with their
    /// exporter, gossip is accepted.
    pub(crate) fn serve(self, content: &'static [u8]) -> (Net, JoinHandle<()>) {
        let Self { net, mut events, .. } = self;
        let served = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    NetEvent::Request { body, respond, .. } => respond.send(Ok(body)),
                    NetEvent::StreamRequest { answers, .. } => answers.finish().await,
                    NetEvent::BulkRequest { respond, .. } => respond.send(Some(Bytes::from_static(content))),
                    NetEvent::HoldingRequest { respond, .. } => {
                        let tree = Outboard::of(content, content.len() as u64).expect("memory is read");
                        let holding = Holding::in_memory(tree, Bytes::from_static(content));
                        respond.send(Held::Whole(Arc::new(holding)));
                    }
                    NetEvent::JoinRequest { exporter, respond, .. } => {
                        respond.send(Bytes::copy_from_slice(&exporter));
                    }
                    NetEvent::Gossip { verdict, .. } => verdict.give(hedgerow::net::Verdict::Accept),
                    NetEvent::LinkUp { .. }
                    | NetEvent::LinkRtt { .. }
                    | NetEvent::LinkUsed { .. }
                    | NetEvent::LinkUnanswered { .. }
                    | NetEvent::LinkDown { .. }
                    | NetEvent::Message { .. } => {}
                }
            }
        });
        (net, served)
    }
}

/// Waits until `holds`, looking again and again; panics with `what` when patience ends.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let look = async {
        let mut again = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            again.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, look).await.is_ok(), "never came true: {what}");
}

/// Brings content from a node; panics unless all of it comes.
pub(crate) async fn bring(net: &Net, from: NodeId, content: &[u8]) {
    let named = Content::new(Blake3Digest::of(content), content.len() as u64).expect("it is small");
    let sink = Arc::new(MemorySink::new(named));
    net.gather(&[from], sink.clone()).await.expect("it comes");
    assert!(sink.take() == content, "other bytes came");
}

/// Looks for as long as that, and panics with `what` if it holds at any time. For tests that own the clock.
pub(crate) async fn never(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let (mut again, start) = (tokio::time::interval(Duration::from_millis(50)), tokio::time::Instant::now());
    while start.elapsed() < within {
        assert!(!holds(), "came true: {what}");
        again.tick().await;
    }
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set").as_secs()
}

pub(crate) const TOPIC: &str = "facts";
