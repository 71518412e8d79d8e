//! Every bound of the link machine in one place.

use std::time::Duration;

/// Peers of whom anything is remembered. For one more another without a link is forgotten.
pub const PEERS_MAX: usize = 1024;

/// Addresses of one origin that are remembered of one peer.
pub const ADDRESSES_MAX: usize = 8;

/// Rounds of dials under way at once.
pub(super) const ROUNDS_MAX: usize = 32;

/// Between two attempts of one round: as long as RFC 8305, section 8, recommends.
pub(super) const STAGGER: Duration = Duration::from_millis(250);

/// First wait after a round that failed; doubled up to [`BACKOFF_MAX`], and a quarter more or less by lot, so that nodes which
/// lost each other at once do not all dial at once.
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(250);

/// Longest wait between two rounds to one peer, but for the lot. A guess: it bounds how late a healed partition is noticed.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(4);

/// How long a connection that is the link no more still finishes what runs on it.
pub(super) const DRAIN: Duration = Duration::from_secs(1);

/// How long a relayed connection goes on beside the direct one that took its place: longer than a request may take that runs
/// on it. Should the direct one break meanwhile, it is the link again.
pub(super) const RELAYED_DRAIN: Duration = Duration::from_secs(150);

/// First wait before the ends of a relayed link are told to dial each other again; doubled up to [`MEET_MAX`]. Of the attempts
/// that ever succeed nearly all are the first ones (Trautwein and others, arXiv 2510.27500, 2025, section 5).
pub(super) const MEET_MIN: Duration = Duration::from_secs(2);

/// Longest wait of that kind: some translator between the two gives each flow a port of its own, and a path may change.
pub(super) const MEET_MAX: Duration = Duration::from_secs(300);

/// Meetings under way at once; they are no rounds of dials that somebody waits for.
pub(super) const MEETINGS_MAX: usize = 8;

/// A direct link that lasted for so long is one: should it break, the ends meet again at once.
pub(super) const SETTLED: Duration = Duration::from_secs(60);

/// How long what was sent may be unacknowledged, beyond a round trip. QUIC repeats it several times meanwhile: with a fifth of
/// all packets lost each way, one link in some hundreds is ended without cause, and made again. With neighbours that ask each
/// other every second a dead direction is noticed in less than three.
pub const PATIENCE: Duration = Duration::from_millis(1_500);

/// Connections to one peer that are kept beside the link.
pub(super) const OTHERS_MAX: usize = 4;
