//! Accepting: bounds before cryptography, one TLS door per caller, then the lane that was asked for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quinn::{ConnectionError, Endpoint, Incoming, ServerConfig, TransportConfig};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

use super::allowance::Allowance;
use super::bulk::BulkServer;
use super::close::Close;
use super::ctl::Inbound;
use super::dial::{alert, greet};
use super::join::JoinServer;
use super::lane::LinkLane;
use super::limits::{
    HANDSHAKE_BURST, HANDSHAKE_TIMEOUT, HANDSHAKES_PER_S, PENDING_MAX, PENDING_RETRY, REFUSED_BURST, REFUSED_REFILL,
    REFUSED_SOURCES_MAX,
};
use super::quic::{Settings, serve_rpc};
use super::refusal::{Refusal, Refusals};
use super::relay::{Reached, RelayServer, is_place};
use super::rpc::Links;
use super::socket::canonical;
use super::tasks::Tasks;
use super::tls::{Admitted, Door, TlsConfigError};
use super::trust::Gate;

/// Takes inbound connections to the lane they ask for.
#[derive(Clone, Debug)]
pub(super) struct Acceptor {
    pub(super) gate: Arc<Gate>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) settings: Settings,
    pub(super) tasks: Tasks,
    pub(super) ctl: mpsc::Sender<Inbound>,
    pub(super) links: Links,
    pub(super) bulk: BulkServer,
    pub(super) join: JoinServer,
    pub(super) relay: RelayServer,
    pub(super) reached: Reached,
    /// Handshakes that failed for what their callers showed.
    pub(super) failed: Arc<Mutex<Allowance<SocketAddr>>>,
}

/// When handshakes are begun: some at once, and then one after the other.
#[derive(Debug)]
struct Pace {
    /// When the next one is, if none was early.
    next: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { next: now }
    }

    /// When it is the turn of one that comes now.
    fn turn(&mut self, now: Instant) -> Instant {
        let gap = Duration::from_secs(1) / HANDSHAKES_PER_S;
        let turn = self.next.max(now);
        self.next = turn + gap;
        turn.checked_sub(gap * HANDSHAKE_BURST).map_or(now, |early| early.max(now))
    }
}

/// Handshakes that may fail.
pub(super) fn failures() -> Arc<Mutex<Allowance<SocketAddr>>> {
    Arc::new(Mutex::new(Allowance::new(REFUSED_BURST, REFUSED_REFILL, REFUSED_SOURCES_MAX)))
}

/// Who counts as one: an address, or on this machine and at a relay one socket of it.
fn source(remote: SocketAddr) -> SocketAddr {
    let remote = canonical(remote);
    let port = if remote.ip().is_loopback() || is_place(&remote) { remote.port() } else { 0 };
    SocketAddr::new(remote.ip(), port)
}

impl Acceptor {
    fn failed(&self) -> MutexGuard<'_, Allowance<SocketAddr>> {
        self.failed.lock().expect("no holder of the lock panics")
    }

    /// Accepts until the endpoint closes.
    pub(super) async fn run(self, endpoint: Endpoint) {
        let pending = Arc::new(Semaphore::new(PENDING_MAX));
        let mut pace = Pace::new(Instant::now());
        while let Some(incoming) = endpoint.accept().await {
            // Before any cryptography, and without an answer: a flood gets back less than it sends.
            if self.failed().is_spent(&source(incoming.remote_address()), Instant::now()) {
                self.refusals.count(Refusal::RateLimited);
                incoming.ignore();
                continue;
            }
            let busy = PENDING_MAX - pending.available_permits();
            if busy > PENDING_RETRY && !incoming.remote_address_validated() {
                if let Err(error) = incoming.retry() {
                    error.into_incoming().ignore();
                }
                continue;
            }
            let Ok(permit) = pending.clone().try_acquire_owned() else {
                self.refusals.count(Refusal::Overloaded);
                incoming.refuse();
                continue;
            };
            // Links of members go on meanwhile: a flood of callers may not take the processor from them.
            sleep_until(pace.turn(Instant::now())).await;
            let acceptor = self.clone();
            self.tasks.spawn(async move {
                let admitted = acceptor.admit(incoming).await;
                drop(permit);
                if let Some((connection, lane, peer)) = admitted {
                    acceptor.enter(connection, lane, peer).await;
                }
            });
        }
    }

    /// The handshake; a failure is counted by reason.
    async fn admit(&self, incoming: Incoming) -> Option<(quinn::Connection, LinkLane, Admitted)> {
        let remote = incoming.remote_address();
        match self.handshake(incoming).await {
            Ok(admitted) => {
                self.reached.accepted(remote, Instant::now());
                Some(admitted)
            }
            Err(reason) => {
                self.refusals.count(reason);
                if reason.is_of_the_caller() && !self.failed().take(source(remote), Instant::now()) {
                    tracing::debug!(%remote, "does not answer for a while");
                }
                tracing::info!(%remote, %reason, "refused a connection");
                None
            }
        }
    }

    async fn handshake(&self, incoming: Incoming) -> Result<(quinn::Connection, LinkLane, Admitted), Refusal> {
        let door = Door::new(self.gate.standing());
        let config = server_config(&door, self.settings.accepted()).map_err(|error| {
            tracing::error!(%error, "no TLS configuration for a caller");
            Refusal::Transport
        })?;
        let judged = |error: ConnectionError| match (door.verdict(), error) {
            (Some(Err(refusal)), _) => refusal,
            (_, ConnectionError::ConnectionClosed(close)) if alert(u64::from(close.error_code)).is_some() => {
                Refusal::ByPeer
            }
            (_, ConnectionError::TimedOut) => Refusal::Timeout,
            (_, _) => Refusal::Transport,
        };
        let connecting = incoming.accept_with(Arc::new(config)).map_err(judged)?;
        let connection = tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting)
            .await
            .map_err(|_elapsed| Refusal::Timeout)?
            .map_err(judged)?;
        let lane = door.lane().ok_or(Refusal::BadAlpn)?;
        let peer = door.verdict().ok_or(Refusal::Malformed)??;
        Ok((connection, lane, peer))
    }

    async fn enter(&self, connection: quinn::Connection, lane: LinkLane, peer: Admitted) {
        if lane == LinkLane::Join {
            if !self.join.allows(connection.remote_address().ip()) {
                self.refusals.count(Refusal::RateLimited);
                Close::RateLimited.close(&connection);
                return;
            }
            connection.set_max_concurrent_bi_streams(1_u32.into());
        }
        if let Err(error) = greet(&connection).await {
            tracing::debug!(%error, "a caller left before it was greeted");
            return;
        }
        match (lane, peer.member.clone()) {
            (LinkLane::Join, _) => self.join.serve(connection, peer.presented.transport).await,
            (LinkLane::Ctl, Some(member)) => {
                let inbound = Inbound { connection, member };
                if let Err(error) = self.ctl.try_send(inbound) {
                    Close::Overloaded.close(&error.into_inner().connection);
                }
            }
            (LinkLane::Rpc, Some(member)) => {
                serve_rpc(&connection);
                self.links.adopt_inbound(connection, &peer.presented, member);
            }
            (LinkLane::Bulk, Some(member)) => self.bulk.serve(connection, member).await,
            (LinkLane::Relay, Some(member)) => self.relay.serve(connection, member).await,
            (LinkLane::Ctl | LinkLane::Rpc | LinkLane::Bulk | LinkLane::Relay, None) => {
                unreachable!("the door admits callers without membership on the join lane only")
            }
        }
    }
}

/// The configuration for one caller.
pub(super) fn server_config(door: &Arc<Door>, transport: Arc<TransportConfig>) -> Result<ServerConfig, TlsConfigError> {
    let mut config = door.clone().config()?;
    config.transport_config(transport);
    config.validation_token.sent(0);
    config.max_incoming(PENDING_MAX);
    config.incoming_buffer_size_total(INCOMING_BUFFER_BYTES);
    Ok(config)
}

/// First flights that may wait for their handshake, bytes in all.
const INCOMING_BUFFER_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_begun_at_once_and_then_one_after_the_other() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let turns = |pace: &mut Pace, now, count| (0..count).map(|_| pace.turn(now)).collect::<Vec<_>>();
        assert!(turns(&mut pace, start, HANDSHAKE_BURST + 1).iter().all(|turn| *turn == start));
        let waits = turns(&mut pace, start, HANDSHAKES_PER_S);
        assert!(waits.is_sorted() && waits[HANDSHAKES_PER_S as usize - 1] == start + Duration::from_secs(1));
        let later = start + Duration::from_secs(60);
        assert!(turns(&mut pace, later, HANDSHAKE_BURST + 1).iter().all(|turn| *turn == later));
        assert!(pace.turn(later) > later);
    }
}
