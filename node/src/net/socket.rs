//! The node's one UDP socket: large buffers, counted bytes, the emulation's rules around it, and peers at relays beside it.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};

use super::emulation::{Emulation, Outbound};
use super::limits::SOCKET_BUFFER_BYTES;
use super::relay::{Ways, is_place};

/// UDP payload moved since the start, bytes; headers of IP and UDP are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Handed to the kernel or to the emulation, which may have dropped it as a network would.
    pub sent_bytes: u64,
    /// Taken from the kernel, without what the emulation dropped on arrival.
    pub received_bytes: u64,
}

/// Wraps the runtime's socket; without emulation a packet passes untouched.
#[derive(Debug)]
pub(super) struct MeshSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    emulation: Option<Emulation>,
    ways: Arc<Ways>,
    is_dual_stack: bool,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
}

impl MeshSocket {
    /// Wraps `inner`. What `emulation` holds back is sent by [`super::emulation::release`].
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, emulation: Option<Emulation>, ways: Arc<Ways>) -> Arc<Self> {
        let (sent_bytes, received_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let is_dual_stack = inner.local_addr().is_ok_and(|address| address.is_ipv6());
        Arc::new(Self { inner, emulation, ways, is_dual_stack, sent_bytes, received_bytes })
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
        }
    }
}

impl AsyncUdpSocket for MeshSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if is_place(&transmit.destination) {
            self.ways.send(transmit);
            return Ok(());
        }
        let outbound = self.emulation.as_ref().map_or(Outbound::Pass, |emulation| emulation.outbound(transmit));
        match outbound {
            Outbound::Pass => self.inner.try_send(transmit)?,
            // A network that loses a packet does not tell its sender either.
            Outbound::Taken => {}
        }
        self.sent_bytes.fetch_add(transmit.contents.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let relayed = self.ways.receive(self.is_dual_stack, cx, bufs, meta);
        if relayed > 0 {
            return Poll::Ready(Ok(relayed));
        }
        let batches = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        for batch in meta.iter_mut().take(batches) {
            if self.emulation.as_ref().is_some_and(|emulation| emulation.drops_inbound(batch.addr)) {
                batch.len = 0; // the endpoint skips an empty batch
            }
            self.received_bytes.fetch_add(batch.len as u64, Ordering::Relaxed);
        }
        Poll::Ready(Ok(batches))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

/// Binds the UDP socket and gives it large buffers, as far as the kernel allows.
pub(super) fn bind(listen: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if listen.is_ipv6() && listen.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&listen.into())?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    let granted_bytes = socket.recv_buffer_size()?;
    if granted_bytes < SOCKET_BUFFER_BYTES {
        tracing::info!(
            granted_bytes,
            wanted_bytes = SOCKET_BUFFER_BYTES,
            "small UDP buffer; raise net.core.rmem_max and wmem_max against losses on fast links"
        );
    }
    socket.set_nonblocking(true)?;
    TokioRuntime.wrap_udp_socket(socket.into())
}

/// An IPv4 peer has one name, whether the socket speaks IPv4 or both versions.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::task::JoinHandle;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::super::emulation::{Cut, DropReason, Firewall, Loss, Rule, release};
    use super::*;

    /// A socket with emulation, another without, and what sends the held datagrams of the first.
    struct Pair {
        emulation: Emulation,
        a: Arc<MeshSocket>,
        b: Arc<MeshSocket>,
        stop: CancellationToken,
        releasing: JoinHandle<()>,
    }

    impl Pair {
        fn new() -> Self {
            let (emulation, stop) = (Emulation::new(1), CancellationToken::new());
            let any = "127.0.0.1:0".parse().unwrap();
            let a = MeshSocket::new(bind(any).unwrap(), Some(emulation.clone()), Arc::default());
            let b = MeshSocket::new(bind(any).unwrap(), None, Arc::default());
            let releasing = tokio::spawn(release(a.inner.clone(), emulation.clone(), stop.clone()));
            Self { emulation, a, b, stop, releasing }
        }

        fn to_b(&self) -> Rule {
            Rule::towards(self.b.local_addr().unwrap())
        }

        async fn send(&self, contents: &[u8]) {
            send(&self.a, self.b.local_addr().unwrap(), contents, None).await;
        }

        async fn end(self) {
            self.stop.cancel();
            self.releasing.await.unwrap();
        }
    }

    async fn send(socket: &Arc<MeshSocket>, destination: SocketAddr, contents: &[u8], segment_size: Option<usize>) {
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        let mut poller = socket.clone().create_io_poller();
        while let Err(error) = socket.try_send(&transmit) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.unwrap();
        }
    }

    /// The next batch: one datagram, several of the size that is returned beside, or empty when it was cut.
    async fn receive(socket: &MeshSocket) -> (Vec<u8>, usize) {
        let mut buffer = vec![0; 65_536];
        let mut meta = [RecvMeta::default()];
        let mut bufs = [IoSliceMut::new(&mut buffer)];
        let next = poll_fn(|cx| socket.poll_recv(cx, &mut bufs, &mut meta));
        let batches = tokio::time::timeout(Duration::from_secs(20), next).await.unwrap().unwrap();
        assert_eq!(batches, 1);
        (buffer[..meta[0].len].to_vec(), meta[0].stride)
    }

    #[tokio::test]
    async fn delayed_packets_arrive_late_and_in_order_and_cut_ones_not_at_all() {
        let pair = Pair::new();
        let rule = Rule { delay_ms: 30, ..pair.to_b() };
        pair.emulation.set(&[rule]).unwrap();
        let start = Instant::now();
        pair.send(b"first").await;
        pair.send(b"second").await;
        assert_eq!(receive(&pair.b).await.0, b"first");
        assert!(start.elapsed() >= Duration::from_millis(30));
        assert_eq!(receive(&pair.b).await.0, b"second");

        pair.emulation.set(&[Rule { cut: Cut::Out, ..pair.to_b() }]).unwrap();
        pair.send(b"cut").await;
        pair.emulation.set(&[]).unwrap();
        pair.send(b"healed").await;
        assert_eq!(receive(&pair.b).await.0, b"healed");
        assert_eq!(pair.emulation.dropped(), BTreeMap::from([(DropReason::Cut, 1)]));
        assert_eq!(pair.a.traffic().sent_bytes, 20, "a node does not know what a network loses");
        assert_eq!(pair.b.traffic().received_bytes, 17);
        pair.end().await;
    }

    #[tokio::test]
    async fn a_batch_is_split_where_its_datagrams_have_fates_of_their_own() {
        let pair = Pair::new();
        let half = Loss::from_percent(50.0).unwrap();
        pair.emulation.set(&[Rule { loss_percent: half, ..pair.to_b() }]).unwrap();
        // Each datagram is its number, twice as many bytes as there are in a segment would be two in one.
        let batch: Vec<u8> = (0..200_u8).flat_map(|number| [number, number]).collect();
        send(&pair.a, pair.b.local_addr().unwrap(), &batch, Some(2)).await;
        pair.emulation.set(&[Rule { delay_ms: 1, ..pair.to_b() }]).unwrap();
        pair.send(b"that was all").await;
        let mut arrived: Vec<u8> = Vec::new();
        loop {
            let (bytes, stride) = receive(&pair.b).await;
            if bytes == b"that was all" {
                break;
            }
            for datagram in bytes.chunks(stride) {
                let [number, again] = datagram else { panic!("{datagram:?}") };
                assert_eq!(number, again);
                arrived.push(*number);
            }
        }
        assert!(arrived.is_sorted_by(|a, b| a < b), "{arrived:?}");
        let lost = 200 - arrived.len() as u64;
        assert!((70..130).contains(&lost), "{lost} of 200");
        assert_eq!(pair.emulation.dropped(), BTreeMap::from([(DropReason::Lost, lost)]));
        pair.end().await;
    }

    #[tokio::test]
    async fn a_rate_spreads_a_batch_and_its_queue_takes_no_more() {
        let pair = Pair::new();
        // 100 bytes and 28 of headers take 10.24 ms; 1 KiB holds eight of them beside the one on the line.
        pair.emulation.set(&[Rule { rate_kbps: 100, queue_kib: 1, ..pair.to_b() }]).unwrap();
        let start = Instant::now();
        send(&pair.a, pair.b.local_addr().unwrap(), &[7; 2_000], Some(100)).await;
        let mut bytes = 0;
        while bytes < 800 {
            bytes += receive(&pair.b).await.0.len();
        }
        assert!(start.elapsed() >= Duration::from_micros(8 * 10_240));
        assert_eq!(pair.emulation.dropped(), BTreeMap::from([(DropReason::QueueFull, 12)]));
        pair.end().await;
    }

    #[tokio::test]
    async fn an_inbound_cut_drops_on_arrival() {
        let pair = Pair::new();
        pair.emulation.set(&[Rule { cut: Cut::In, ..pair.to_b() }]).unwrap();
        send(&pair.b, pair.a.local_addr().unwrap(), b"lost", None).await;
        assert_eq!(receive(&pair.a).await.0, b"");
        assert_eq!(pair.emulation.dropped(), BTreeMap::from([(DropReason::Cut, 1)]));
        pair.end().await;
    }

    #[tokio::test]
    async fn a_stateful_firewall_lets_in_who_was_sent_something() {
        let pair = Pair::new();
        let to_a = pair.a.local_addr().unwrap();
        pair.send(b"before there was a firewall").await;
        pair.emulation.set_firewall(Firewall::Stateful);
        send(&pair.b, to_a, b"uninvited", None).await;
        assert_eq!(receive(&pair.a).await.0, b"");
        pair.send(b"hello").await;
        send(&pair.b, to_a, b"answer", None).await;
        assert_eq!(receive(&pair.a).await.0, b"answer");
        assert_eq!(pair.emulation.dropped(), BTreeMap::from([(DropReason::Firewall, 1)]));
        pair.emulation.set_firewall(Firewall::Open);
        let other = MeshSocket::new(bind("127.0.0.1:0".parse().unwrap()).unwrap(), None, Arc::default());
        send(&other, to_a, b"anybody", None).await;
        assert_eq!(receive(&pair.a).await.0, b"anybody");
        pair.end().await;
    }
}
