//! QUIC's settings: windows, and for how long a connection of each lane may be silent.
//!
//! The dialer decides: of the two times after which silence ends a connection the shorter one holds (RFC 9000 §10.1), and
//! only the dialer breaks the silence, since either side's packet and its acknowledgement show both that the other lives.

use std::sync::Arc;
use std::time::Duration;

use quinn::TransportConfig;

use super::lane::LinkLane;
use super::limits::{
    BULK_ASKS_MAX, CTL_IDLE_TIMEOUT, CTL_KEEP_ALIVE, IDLE_TIMEOUT, KEEP_ALIVE, RELAY_IDLE_TIMEOUT, RELAY_KEEP_ALIVE,
    RELAY_STREAMS, REQUESTS_PER_PEER,
};

/// The settings of every kind of connection.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    accepted: Arc<TransportConfig>,
    dialled: Arc<TransportConfig>,
    dialled_ctl: Arc<TransportConfig>,
    dialled_bulk: Arc<TransportConfig>,
    dialled_relay: Arc<TransportConfig>,
}

impl Settings {
    pub(super) fn new() -> Self {
        Self {
            accepted: Arc::new(settings(CTL_IDLE_TIMEOUT, None, FEW_STREAMS)),
            dialled: Arc::new(settings(IDLE_TIMEOUT, Some(KEEP_ALIVE), RPC_STREAMS)),
            dialled_ctl: Arc::new(swarmed()),
            dialled_bulk: Arc::new(fetching()),
            dialled_relay: Arc::new(relayed()),
        }
    }

    /// Of a connection that somebody else makes. Its lane is not known before the handshake.
    pub(super) fn accepted(&self) -> Arc<TransportConfig> {
        self.accepted.clone()
    }

    /// Of a connection that this node makes.
    pub(super) fn dialled(&self, lane: LinkLane) -> Arc<TransportConfig> {
        match lane {
            LinkLane::Ctl => self.dialled_ctl.clone(),
            LinkLane::Bulk => self.dialled_bulk.clone(),
            LinkLane::Relay => self.dialled_relay.clone(),
            LinkLane::Join | LinkLane::Rpc => self.dialled.clone(),
        }
    }
}

/// Streams of each kind that the other end may have open: bidirectional, unidirectional. quinn has a place for each of them in a
/// table from the beginning: 12 kB of the heap where there were 144.
type Streams = [u32; 2];

/// More than is served, so that a busy peer is told `overloaded` instead of being held up.
const RPC_STREAMS: Streams = [REQUESTS_PER_PEER as u32 * 3 / 2, 16];

/// Of a connection whose lane is not known yet, and of the swarm, whose protocols have a few streams each.
const FEW_STREAMS: Streams = [16, 4];

/// Settles an accepted connection that may become the link.
pub(super) fn serve_rpc(connection: &quinn::Connection) {
    let [requests, messages] = RPC_STREAMS;
    connection.set_max_concurrent_bi_streams(requests.into());
    connection.set_max_concurrent_uni_streams(messages.into());
}

/// Settles an accepted connection on which content is served: its window to send is the pacer's, and only asks come in.
pub(super) fn serve_bulk(connection: &quinn::Connection, send_window: u64) {
    connection.set_send_window(send_window);
    connection.set_receive_window((64_u32 << 10).into());
    connection.set_max_concurrent_bi_streams((2 * BULK_ASKS_MAX).into());
    connection.set_max_concurrent_uni_streams(0_u32.into());
}

/// Settles an accepted connection for whose dialer this node relays.
pub(super) fn serve_relay(connection: &quinn::Connection) {
    connection.set_receive_window((64_u32 << 10).into());
    connection.set_max_concurrent_bi_streams(0_u32.into());
    connection.set_max_concurrent_uni_streams(relay_streams());
}

/// Of a connection to a relay: datagrams, and those that are too long for one on streams of their own.
fn relayed() -> TransportConfig {
    let mut config = settings(RELAY_IDLE_TIMEOUT, Some(RELAY_KEEP_ALIVE), FEW_STREAMS);
    config
        .max_concurrent_bidi_streams(0_u32.into())
        .max_concurrent_uni_streams(relay_streams())
        .receive_window((64_u32 << 10).into())
        .send_window(64 << 10);
    config
}

fn relay_streams() -> quinn::VarInt {
    u32::try_from(RELAY_STREAMS).expect("the constant is small").into()
}

/// The settings of connections that this node dials on a lane, for a benchmark that sets a bare connection beside them.
pub fn transport_settings(lane: LinkLane) -> Arc<TransportConfig> {
    Settings::new().dialled(lane)
}

/// Of a connection on which content is fetched: all that is asked for at once may arrive before any of it was read.
fn fetching() -> TransportConfig {
    let mut config = settings(IDLE_TIMEOUT, Some(KEEP_ALIVE), FEW_STREAMS);
    config
        .max_concurrent_bidi_streams(0_u32.into())
        .max_concurrent_uni_streams(1_u32.into())
        .stream_receive_window((8_u32 << 20).into())
        .receive_window((16_u32 << 20).into())
        .send_window(64 << 10);
    config
}

/// Of a connection of the swarm. Gossip is small, and a connection that sends several packets at once keeps room for ten.
fn swarmed() -> TransportConfig {
    let mut config = settings(CTL_IDLE_TIMEOUT, Some(CTL_KEEP_ALIVE), FEW_STREAMS);
    config.enable_segmentation_offload(false);
    config
}

fn settings(idle: Duration, keep_alive: Option<Duration>, [bidirectional, unidirectional]: Streams) -> TransportConfig {
    let mut config = TransportConfig::default();
    let idle = idle.try_into().expect("a minute fits a QUIC idle timeout");
    config
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(keep_alive)
        .max_concurrent_bidi_streams(bidirectional.into())
        .max_concurrent_uni_streams(unidirectional.into())
        .stream_receive_window((4_u32 << 20).into())
        .receive_window((8_u32 << 20).into())
        .send_window(8 << 20)
        .datagram_receive_buffer_size(Some(256 << 10))
        .datagram_send_buffer_size(256 << 10);
    config
}
