//! Datagrams held back until they are due, and the task that sends them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use quinn::udp::{EcnCodepoint, Transmit};
use tokio_util::sync::CancellationToken;

use super::around::Emulation;
use crate::net::tasks::until;

/// A datagram held back, or a batch of them that goes as one.
#[derive(Debug)]
pub(super) struct Held {
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    contents: Box<[u8]>,
    segment_size: Option<usize>,
    src_ip: Option<IpAddr>,
}

impl Held {
    /// `contents` is all of the batch, or one of its datagrams and then without a segment size.
    pub(super) fn new(transmit: &Transmit<'_>, contents: &[u8], segment_size: Option<usize>) -> Self {
        let Transmit { destination, ecn, contents: _, segment_size: _, src_ip } = *transmit;
        Self { destination, ecn, contents: contents.into(), segment_size, src_ip }
    }

    fn transmit(&self) -> Transmit<'_> {
        Transmit {
            destination: self.destination,
            ecn: self.ecn,
            contents: &self.contents,
            segment_size: self.segment_size,
            src_ip: self.src_ip,
        }
    }
}

/// The datagrams of a batch.
pub(super) fn datagrams<'a>(transmit: &Transmit<'a>) -> impl Iterator<Item = &'a [u8]> {
    let size = transmit.segment_size.unwrap_or(transmit.contents.len());
    transmit.contents.chunks(size.max(1))
}

/// Sends each held datagram when it is due, until `stop`.
pub(in crate::net) async fn release(
    socket: Arc<dyn quinn::AsyncUdpSocket>,
    emulation: Emulation,
    stop: CancellationToken,
) {
    let mut poller = socket.clone().create_io_poller();
    loop {
        let due = emulation.next_due();
        tokio::select! {
            () = stop.cancelled() => return,
            () = emulation.earlier_due() => {}
            () = until(due) => {}
        }
        while let Some(held) = emulation.pop_due() {
            while let Err(error) = socket.try_send(&held.transmit()) {
                if error.kind() != std::io::ErrorKind::WouldBlock {
                    tracing::trace!(%error, peer = %held.destination, "dropped a delayed packet");
                    break;
                }
                let writable = std::future::poll_fn(|cx| poller.as_mut().poll_writable(cx));
                let broken = tokio::select! {
                    () = stop.cancelled() => return,
                    writable = writable => writable.is_err(),
                };
                if broken {
                    break;
                }
            }
        }
    }
}
