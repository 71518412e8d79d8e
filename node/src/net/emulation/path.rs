//! One direction of one path between two sockets: what becomes of a datagram that enters it at some moment.
//!
//! It waits in a bounded queue until all before it have been put on a line of limited rate, is then lost or not, and travels
//! for the delay and a random part of the jitter. A datagram that is lost has taken its turn on the line, as on a radio link.
//! The order is kept: jitter stands for queues further on, which hand on first what came first. A datagram that drew less of
//! it than one before arrives together with that one, so that under a dense stream the mean delay is above half of the jitter.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand_core::Rng;
use tokio::time::Instant;

use super::loss::{Loss, below};
use crate::net::limits::{PATHS_MAX, QUEUE_BYTES_MIN, QUEUE_SPAN};

/// How one direction of a path treats datagrams; the default does nothing to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSettings {
    /// Added to the way of every datagram.
    pub delay: Duration,
    /// At most so much more, drawn for each datagram; all of it is as likely as any part.
    pub jitter: Duration,
    /// How many are lost.
    pub loss: Loss,
    /// Thousands of bits each second, headers of IP and UDP included; 0 is no limit.
    pub rate_kbps: u32,
    /// KiB that may wait for the rate; 0 is as much as the rate carries in [`QUEUE_SPAN`], at least [`QUEUE_BYTES_MIN`].
    pub queue_kib: u32,
    /// Whether everything is dropped.
    pub is_cut: bool,
}

/// Why a datagram did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// The path is cut.
    Cut,
    /// Lost at random.
    Lost,
    /// More would have waited for the rate than its queue takes.
    QueueFull,
    /// Larger than the path's MTU.
    TooBig,
    /// No socket has the address.
    NoRoute,
    /// An address translator knew of no mapping, did not let its sender in, or had no room for another.
    Nat,
    /// The receiver's firewall did not let its sender in.
    Firewall,
    /// A bound of the emulation itself: too much on its way, or waiting for a receiver that does not read.
    BufferFull,
}

/// What becomes of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Drop(DropReason),
    Deliver { at: Instant },
}

/// One direction of one path. What is on its way does not change with the settings: others make another path.
#[derive(Clone, Debug)]
pub(super) struct Path {
    settings: PathSettings,
    /// When the line has carried all that was taken.
    free_at: Option<Instant>,
    /// When the last one arrives.
    last_at: Option<Instant>,
}

impl PathSettings {
    /// Nothing is done to a datagram.
    pub const CLEAR: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: Loss::NONE,
        rate_kbps: 0,
        queue_kib: 0,
        is_cut: false,
    };
    /// Nothing arrives.
    pub const CUT: Self = Self { is_cut: true, ..Self::CLEAR };

    /// Nothing but a delay.
    pub const fn delayed(delay: Duration) -> Self {
        Self { delay, ..Self::CLEAR }
    }

    /// Whether each datagram of a batch has a fate of its own.
    pub(super) fn tells_datagrams_apart(&self) -> bool {
        self.loss != Loss::NONE || !self.jitter.is_zero() || self.rate_kbps > 0
    }

    fn queue_bytes(&self) -> u64 {
        match self.queue_kib {
            0 => carried_bytes(self.rate_kbps, QUEUE_SPAN).max(QUEUE_BYTES_MIN),
            kib => u64::from(kib) << 10,
        }
    }
}

impl DropReason {
    /// One word for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Lost => "lost",
            Self::QueueFull => "queue_full",
            Self::TooBig => "too_big",
            Self::NoRoute => "no_route",
            Self::Nat => "nat",
            Self::Firewall => "firewall",
            Self::BufferFull => "buffer_full",
        }
    }
}

impl Path {
    /// An empty path.
    pub(super) const fn new(settings: PathSettings) -> Self {
        Self { settings, free_at: None, last_at: None }
    }

    /// Takes a datagram of so many bytes, headers included.
    pub(super) fn offer(&mut self, now: Instant, bytes: usize, rng: &mut impl Rng) -> Fate {
        if self.settings.is_cut {
            return Fate::Drop(DropReason::Cut);
        }
        let Some(carried_at) = self.carry(now, bytes as u64) else {
            return Fate::Drop(DropReason::QueueFull);
        };
        if self.settings.loss.strikes(rng) {
            return Fate::Drop(DropReason::Lost);
        }
        let at = carried_at + self.settings.delay + part(self.settings.jitter, rng);
        let at = self.last_at.map_or(at, |last| last.max(at));
        self.last_at = Some(at);
        Fate::Deliver { at }
    }

    /// When the line has carried the datagram, or `None` when the queue has no room for it. A free line takes any.
    fn carry(&mut self, now: Instant, bytes: u64) -> Option<Instant> {
        if self.settings.rate_kbps == 0 {
            return Some(now);
        }
        let begins_at = self.free_at.map_or(now, |free| free.max(now));
        let waiting_bytes = carried_bytes(self.settings.rate_kbps, begins_at.saturating_duration_since(now));
        if begins_at > now && waiting_bytes + bytes > self.settings.queue_bytes() {
            return None;
        }
        let free_at = begins_at + time_on_line(self.settings.rate_kbps, bytes);
        self.free_at = Some(free_at);
        Some(free_at)
    }

    /// Whether nothing of what it took is on its way: it differs in nothing from an empty one.
    fn rests(&self, now: Instant) -> bool {
        self.free_at.is_none_or(|at| at <= now) && self.last_at.is_none_or(|at| at <= now)
    }
}

/// The paths in use, by what a place calls their ends.
#[derive(Clone, Debug)]
pub(super) struct Paths<K>(BTreeMap<K, Path>);

impl<K> Default for Paths<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Paths<K> {
    /// The path of that name, an empty one where it was not there or had other settings. `None` when [`PATHS_MAX`] others
    /// are all in use.
    pub(super) fn path(&mut self, now: Instant, name: K, settings: PathSettings) -> Option<&mut Path> {
        if self.0.len() >= PATHS_MAX && !self.0.contains_key(&name) {
            self.0.retain(|_, path| !path.rests(now));
            if self.0.len() >= PATHS_MAX {
                return None;
            }
        }
        let path = self.0.entry(name).or_insert_with(|| Path::new(settings));
        if path.settings != settings {
            *path = Path::new(settings);
        }
        Some(path)
    }
}

/// Bytes of the datagram that carries so many bytes of payload to an address: the header of IP without options, and that of UDP.
pub(super) const fn datagram_bytes(payload: usize, to: SocketAddr) -> usize {
    payload + UDP_HEADER_BYTES + if to.is_ipv4() { IPV4_HEADER_BYTES } else { IPV6_HEADER_BYTES }
}

fn carried_bytes(rate_kbps: u32, span: Duration) -> u64 {
    let bytes = span.as_nanos() * u128::from(rate_kbps) / NANOS_PER_BYTE_AT_ONE_KBPS;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn time_on_line(rate_kbps: u32, bytes: u64) -> Duration {
    let nanos = (u128::from(bytes) * NANOS_PER_BYTE_AT_ONE_KBPS).div_ceil(u128::from(rate_kbps));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// From nothing to all of it.
fn part(jitter: Duration, rng: &mut impl Rng) -> Duration {
    let nanos = u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX - 1);
    if nanos == 0 { Duration::ZERO } else { Duration::from_nanos(below(nanos + 1, rng)) }
}

const NANOS_PER_BYTE_AT_ONE_KBPS: u128 = 8_000_000;
const UDP_HEADER_BYTES: usize = 8;
const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
