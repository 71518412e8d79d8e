//! An address and port translator, in the words of RFC 4787, as a machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use rand_core::Rng;
use tokio::time::Instant;

use super::super::firewall::Pinholes;
use super::super::loss::below;
use crate::net::limits::{MAPPINGS_MAX, PINHOLE_IDLE};

/// How an address translator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// Which outer port an inner socket gets.
    pub mapping: Mapping,
    /// Who may send to it.
    pub filtering: Filtering,
    /// Whether inner sockets reach each other by their outer addresses (RFC 4787 §6).
    pub is_hairpinning: bool,
}

/// Whether an inner socket has one outer port or several (RFC 4787 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// The same, whomever it talks to: what one peer sees is good for another.
    EndpointIndependent,
    /// Another for each address and port that it talks to, also called symmetric.
    AddressAndPortDependent,
}

/// What is let in to a mapped port (RFC 4787 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Everything.
    EndpointIndependent,
    /// What comes from an address to which something was sent from there.
    AddressDependent,
    /// What comes from an address and port to which something was sent from there.
    AddressAndPortDependent,
}

impl Nat {
    /// As most home routers: one port for each socket, and answers only.
    pub const HOME: Self = Self {
        mapping: Mapping::EndpointIndependent,
        filtering: Filtering::AddressAndPortDependent,
        is_hairpinning: false,
    };
    /// As strict as they come: a port for each peer, and answers only.
    pub const SYMMETRIC: Self = Self { mapping: Mapping::AddressAndPortDependent, ..Self::HOME };
}

/// The state of one translator. A mapping, and the leave to answer, ends [`PINHOLE_IDLE`] after the last packet outwards.
#[derive(Debug)]
pub(super) struct Translator {
    nat: Nat,
    outer: IpAddr,
    ports: BTreeMap<u16, Mapped>,
    by_inner: BTreeMap<InnerName, u16>,
}

/// An inner socket, and the peer where each peer has a mapping of its own.
type InnerName = (SocketAddr, Option<SocketAddr>);

#[derive(Debug)]
struct Mapped {
    name: InnerName,
    used: Instant,
    sent_to: Pinholes,
}

impl Translator {
    pub(super) const fn new(nat: Nat, outer: IpAddr) -> Self {
        Self { nat, outer, ports: BTreeMap::new(), by_inner: BTreeMap::new() }
    }

    pub(super) const fn nat(&self) -> Nat {
        self.nat
    }

    pub(super) const fn outer(&self) -> IpAddr {
        self.outer
    }

    /// The outer address from which a packet of `inner` to `to` goes on, or `None` when [`MAPPINGS_MAX`] others are in use.
    pub(super) fn outbound(
        &mut self,
        now: Instant,
        inner: SocketAddr,
        to: SocketAddr,
        rng: &mut impl Rng,
    ) -> Option<SocketAddr> {
        let name = match self.nat.mapping {
            Mapping::EndpointIndependent => (inner, None),
            Mapping::AddressAndPortDependent => (inner, Some(to)),
        };
        let living = self.by_inner.get(&name).copied().filter(|port| self.mapped(now, *port).is_some());
        let port = match living {
            Some(port) => port,
            None => self.map(now, name, rng)?,
        };
        let mapped = self.ports.get_mut(&port)?;
        mapped.used = now;
        mapped.sent_to.sent(now, to);
        Some(SocketAddr::new(self.outer, port))
    }

    /// The inner socket that gets a packet from `from` to an outer port, if it is let in.
    pub(super) fn inbound(&self, now: Instant, port: u16, from: SocketAddr) -> Option<SocketAddr> {
        let mapped = self.mapped(now, port)?;
        let is_let_in = match self.nat.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => mapped.sent_to.admits_address(now, from.ip()),
            Filtering::AddressAndPortDependent => mapped.sent_to.admits(now, from),
        };
        is_let_in.then_some(mapped.name.0)
    }

    /// The inner socket behind an outer port, whoever is let in.
    pub(super) fn inner(&self, now: Instant, port: u16) -> Option<SocketAddr> {
        self.mapped(now, port).map(|mapped| mapped.name.0)
    }

    fn mapped(&self, now: Instant, port: u16) -> Option<&Mapped> {
        self.ports.get(&port).filter(|mapped| is_in_use(now, mapped))
    }

    /// Takes a free outer port, other than the inner one as a rule, so that nobody can guess it.
    fn map(&mut self, now: Instant, name: InnerName, rng: &mut impl Rng) -> Option<u16> {
        if let Some(over) = self.by_inner.remove(&name) {
            self.ports.remove(&over);
        }
        if self.ports.len() >= MAPPINGS_MAX {
            self.ports.retain(|_, mapped| is_in_use(now, mapped));
            self.by_inner.retain(|_, port| self.ports.contains_key(port));
            if self.ports.len() >= MAPPINGS_MAX {
                return None;
            }
        }
        let port = loop {
            let offset = u16::try_from(below(u64::from(u16::MAX - PORT_MIN) + 1, rng)).expect("below 2^16");
            let port = PORT_MIN + offset;
            if !self.ports.contains_key(&port) {
                break port;
            }
        };
        self.ports.insert(port, Mapped { name, used: now, sent_to: Pinholes::default() });
        self.by_inner.insert(name, port);
        Some(port)
    }
}

fn is_in_use(now: Instant, mapped: &Mapped) -> bool {
    now.saturating_duration_since(mapped.used) < PINHOLE_IDLE
}

/// Below are the ports of well-known services (RFC 4787 REQ-3).
const PORT_MIN: u16 = 1024;

#[cfg(test)]
#[path = "nat_tests.rs"]
mod tests;
