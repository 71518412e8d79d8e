//! libp2p's transport over the shared endpoint: dials through [`Dialer`], takes what the acceptor admits.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use hedgerow_attest::member::Member;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::core::{Endpoint as Role, Transport};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc;

use super::muxer::Muxer;
use crate::net::dial::Dialer;
use crate::net::lane::LinkLane;
use crate::net::tls::Expected;

/// A ctl connection that passed the gate.
#[derive(Debug)]
pub(in crate::net) struct Inbound {
    pub(in crate::net) connection: quinn::Connection,
    pub(in crate::net) member: Member,
}

/// Members by their libp2p name, as the TLS handshakes of this lane proved them.
pub(super) type Proven = Arc<Mutex<BTreeMap<PeerId, Member>>>;

pub(super) fn locked(proven: &Proven) -> MutexGuard<'_, BTreeMap<PeerId, Member>> {
    proven.lock().expect("no holder of the lock panics")
}

pub(super) struct CtlTransport {
    dialer: Dialer,
    inbound: mpsc::Receiver<Inbound>,
    proven: Proven,
    listeners: BTreeMap<String, (ListenerId, Multiaddr)>,
    events: VecDeque<TransportEvent<Upgrade, io::Error>>,
}

type Upgrade = BoxFuture<'static, io::Result<(PeerId, Muxer)>>;

impl CtlTransport {
    pub(super) fn new(dialer: Dialer, inbound: mpsc::Receiver<Inbound>, proven: Proven) -> Self {
        Self { dialer, inbound, proven, listeners: BTreeMap::new(), events: VecDeque::new() }
    }
}

impl Transport for CtlTransport {
    type Output = (PeerId, Muxer);
    type Error = io::Error;
    type ListenerUpgrade = Upgrade;
    type Dial = Upgrade;

    /// The endpoint listens already; a listener only gives libp2p a name for it.
    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        if socket_address(&address).is_none() {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        let local = self.dialer.endpoint.local_addr().map_err(TransportError::Other)?;
        let listen_addr = multiaddr(local);
        self.listeners.insert(id.to_string(), (id, listen_addr.clone()));
        self.events.push_back(TransportEvent::NewAddress { listener_id: id, listen_addr });
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.listeners.remove(&id.to_string()).is_some()
    }

    fn dial(&mut self, address: Multiaddr, opts: DialOpts) -> Result<Upgrade, TransportError<io::Error>> {
        // Being the listener of a dial is hole punching, which needs a relay to agree on the moment.
        let (Some((remote, Some(peer))), Role::Dialer) = (socket_address(&address), opts.role) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let expected = hedgerow_attest::peer_id::PeerId::from_bytes(&peer.to_bytes())
            .map_err(|_other_kind| TransportError::MultiaddrNotSupported(address))?;
        let (dialer, proven) = (self.dialer.clone(), self.proven.clone());
        let dial = async move {
            let dialled = dialer.dial(remote, LinkLane::Ctl, Expected::Peer(expected)).await;
            let dialled = dialled.map_err(io::Error::other)?;
            let member = dialled.peer.member.expect("a dial of this lane judges the membership");
            upgrade(&proven, dialled.connection, member)
        };
        Ok(dial.boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Upgrade, io::Error>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        let Some((listener_id, local_addr)) = self.listeners.values().next().cloned() else {
            return Poll::Pending;
        };
        // The sender lives in the acceptor; when that stops, so does the node.
        let Some(Inbound { connection, member }) = ready!(self.inbound.poll_recv(cx)) else {
            return Poll::Pending;
        };
        let send_back_addr = multiaddr(connection.remote_address());
        let upgraded = upgrade(&self.proven, connection, member);
        let upgrade = std::future::ready(upgraded).boxed();
        Poll::Ready(TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr })
    }
}

/// Names the peer for libp2p, and remembers who that is.
fn upgrade(proven: &Proven, connection: quinn::Connection, member: Member) -> io::Result<(PeerId, Muxer)> {
    let peer = libp2p_peer(member.peer());
    locked(proven).insert(peer, member);
    Ok((peer, Muxer::new(connection)))
}

/// The same name in libp2p's type.
pub(super) fn libp2p_peer(peer: hedgerow_attest::peer_id::PeerId) -> PeerId {
    PeerId::from_bytes(&peer.to_bytes()).expect("an ed25519 peer id is one of libp2p's kinds")
}

/// `/ip4|ip6/…/udp/…/quic-v1`.
pub(super) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::empty()
        .with(address.ip().to_canonical().into())
        .with(Protocol::Udp(address.port()))
        .with(Protocol::QuicV1)
}

/// The socket address of a multiaddr of that shape, and the peer it ends with, if any.
fn socket_address(address: &Multiaddr) -> Option<(SocketAddr, Option<PeerId>)> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    let (Protocol::Udp(port), Protocol::QuicV1) = (parts.next()?, parts.next()?) else { return None };
    let peer = match (parts.next(), parts.next()) {
        (None, None) => None,
        (Some(Protocol::P2p(peer)), None) => Some(peer),
        (_, _) => return None,
    };
    Some((SocketAddr::new(ip, port), peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiaddrs_name_a_socket_and_perhaps_a_peer() {
        let socket: SocketAddr = "[::ffff:10.1.2.3]:4334".parse().unwrap();
        let address = multiaddr(socket);
        assert_eq!(address.to_string(), "/ip4/10.1.2.3/udp/4334/quic-v1");
        let plain = "10.1.2.3:4334".parse().unwrap();
        assert_eq!(socket_address(&address), Some((plain, None)));
        let peer = PeerId::random();
        let address = address.with(Protocol::P2p(peer));
        assert_eq!(socket_address(&address), Some((plain, Some(peer))));
        for other in ["/ip4/10.1.2.3/tcp/4334", "/ip4/10.1.2.3/udp/4334", "/ip4/1.2.3.4/udp/1/quic-v1/p2p-circuit"] {
            assert_eq!(socket_address(&other.parse().unwrap()), None, "{other}");
        }
    }
}
