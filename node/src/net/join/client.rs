//! The joining side. It works on a node without a membership and without a root.

use std::net::SocketAddr;

use bytes::Bytes;
use hedgerow_attest::peer_id::PeerId;
use tokio::time::timeout;

use super::exporter;
use crate::net::close::Close;
use crate::net::dial::{DialError, Dialer};
use crate::net::lane::LinkLane;
use crate::net::limits::{JOIN_ANSWER_BYTES_MAX, JOIN_BODY_BYTES_MAX, JOIN_TIMEOUT};
use crate::net::refusal::Refusal;
use crate::net::rpc::{FrameError, read_block, write_block};
use crate::net::tls::Expected;

/// Why an enrolment did not come to an answer. Whether the issuer counted a use is unknown after
/// [`JoinError::Broken`] and [`JoinError::Timeout`]; the same ticket may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The issuer could not be reached, or somebody else answered at its address.
    #[error("reach the issuer at {address}")]
    Dial {
        /// Where the ticket says it is.
        address: SocketAddr,
        /// What happened.
        #[source]
        source: DialError,
    },
    /// The connection broke, or the issuer gave no answer.
    #[error("the issuer broke off")]
    Broken(#[source] FrameError),
    /// No answer in time.
    #[error("no answer of the issuer within {} s", JOIN_TIMEOUT.as_secs())]
    Timeout,
}

impl JoinError {
    /// Whether somebody else than the issuer answered at the address.
    pub fn is_someone_else(&self) -> bool {
        matches!(self, Self::Dial { source: DialError::RefusedByUs { reason: Refusal::WrongPeer }, .. })
    }
}

pub(in crate::net) async fn join(
    dialer: &Dialer,
    address: SocketAddr,
    issuer: PeerId,
    body: impl FnOnce(&[u8; 32]) -> Bytes + Send,
) -> Result<Bytes, JoinError> {
    let dialled = dialer.dial(address, LinkLane::Join, Expected::Issuer(issuer)).await;
    let connection = dialled.map_err(|source| JoinError::Dial { address, source })?.connection;
    let body = body(&exporter(&connection));
    exchange(&connection, &body).await
}

/// Asks whoever answers there; nothing that it says is proven.
pub(in crate::net) async fn ask_guide(dialer: &Dialer, address: SocketAddr, body: &[u8]) -> Result<Bytes, JoinError> {
    let dialled = dialer.dial(address, LinkLane::Join, Expected::Guide).await;
    let connection = dialled.map_err(|source| JoinError::Dial { address, source })?.connection;
    exchange(&connection, body).await
}

async fn exchange(connection: &quinn::Connection, body: &[u8]) -> Result<Bytes, JoinError> {
    let exchange = async {
        let (mut send, mut recv) = connection.open_bi().await.map_err(FrameError::connection)?;
        write_block(&mut send, body, JOIN_BODY_BYTES_MAX).await?;
        send.finish().map_err(|closed| FrameError::Stream(closed.into()))?;
        read_block(&mut recv, JOIN_ANSWER_BYTES_MAX).await
    };
    let answer = timeout(JOIN_TIMEOUT, exchange).await;
    Close::Done.close(connection);
    answer.map_err(|_elapsed| JoinError::Timeout)?.map_err(JoinError::Broken)
}
