//! The node's one UDP socket: large buffers, counted bytes, and the emulation's rules around it.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::emulation::{Delayed, Emulation, Outbound};
use super::limits::{DELAYED_MAX, SOCKET_BUFFER_BYTES};

/// UDP payload moved since the start, bytes; headers of IP and UDP are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Handed to the kernel, or to the emulation's queue.
    pub sent_bytes: u64,
    /// Taken from the kernel.
    pub received_bytes: u64,
}

/// Wraps the runtime's socket; without emulation a packet passes untouched.
#[derive(Debug)]
pub(super) struct MeshSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    rules: Option<(Emulation, mpsc::Sender<Delayed>)>,
    order: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
}

impl MeshSocket {
    /// Wraps `inner`; with `emulation`, also returns the packets that [`super::emulation::release`] sends.
    pub(super) fn new(
        inner: Arc<dyn AsyncUdpSocket>,
        emulation: Option<Emulation>,
    ) -> (Arc<Self>, Option<mpsc::Receiver<Delayed>>) {
        let (rules, held) = match emulation {
            Some(emulation) => {
                let (tx, rx) = mpsc::channel(DELAYED_MAX);
                (Some((emulation, tx)), Some(rx))
            }
            None => (None, None),
        };
        let socket = Self {
            inner,
            rules,
            order: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
        };
        (Arc::new(socket), held)
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
        }
    }

    fn count_sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl AsyncUdpSocket for MeshSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let bytes = transmit.contents.len();
        let Some((emulation, held)) = &self.rules else {
            self.inner.try_send(transmit)?;
            self.count_sent(bytes);
            return Ok(());
        };
        match emulation.outbound(transmit.destination) {
            Outbound::Pass => self.inner.try_send(transmit)?,
            // A network that loses a packet does not tell its sender either.
            Outbound::Drop => return Ok(()),
            Outbound::Delay(delay) => {
                let order = self.order.fetch_add(1, Ordering::Relaxed);
                let packet = Delayed::new(transmit, Instant::now() + delay, order);
                if held.try_send(packet).is_err() {
                    emulation.count_dropped();
                    return Ok(());
                }
            }
        }
        self.count_sent(bytes);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let batches = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        for batch in meta.iter_mut().take(batches) {
            let cut = self.rules.as_ref().is_some_and(|(emulation, _)| emulation.drops_inbound(batch.addr));
            if cut {
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::super::emulation::{Cut, Rule, release};
    use super::*;

    fn transmit(destination: SocketAddr, contents: &[u8]) -> Transmit<'_> {
        Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None }
    }

    async fn send(socket: &Arc<MeshSocket>, to: SocketAddr, contents: &[u8]) {
        let mut poller = socket.clone().create_io_poller();
        while let Err(error) = socket.try_send(&transmit(to, contents)) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.unwrap();
        }
    }

    /// The next packet, empty when it was cut.
    async fn receive(socket: &MeshSocket) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let mut meta = [RecvMeta::default()];
        let mut bufs = [IoSliceMut::new(&mut buffer)];
        let next = poll_fn(|cx| socket.poll_recv(cx, &mut bufs, &mut meta));
        let batches = tokio::time::timeout(Duration::from_secs(20), next).await.unwrap().unwrap();
        assert_eq!(batches, 1);
        buffer[..meta[0].len].to_vec()
    }

    #[tokio::test]
    async fn delayed_packets_arrive_late_and_in_order_and_cut_ones_not_at_all() {
        let emulation = Emulation::default();
        let any = "127.0.0.1:0".parse().unwrap();
        let (a, held) = MeshSocket::new(bind(any).unwrap(), Some(emulation.clone()));
        let (b, _) = MeshSocket::new(bind(any).unwrap(), None);
        let to = b.local_addr().unwrap();
        let stop = CancellationToken::new();
        let pump = tokio::spawn(release(a.inner.clone(), held.unwrap(), stop.clone()));

        let rule = Rule { peer: to, delay_ms: 30, cut: Cut::None };
        emulation.set(&[rule]).unwrap();
        let start = Instant::now();
        send(&a, to, b"first").await;
        send(&a, to, b"second").await;
        assert_eq!(receive(&b).await, b"first");
        assert!(start.elapsed() >= Duration::from_millis(30));
        assert_eq!(receive(&b).await, b"second");

        emulation.set(&[Rule { cut: Cut::Out, delay_ms: 0, ..rule }]).unwrap();
        send(&a, to, b"cut").await;
        emulation.set(&[]).unwrap();
        send(&a, to, b"healed").await;
        assert_eq!(receive(&b).await, b"healed");
        assert_eq!(emulation.dropped(), 1);
        assert_eq!(a.traffic().sent_bytes, 17);
        assert_eq!(b.traffic().received_bytes, 17);
        stop.cancel();
        pump.await.unwrap();
    }

    #[tokio::test]
    async fn an_inbound_cut_drops_on_arrival() {
        let emulation = Emulation::default();
        let any = "127.0.0.1:0".parse().unwrap();
        let (a, _held) = MeshSocket::new(bind(any).unwrap(), Some(emulation.clone()));
        let (b, _) = MeshSocket::new(bind(any).unwrap(), None);
        let (to, from) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        emulation.set(&[Rule { peer: from, delay_ms: 0, cut: Cut::In }]).unwrap();
        send(&b, to, b"lost").await;
        assert_eq!(receive(&a).await, b"");
        assert_eq!(emulation.dropped(), 1);
    }
}
