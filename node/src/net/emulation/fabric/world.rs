//! The state of a fabric as a machine: where a datagram goes, when it arrives, and what is let in.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::task::{Poll, Waker};

use bytes::Bytes;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use tokio::time::Instant;

use super::super::firewall::{Firewall, Pinholes};
use super::super::path::{DropReason, Fate, Path, PathSettings, Paths, datagram_bytes};
use super::super::schedule::Schedule;
use super::nat::{Nat, Translator};
use super::network::{FabricCounts, FabricError};
use crate::net::limits::{FLYING_BYTES_MAX, SOCKET_BUFFER_BYTES};

/// Where a socket is or may be: an address in a realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub(super) realm: RealmId,
    pub(super) address: SocketAddr,
}

/// A realm by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RealmId(usize);

impl RealmId {
    pub(super) const PUBLIC: Self = Self(0);
}

/// Everything that there is in a fabric, at one moment.
#[derive(Debug)]
pub(super) struct World {
    now: Instant,
    pub(super) default: PathSettings,
    pub(super) chosen: BTreeMap<(Place, Place), PathSettings>,
    pub(super) mtu_bytes: usize,
    pub(super) counts: FabricCounts,
    realms: Vec<RealmState>,
    paths: Paths<(Place, Place)>,
    flying: Schedule<Flying>,
    rng: ChaCha8Rng,
}

#[derive(Debug, Default)]
struct RealmState {
    gate: Option<Gate>,
    hosts: BTreeMap<SocketAddr, Host>,
    /// The realms behind the translators whose outer side is here, by their outer addresses.
    inner: BTreeMap<IpAddr, RealmId>,
}

/// The way out of a private realm.
#[derive(Debug)]
struct Gate {
    outer_realm: RealmId,
    translator: Translator,
}

#[derive(Debug, Default)]
struct Host {
    firewall: Firewall,
    pinholes: Pinholes,
    inbox: VecDeque<Datagram>,
    inbox_bytes: usize,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Datagram {
    source: SocketAddr,
    ecn: Option<EcnCodepoint>,
    contents: Bytes,
}

/// A datagram on its way to an address of a realm, from which translators may still hand it further in.
#[derive(Debug)]
struct Flying {
    realm: RealmId,
    destination: SocketAddr,
    datagram: Datagram,
}

/// Which mappings of translators count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// All that there are.
    Mapped,
    /// Those that let the sender in.
    LetIn,
}

impl World {
    pub(super) fn new(now: Instant, seed: u64) -> Self {
        Self {
            now,
            default: PathSettings::default(),
            chosen: BTreeMap::new(),
            mtu_bytes: ETHERNET_MTU_BYTES,
            counts: FabricCounts::default(),
            realms: vec![RealmState::default()],
            paths: Paths::default(),
            flying: Schedule::new(FLYING_BYTES_MAX),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Adds a realm behind a translator with that address in `outer_realm`.
    pub(super) fn add_realm(&mut self, outer_realm: RealmId, outer: IpAddr, nat: Nat) -> Result<RealmId, FabricError> {
        self.check_usable(outer_realm, outer)?;
        let inner = RealmId(self.realms.len());
        let realm = &mut self.realms[outer_realm.0];
        if realm.hosts.keys().any(|host| host.ip() == outer) {
            return Err(FabricError::AddressTaken { address: outer });
        }
        realm.inner.insert(outer, inner);
        let gate = Gate { outer_realm, translator: Translator::new(nat, outer) };
        self.realms.push(RealmState { gate: Some(gate), ..RealmState::default() });
        Ok(inner)
    }

    /// Takes an address for a socket; port 0 is the first free one.
    pub(super) fn bind(&mut self, realm: RealmId, address: SocketAddr) -> Result<Place, FabricError> {
        self.check_usable(realm, address.ip())?;
        let hosts = &mut self.realms[realm.0].hosts;
        let address = match address.port() {
            0 => {
                let free = |port| Some(SocketAddr::new(address.ip(), port)).filter(|one| !hosts.contains_key(one));
                (EPHEMERAL_PORT_MIN..=u16::MAX).find_map(free).ok_or(FabricError::NoPort { address: address.ip() })?
            }
            _ if hosts.contains_key(&address) => return Err(FabricError::PortTaken { address }),
            _ => address,
        };
        hosts.insert(address, Host::default());
        Ok(Place { realm, address })
    }

    /// Gives the address back; what is on its way to it finds nobody.
    pub(super) fn unbind(&mut self, place: Place) {
        self.realms[place.realm.0].hosts.remove(&place.address);
    }

    pub(super) fn set_firewall(&mut self, place: Place, firewall: Firewall) {
        let host = self.host(place);
        if host.firewall != firewall {
            host.firewall = firewall;
            host.pinholes = Pinholes::default();
        }
    }

    /// Sends a batch, datagram by datagram.
    pub(super) fn send(&mut self, from: Place, transmit: &Transmit<'_>) {
        let now = self.now;
        let host = self.host(from);
        if host.firewall == Firewall::Stateful {
            host.pinholes.sent(now, transmit.destination);
        }
        let contents = Bytes::copy_from_slice(transmit.contents);
        let segment = transmit.segment_size.unwrap_or(contents.len()).max(1);
        let (realm, source) = match self.climb(from, transmit.destination) {
            Ok(found) => found,
            Err(reason) => return self.drop_datagrams(reason, contents.len().div_ceil(segment) as u64),
        };
        for begin in (0..contents.len()).step_by(segment) {
            let contents = contents.slice(begin..contents.len().min(begin + segment));
            let datagram = Datagram { source, ecn: transmit.ecn, contents };
            self.take_off(from, Flying { realm, destination: transmit.destination, datagram });
        }
        self.advance(now);
    }

    /// Goes on to that moment: everything arrives that is due.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = now;
        while let Some(flying) = self.flying.pop_due(now) {
            if let Err(reason) = self.arrive(flying) {
                self.drop_datagrams(reason, 1);
            }
        }
    }

    /// When the next datagram arrives.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.flying.next_due()
    }

    /// Hands out what has arrived, one datagram in each buffer.
    pub(super) fn poll_recv(
        &mut self,
        place: Place,
        waker: &Waker,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<usize> {
        let host = self.host(place);
        let mut received = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta) {
            let Some(Datagram { source, ecn, contents }) = host.inbox.pop_front() else { break };
            host.inbox_bytes -= contents.len();
            // A buffer that is too small cuts a datagram short, as the kernel does.
            let len = contents.len().min(buf.len());
            buf[..len].copy_from_slice(&contents[..len]);
            *meta = RecvMeta { addr: source, len, stride: len, ecn, dst_ip: Some(place.address.ip()) };
            received += 1;
        }
        if received > 0 {
            return Poll::Ready(received);
        }
        host.waker = Some(waker.clone());
        Poll::Pending
    }

    /// The realm in which the destination is known, and the address that the sender has there.
    fn climb(&mut self, from: Place, to: SocketAddr) -> Result<(RealmId, SocketAddr), DropReason> {
        let Place { mut realm, address: mut source } = from;
        loop {
            let state = &mut self.realms[realm.0];
            if state.hosts.contains_key(&to) || state.inner.contains_key(&to.ip()) {
                return Ok((realm, source));
            }
            let gate = state.gate.as_mut().ok_or(DropReason::NoRoute)?;
            if gate.translator.outer() == to.ip() && !gate.translator.nat().is_hairpinning {
                return Err(DropReason::Nat);
            }
            source = gate.translator.outbound(self.now, source, to, &mut self.rng).ok_or(DropReason::Nat)?;
            realm = gate.outer_realm;
        }
    }

    /// Offers a datagram to the path to whom it is for, as far as is known by now.
    fn take_off(&mut self, from: Place, flying: Flying) {
        let now = self.now;
        let payload = flying.datagram.contents.len();
        let bytes = datagram_bytes(payload, flying.destination);
        if bytes > self.mtu_bytes {
            return self.drop_datagrams(DropReason::TooBig, 1);
        }
        let fate = match self.follow(&flying, Judged::Mapped) {
            Ok(to) => {
                let settings = self.chosen.get(&(from, to)).copied().unwrap_or(self.default);
                match self.paths.path(now, (from, to), settings) {
                    Some(path) => path.offer(now, bytes, &mut self.rng),
                    None => Fate::Drop(DropReason::BufferFull),
                }
            }
            // Nobody is there yet; somebody may be when it arrives.
            Err(_nobody) => Path::new(self.default).offer(now, bytes, &mut self.rng),
        };
        match fate {
            Fate::Drop(reason) => self.drop_datagrams(reason, 1),
            Fate::Deliver { at } => {
                if !self.flying.push(at, payload, flying) {
                    self.drop_datagrams(DropReason::BufferFull, 1);
                }
            }
        }
    }

    fn arrive(&mut self, flying: Flying) -> Result<(), DropReason> {
        let (place, now) = (self.follow(&flying, Judged::LetIn)?, self.now);
        let host = self.host(place);
        let Flying { datagram, .. } = flying;
        if host.firewall == Firewall::Stateful && !host.pinholes.admits(now, datagram.source) {
            return Err(DropReason::Firewall);
        }
        let bytes = datagram.contents.len();
        if host.inbox_bytes + bytes > SOCKET_BUFFER_BYTES {
            return Err(DropReason::BufferFull);
        }
        host.inbox_bytes += bytes;
        host.inbox.push_back(datagram);
        if let Some(waker) = host.waker.take() {
            waker.wake();
        }
        self.counts.delivered_datagrams += 1;
        self.counts.delivered_bytes += bytes as u64;
        Ok(())
    }

    /// Through the translators to a socket.
    fn follow(&self, flying: &Flying, judged: Judged) -> Result<Place, DropReason> {
        let Flying { mut realm, destination: mut address, ref datagram } = *flying;
        loop {
            let state = &self.realms[realm.0];
            if state.hosts.contains_key(&address) {
                return Ok(Place { realm, address });
            }
            let inner = *state.inner.get(&address.ip()).ok_or(DropReason::NoRoute)?;
            let translator = &self.realms[inner.0].gate.as_ref().expect("an inner realm has a gate").translator;
            let handed_on = match judged {
                Judged::Mapped => translator.inner(self.now, address.port()),
                Judged::LetIn => translator.inbound(self.now, address.port(), datagram.source),
            };
            (realm, address) = (inner, handed_on.ok_or(DropReason::Nat)?);
        }
    }

    fn drop_datagrams(&mut self, reason: DropReason, count: u64) {
        *self.counts.dropped.entry(reason).or_default() += count;
    }

    /// The host of a bound socket.
    fn host(&mut self, place: Place) -> &mut Host {
        let hosts = &mut self.realms[place.realm.0].hosts;
        hosts.get_mut(&place.address).expect("a socket is bound for as long as it lives")
    }

    fn check_usable(&self, realm: RealmId, address: IpAddr) -> Result<(), FabricError> {
        if address.is_unspecified() {
            return Err(FabricError::Unspecified);
        }
        let is_translator = self.realms[realm.0].inner.contains_key(&address);
        if is_translator { Err(FabricError::AddressTaken { address }) } else { Ok(()) }
    }
}

/// What Ethernet carries, headers of IP and UDP included.
const ETHERNET_MTU_BYTES: usize = 1500;
/// The first port for those who name none (RFC 6335 §6).
const EPHEMERAL_PORT_MIN: u16 = 49_152;
