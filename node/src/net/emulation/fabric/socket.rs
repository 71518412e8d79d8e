//! A socket of a fabric.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::super::firewall::Firewall;
use super::network::Shared;
use super::world::Place;

/// A bound socket, for [`quinn::Endpoint::new_with_abstract_socket`] or a whole node's network. One task may receive from it.
#[derive(Debug)]
pub struct FabricSocket {
    shared: Arc<Shared>,
    place: Place,
}

impl FabricSocket {
    pub(super) const fn new(shared: Arc<Shared>, place: Place) -> Self {
        Self { shared, place }
    }

    /// Where it is bound.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Sets what its host lets in; at first everything. A firewall that closes begins without anybody to let in.
    pub fn set_firewall(&self, firewall: Firewall) {
        self.shared.core.at_present(|world| world.set_firewall(self.place, firewall));
    }
}

impl Drop for FabricSocket {
    fn drop(&mut self) {
        self.shared.core.at_present(|world| world.unbind(self.place));
    }
}

impl AsyncUdpSocket for FabricSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.shared.core.at_present(|world| world.send(self.place, transmit));
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.shared.core.at_present(|world| world.poll_recv(self.place, cx.waker(), bufs, meta)).map(Ok)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.place.address)
    }

    fn max_transmit_segments(&self) -> usize {
        SEGMENTS_MAX
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// What is too much for a path is dropped there, as by a kernel that does not hold up its senders.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Datagrams of one batch: as many as Linux takes.
const SEGMENTS_MAX: usize = 64;

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
