//! Reaching a member, or finding out why an address refuses.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::link::Address as _;
use serde::Deserialize;

use crate::admin::state::AdminState;
use crate::admin::wire::PingReport;
use crate::api::Problem;
use crate::net::{DialError, DialReport, Protocol};
use crate::observe::chain;

/// The name under which nodes answer a ping with its own bytes.
pub const PING_PROTOCOL: Protocol = Protocol::new("ping/1");

const PATIENCE: Duration = Duration::from_secs(3);

/// Body of `POST /admin/v1/ping`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct PingBody {
    target: String,
}

pub(in crate::admin) async fn ping(
    State(state): State<AdminState>,
    Json(body): Json<PingBody>,
) -> Result<Json<PingReport>, Problem> {
    match body.target.parse::<SocketAddr>() {
        Ok(address) => Ok(Json(dialled(address, &state.net.dial(address).await))),
        Err(_not_an_address) => ping_member(&state, &body.target).await.map(Json),
    }
}

/// A member by its id, or by the first characters of it where they name one alone.
fn member(state: &AdminState, target: &str) -> Result<NodeId, Problem> {
    let view = state.api.core.view();
    let mut found = view.members.keys().filter(|node| node.to_string().starts_with(target));
    match (found.next(), found.next()) {
        (Some(node), None) if !target.is_empty() => Ok(*node),
        (Some(_), Some(_)) => {
            Err(Problem::bad_request("target-ambiguous", format!("several members begin with '{target}'"))
                .remedy("give more characters of the id"))
        }
        _ => {
            Err(Problem::not_found("target-unknown", format!("no member begins with '{target}', and it is no IP:PORT"))
                .remedy("list the members with `hedgerow members`"))
        }
    }
}

async fn ping_member(state: &AdminState, target: &str) -> Result<PingReport, Problem> {
    let node = member(state, target)?;
    let view = state.api.core.view();
    let address = view
        .members
        .get(&node)
        .and_then(|member| member.addresses.iter().find(|address| !address.is_relayed()))
        .map(ToString::to_string);
    let asked = PingReport { node: Some(node.to_string()), address, ..PingReport::default() };
    if node == view.me {
        return Ok(PingReport { reached: true, rtt_ms: Some(0.0), ..asked });
    }
    let sent = Instant::now();
    Ok(match state.net.request(node, PING_PROTOCOL, Bytes::from_static(b"ping"), PATIENCE).await {
        Ok(_echo) => PingReport { reached: true, rtt_ms: Some(ms(sent.elapsed())), ..asked },
        Err(error) => {
            let remedy = "dial its address with `hedgerow ping IP:PORT` to see who answers there".to_owned();
            PingReport { reason: Some(chain(&error)), remedy: Some(remedy), ..asked }
        }
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn dialled(address: SocketAddr, report: &DialReport) -> PingReport {
    let node = report.theirs.as_ref().and_then(|theirs| theirs.as_ref().ok()).and_then(|answerer| answerer.node);
    let asked = PingReport { address: Some(address.to_string()), ..PingReport::default() };
    match (&report.outcome, node) {
        (Ok(()), Some(node)) => {
            PingReport { reached: true, node: Some(node.to_string()), rtt_ms: report.rtt.map(ms), ..asked }
        }
        (Ok(()), None) => PingReport { reason: Some("whoever answers is no member".to_owned()), ..asked },
        (Err(error), _) => PingReport { reason: Some(chain(error)), remedy: Some(remedy(error).to_owned()), ..asked },
    }
}

fn remedy(error: &DialError) -> &'static str {
    match error {
        DialError::Timeout => "see that a node runs there and that UDP reaches it",
        DialError::RefusedByUs { .. } => "another mesh, or an expired or revoked member, answers there",
        DialError::RefusedByPeer { .. } => "compare the mesh on both sides with `hedgerow status`",
        DialError::Broken(_) | DialError::Relay(_) | DialError::Address(_) | DialError::Tls(_) => "see this node's log",
    }
}
