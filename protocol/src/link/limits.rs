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

/// How long what was sent may be unacknowledged, beyond a round trip. QUIC repeats it several times meanwhile: with a fifth of
/// all packets lost each way, one link in some hundreds is ended without cause, and made again. With neighbours that ask each
/// other every second a dead direction is noticed in less than three.
pub const PATIENCE: Duration = Duration::from_millis(1_500);

/// Connections to one peer that are kept beside the link.
pub(super) const OTHERS_MAX: usize = 4;
