//! What this node is and how it is, whom it sees, and which sessions it holds.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use hedgerow_protocol::placement::Policy;
use hedgerow_protocol::view::MeshView;

use super::emulation;
use crate::admin::state::AdminState;
use crate::admin::wire::{
    CertificateReport, IssuingReport, LinkPath, Listening, LocalModel, MemberRow, NodeState, RelayReport, RightState,
    SocketTraffic, Status,
};
use crate::core::{aggregators, member_counts, member_rows};
use crate::exec::ShelfRow;
use crate::identity::{issues, renewable_from, right_ends_soon};
use crate::net::{Net, Relayed, Traffic};
use crate::observe::{Counters, ProcessStatus, wall};
use crate::session::LocalSession;

pub(in crate::admin) async fn status(State(state): State<AdminState>) -> Json<Status> {
    let view = state.api.core.view();
    let view = state.forgotten.hide(&view);
    let mut reasons = reasons(&view);
    let node_state = match (state.departure.is_asked(), reasons.is_empty()) {
        (true, _) => NodeState::Stopping,
        (false, true) => NodeState::Ready,
        (false, false) => NodeState::Starting,
    };
    if state.departure.is_asked() {
        reasons.push("leaving the mesh for good".to_owned());
    }
    reasons.extend(state.conditions.standing().into_iter().map(|condition| condition.told().to_owned()));
    let process = ProcessStatus::read(state.about.started);
    let models = state.api.shelf.rows();
    let Traffic { sent_bytes, received_bytes } = state.net.traffic();
    Json(Status {
        node: view.me.to_string(),
        peer: state.about.peer.to_string(),
        mesh: view.mesh.to_string(),
        region: state.about.region.to_string(),
        cell: view.cell.map(|cell| cell.to_string()),
        state: node_state,
        reasons,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: process.pid,
        uptime_ms: process.uptime_ms,
        listen: Listening { udp: state.net.local_addr(), rest: state.about.rest, admin: state.about.admin.clone() },
        certificate: Some(certificate(&state)),
        issuing: issuing(&state),
        members: member_counts(&view),
        aggregators: aggregators(&view),
        revoked: u64::try_from(state.api.core.roster().revoked().nodes().count()).unwrap_or(u64::MAX),
        refusals: refusals(&state.net, &state.counters),
        models: models.iter().map(local_model).collect(),
        emulation: state.net.emulation().map(emulation::report),
        memory_rss_bytes: process.memory_rss_bytes.unwrap_or(0),
        traffic: SocketTraffic { sent_bytes, received_bytes },
        relays: relays(&state),
    })
}

fn relays(state: &AdminState) -> RelayReport {
    let Relayed { is_open, members, carried_bytes } = state.net.relayed();
    RelayReport {
        waits_at: state.net.waits_at().borrow().iter().map(ToString::to_string).collect(),
        relays: is_open,
        members: u64::try_from(members).unwrap_or(u64::MAX),
        carried_bytes,
    }
}

fn certificate(state: &AdminState) -> CertificateReport {
    let own = state.own.borrow().clone();
    let issuers = state.api.core.roster().members().filter(|member| issues(member)).count();
    CertificateReport {
        issuer: own.issuer().to_string(),
        serial: own.serial(),
        renews_from: renewable_from(&own).to_string(),
        not_after: own.not_after().to_string(),
        failure: state.renewal_failure.borrow().clone(),
        issuers: u64::try_from(issuers).unwrap_or(u64::MAX),
    }
}

fn issuing(state: &AdminState) -> Option<IssuingReport> {
    let issuer = state.appointments.issuing().borrow().clone()?;
    let now = wall().unix_seconds();
    let right = if issuer.until() < now {
        RightState::Ended
    } else if right_ends_soon(&issuer, now) {
        RightState::EndsSoon
    } else {
        RightState::Holds
    };
    Some(IssuingReport { until: issuer.until().to_string(), state: right })
}

/// Why the node cannot do its work yet. It is a member with a network when it answers at all.
fn reasons(view: &MeshView) -> Vec<String> {
    let mut reasons = Vec::new();
    if view.cell.is_none() {
        reasons.push("the cell of this region is not known yet".to_owned());
    }
    let holds_sessions = |policy: &Policy| policy.classes.iter().any(|class| class.allows(&view.region));
    if view.policy.as_deref().is_some_and(holds_sessions)
        && view.cell.is_some_and(|cell| !view.placements.contains_key(&cell))
    {
        reasons.push("the sessions of this cell are not placed yet".to_owned());
    }
    if view.members.get(&view.me).is_none_or(|me| me.incarnation.0 == 0) {
        reasons.push("this node has not announced itself yet".to_owned());
    }
    reasons
}

/// Connections refused by the network and statements refused above it, since the start, by reason.
pub fn refusals(net: &Net, counters: &Counters) -> BTreeMap<String, u64> {
    let mut refusals = counters.family("refusals");
    for (reason, count) in net.refusals() {
        *refusals.entry(reason.to_owned()).or_default() += count;
    }
    refusals
}

pub(super) fn local_model(row: &ShelfRow) -> LocalModel {
    LocalModel {
        name: row.model.model.to_string(),
        version: row.model.version.to_string(),
        digest: row.manifest.to_string(),
        state: row.state.to_owned(),
        reason: row.reason.clone(),
    }
}

pub(in crate::admin) async fn members(State(state): State<AdminState>) -> Json<Vec<MemberRow>> {
    let mut rows = member_rows(&state.forgotten.hide(&state.api.core.view()), &state.api.core.roster());
    let paths: BTreeMap<String, LinkPath> =
        state.net.links().iter().map(|link| (link.node.to_string(), LinkPath::of(link.remote, link.relay))).collect();
    for row in &mut rows {
        row.path = paths.get(&row.node).cloned();
    }
    Json(rows)
}

pub(in crate::admin) async fn sessions(State(state): State<AdminState>) -> Json<Vec<LocalSession>> {
    Json(state.api.sessions.local().await)
}
