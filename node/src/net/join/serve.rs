//! The issuer's side of the join lane.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use hedgerow_attest::key::PublicKey;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::exporter;
use crate::net::allowance::Allowance;
use crate::net::close::Close;
use crate::net::event::{NetEvent, Respond};
use crate::net::limits::{
    JOIN_ANSWER_BYTES_MAX, JOIN_BODY_BYTES_MAX, JOIN_BURST_PER_IP, JOIN_IPS_MAX, JOIN_REFILL, JOIN_TIMEOUT,
};
use crate::net::rpc::{FrameError, read_block, write_block};

/// Takes enrolments; clones share the allowance per address.
#[derive(Clone, Debug)]
pub(in crate::net) struct JoinServer {
    events: mpsc::Sender<NetEvent>,
    allowance: Arc<Mutex<Allowance<IpAddr>>>,
}

impl JoinServer {
    pub(in crate::net) fn new(events: mpsc::Sender<NetEvent>) -> Self {
        let allowance = Allowance::new(JOIN_BURST_PER_IP, JOIN_REFILL, JOIN_IPS_MAX);
        Self { events, allowance: Arc::new(Mutex::new(allowance)) }
    }

    /// Whether another join from this address is taken.
    pub(in crate::net) fn allows(&self, ip: IpAddr) -> bool {
        let mut allowance = self.allowance.lock().expect("no holder of the lock panics");
        allowance.take(ip.to_canonical(), Instant::now())
    }

    /// Serves one caller, who proved to hold `transport`.
    pub(in crate::net) async fn serve(&self, connection: quinn::Connection, transport: PublicKey) {
        let remote = connection.remote_address();
        match timeout(JOIN_TIMEOUT, self.exchange(&connection, transport)).await {
            Ok(Ok(())) => {
                // The caller closes once it has the answer; closing first could cut it off.
                if timeout(JOIN_TIMEOUT, connection.closed()).await.is_err() {
                    Close::Done.close(&connection);
                }
            }
            Ok(Err(error)) => {
                tracing::info!(%remote, %error, "a join broke off");
                Close::Protocol.close(&connection);
            }
            Err(_elapsed) => {
                tracing::info!(%remote, "a join took too long");
                Close::Protocol.close(&connection);
            }
        }
    }

    async fn exchange(&self, connection: &quinn::Connection, transport: PublicKey) -> Result<(), FrameError> {
        let (mut send, mut recv) = connection.accept_bi().await.map_err(FrameError::connection)?;
        let body = read_block(&mut recv, JOIN_BODY_BYTES_MAX).await?;
        let (respond, answer) = Respond::channel();
        let request = NetEvent::JoinRequest {
            remote: connection.remote_address(),
            transport,
            exporter: exporter(connection),
            body,
            respond,
        };
        let unanswered = || FrameError::Stream(std::io::ErrorKind::ConnectionAborted.into());
        self.events.send(request).await.map_err(|_closed| unanswered())?;
        let answer = answer.await.map_err(|_dropped| unanswered())?;
        write_block(&mut send, &answer, JOIN_ANSWER_BYTES_MAX).await?;
        send.finish().map_err(|closed| FrameError::Stream(closed.into()))
    }
}
