//! Dialling: one handshake, judged by both sides before it counts as done.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::select_ok;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::peer_id::PeerId;
use quinn::{ConnectionError, Endpoint};

use super::close::Close;
use super::lane::LinkLane;
use super::limits::DIAL_TIMEOUT;
use super::quic::Settings;
use super::refusal::{Refusal, Refusals};
use super::relay::{Reached, RelayError};
use super::tls::{Admitted, Caller, Expected, TlsConfigError};
use super::trust::Gate;

/// Why a dial did not end in a connection. Nothing was exchanged beyond the handshake.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No answer in time; the address may be wrong, or a firewall silent.
    #[error("no answer within {} s", DIAL_TIMEOUT.as_secs())]
    Timeout,
    /// We do not accept the certificate of whoever answers there.
    #[error("refused the peer: {reason}")]
    RefusedByUs {
        /// What is wrong with it.
        reason: Refusal,
    },
    /// The peer does not accept us.
    #[error("refused by the peer: {}", reason.map_or("reason not told", Refusal::name))]
    RefusedByPeer {
        /// What its alert or close code says.
        reason: Option<Refusal>,
    },
    /// The connection broke.
    #[error("the connection broke during the handshake")]
    Broken(#[source] ConnectionError),
    /// The address cannot be dialled from this socket.
    #[error("the address cannot be dialled")]
    Address(#[source] quinn::ConnectError),
    /// There is no way through the relay that the address names.
    #[error("reach the node through a relay")]
    Relay(#[source] RelayError),
    /// TLS could not be set up.
    #[error("set up TLS for a dial")]
    Tls(#[source] TlsConfigError),
}

impl DialError {
    /// Whether the peer says that this node is no member, or none any more.
    pub(super) fn is_of_trust(&self) -> bool {
        matches!(self, Self::RefusedByPeer { reason: Some(Refusal::Revoked | Refusal::Expired) })
    }
}

/// An established connection and who is at its other end.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) connection: quinn::Connection,
    pub(super) peer: Admitted,
}

/// Makes outbound connections of every lane.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    pub(super) endpoint: Endpoint,
    pub(super) gate: Arc<Gate>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) settings: Settings,
    pub(super) reached: Reached,
}

impl Dialer {
    /// Dials all addresses at once and keeps the first that answers as expected.
    pub(super) async fn dial_any(
        &self,
        addresses: &[SocketAddr],
        lane: LinkLane,
        expected: Expected,
    ) -> Result<Dialled, DialError> {
        let attempts = addresses.iter().map(|address| Box::pin(self.dial(*address, lane, expected)));
        let (dialled, others) = select_ok(attempts).await?;
        drop(others);
        Ok(dialled)
    }

    /// Dials one address. Ends only after the acceptor's greeting, because a TLS 1.3 client is
    /// "connected" before the server has judged its certificate.
    pub(super) async fn dial(
        &self,
        address: SocketAddr,
        lane: LinkLane,
        expected: Expected,
    ) -> Result<Dialled, DialError> {
        let caller = Caller::new(self.gate.standing(), expected);
        let result = self.attempt(address, lane, &caller).await;
        if let Err(DialError::RefusedByUs { reason }) = &result {
            self.refusals.count(*reason);
        }
        let connection = result?;
        match caller.verdict() {
            Some(Ok(peer)) => Ok(Dialled { connection, peer }),
            Some(Err(reason)) => Err(DialError::RefusedByUs { reason }),
            None => Err(DialError::RefusedByUs { reason: Refusal::Malformed }),
        }
    }

    /// A handshake for diagnosis: shows our membership to whoever answers, and reports both judgements.
    pub(super) async fn diagnose(&self, address: SocketAddr) -> DialReport {
        let start = Instant::now();
        let caller = Caller::new(self.gate.standing(), Expected::Anyone);
        let result = self.attempt(address, LinkLane::Bulk, &caller).await;
        let elapsed = start.elapsed();
        let verdict = caller.verdict();
        let rtt = result.as_ref().ok().map(quinn::Connection::rtt);
        if let Ok(connection) = &result {
            Close::Done.close(connection);
        }
        let theirs = match verdict {
            None => None,
            Some(Ok(Admitted { presented, member })) => {
                Some(Ok(Answerer { peer: presented.peer, node: member.map(|member| member.node()) }))
            }
            Some(Err(reason)) => Some(Err(reason)),
        };
        let outcome = match (result, &theirs) {
            (Ok(_), Some(Err(reason))) => Err(DialError::RefusedByUs { reason: *reason }),
            (Ok(_), _) => Ok(()),
            (Err(error), _) => Err(error),
        };
        DialReport { address, outcome, theirs, rtt, elapsed }
    }

    async fn attempt(
        &self,
        address: SocketAddr,
        lane: LinkLane,
        caller: &Arc<Caller>,
    ) -> Result<quinn::Connection, DialError> {
        let mut config = caller.clone().config(lane).map_err(DialError::Tls)?;
        config.transport_config(self.settings.dialled(lane));
        self.reached.sends(address, tokio::time::Instant::now());
        let connecting = self.endpoint.connect_with(config, address, SERVER_NAME).map_err(DialError::Address)?;
        let handshake = async {
            let connection = connecting.await?;
            let mut greeting = connection.accept_uni().await?;
            let mut version = [0];
            match greeting.read_exact(&mut version).await {
                Ok(()) if version == [GREETING] => Ok(connection),
                Ok(()) => {
                    Close::Protocol.close(&connection);
                    Err(ConnectionError::LocallyClosed)
                }
                Err(_) => Err(connection.closed().await),
            }
        };
        match tokio::time::timeout(DIAL_TIMEOUT, handshake).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(explain(error, caller)),
            Err(_elapsed) => Err(DialError::Timeout),
        }
    }
}

/// Tells an accepted dialer that it was judged and admitted.
pub(super) async fn greet(connection: &quinn::Connection) -> Result<(), ConnectionError> {
    let mut greeting = connection.open_uni().await?;
    match greeting.write_all(&[GREETING]).await {
        Ok(()) => Ok(()), // dropping the stream finishes it
        Err(_) => Err(connection.closed().await),
    }
}

fn explain(error: ConnectionError, caller: &Caller) -> DialError {
    match error {
        ConnectionError::TransportError(_) if let Some(Err(reason)) = caller.verdict() => {
            DialError::RefusedByUs { reason }
        }
        ConnectionError::ConnectionClosed(close) => match alert(u64::from(close.error_code)) {
            Some(alert) => DialError::RefusedByPeer { reason: Refusal::from_alert(alert) },
            None => DialError::Broken(ConnectionError::ConnectionClosed(close)),
        },
        ConnectionError::ApplicationClosed(close) => DialError::RefusedByPeer {
            reason: match Close::from_code(close.error_code) {
                Some(Close::RateLimited) => Some(Refusal::RateLimited),
                Some(Close::Overloaded) => Some(Refusal::Overloaded),
                Some(Close::Trust) => Some(Refusal::Revoked),
                Some(
                    Close::Done
                    | Close::Shutdown
                    | Close::Duplicate
                    | Close::Protocol
                    | Close::Hangup
                    | Close::Unacknowledged
                    | Close::NotARelay,
                )
                | None => None,
            },
        },
        ConnectionError::TimedOut => DialError::Timeout,
        other => DialError::Broken(other),
    }
}

/// The TLS alert inside a QUIC transport error code (RFC 9001 §4.8).
pub(super) fn alert(code: u64) -> Option<u8> {
    code.checked_sub(0x100).and_then(|alert| u8::try_from(alert).ok())
}

/// What a diagnostic dial found.
#[derive(Debug)]
pub struct DialReport {
    /// The address dialled.
    pub address: SocketAddr,
    /// Whether both sides accepted each other.
    pub outcome: Result<(), DialError>,
    /// Our judgement on who answered; `None` when nobody did.
    pub theirs: Option<Result<Answerer, Refusal>>,
    /// Round trip of the handshake, when it succeeded.
    pub rtt: Option<Duration>,
    /// From the dial to its end.
    pub elapsed: Duration,
}

/// Who answered a diagnostic dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answerer {
    /// By transport key.
    pub peer: PeerId,
    /// By membership in our mesh.
    pub node: Option<NodeId>,
}

/// Sent as SNI and looked at by nobody: identities are in the certificates.
const SERVER_NAME: &str = "hedgerow";
/// The acceptor's one byte; a version of what follows on the connection.
const GREETING: u8 = 1;
