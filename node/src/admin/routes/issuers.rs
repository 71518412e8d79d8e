//! Who may issue certificates, and giving a node the right to.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use data_encoding::HEXLOWER;
use hedgerow_attest::delegation::{Delegation, DelegationError};
use hedgerow_attest::endorsed::{Endorsed, EndorsedError};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::time::UnixSeconds;

use super::named::named;
use crate::admin::state::AdminState;
use crate::admin::wire::{AppointmentReport, DelegationDraft, IssuerRow};
use crate::api::Problem;
use crate::identity::{AppointmentAnswer, AppointmentRefusal, delegations_to, issues};
use crate::net::Protocol;
use crate::observe::{chain, wall};

/// The name under which a node takes in a delegation to itself.
pub const APPOINT_PROTOCOL: Protocol = Protocol::new("issuer/appoint/1");

/// The node writes a file before it answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// The members that issued their own certificates, oldest right first.
pub(in crate::admin) async fn list(State(state): State<AdminState>) -> Json<Vec<IssuerRow>> {
    let (view, roster) = (state.api.core.view(), state.api.core.roster());
    let root = state.root.content();
    let mut issuers: Vec<_> =
        roster.members().filter(|member| issues(member)).map(|member| (until(member), member)).collect();
    issuers.sort_by_key(|(until, member)| (*until, member.node()));
    let row = |(until, member): (UnixSeconds, &Member)| {
        let node = member.node();
        let issued = roster.members().filter(|other| other.issuer() == node).count();
        IssuerRow {
            node: node.to_string(),
            me: node == view.me,
            state: view.members.get(&node).map_or_else(|| "unknown".to_owned(), |seen| seen.state.to_string()),
            until: until.to_string(),
            issued: u64::try_from(issued).unwrap_or(u64::MAX),
            founds: root.genesis.default == node,
        }
    };
    Json(issuers.into_iter().map(row).collect())
}

/// What an operator has to sign.
pub(in crate::admin) async fn draft(
    State(state): State<AdminState>,
    Path(target): Path<String>,
) -> Result<Json<DelegationDraft>, Problem> {
    let node = named(&state, &target)?;
    let roster = state.api.core.roster();
    let member = roster.member(&node).ok_or_else(|| no_member(&node))?;
    Ok(Json(DelegationDraft {
        node: node.to_string(),
        mesh: state.root.mesh().to_string(),
        certificate: HEXLOWER.encode(&member.certificate().to_bytes()),
        serial: delegations_to(member).saturating_add(1),
        lifetime_s_max: state.root.lifetimes().delegation_s,
    }))
}

/// Brings a delegation that enough operators signed to the node that it is for.
pub(in crate::admin) async fn appoint(
    State(state): State<AdminState>,
    body: Bytes,
) -> Result<Json<AppointmentReport>, Problem> {
    let now = wall().unix_seconds();
    let endorsed = Endorsed::<Delegation>::from_bytes(&body).map_err(|error| malformed(&chain(&error)))?;
    let delegation = Delegation::open(&endorsed, &state.root, now, state.root.skew_s());
    let delegation = delegation.map_err(|error| not_given(&error))?;
    let node = delegation.issuer;
    let answer = if node == state.api.core.view().me {
        state.appointments.answer(body, now).await
    } else {
        state.api.core.roster().member(&node).ok_or_else(|| no_member(&node))?;
        let answer = state.net.request(node, APPOINT_PROTOCOL, body, PATIENCE).await;
        let answer = answer.map_err(|error| {
            let detail = format!("cannot bring the delegation to node {node}: {}", chain(&error));
            Problem::unavailable("issuer-unreachable", detail)
                .remedy("see that it runs and is of this release: `hedgerow ping NODE`")
        })?;
        AppointmentAnswer::decode(&answer)
            .ok_or_else(|| Problem::unavailable("issuer-unreadable", "the node's answer is none; upgrade it"))?
    };
    match answer {
        AppointmentAnswer::Taken { until } => {
            Ok(Json(AppointmentReport { node: node.to_string(), until: until.to_string() }))
        }
        AppointmentAnswer::Refused(refusal) => Err(refused(&refusal)),
    }
}

/// Last second of the right in an issuer's own certificate.
fn until(issuer: &Member) -> UnixSeconds {
    let delegation = issuer.certificate().delegation.peek();
    delegation.map_or(issuer.not_after(), |delegation| delegation.not_after)
}

fn no_member(node: &NodeId) -> Problem {
    Problem::not_found("target-unknown", format!("node {node} is no member that is known here"))
        .remedy("list the members with `hedgerow members`")
}

fn malformed(detail: &str) -> Problem {
    Problem::bad_request("delegation-malformed", detail)
        .remedy("take a file that `hedgerow issuer add NODE --out FILE` wrote")
}

fn not_given(error: &DelegationError) -> Problem {
    let problem = |status| Problem::new(status, "delegation-refused", chain(error));
    match error {
        DelegationError::Endorsement(EndorsedError::BelowThreshold { .. }) => problem(StatusCode::CONFLICT)
            .remedy("write it with --out FILE and let another operator `hedgerow issuer add --file FILE`"),
        DelegationError::Lifetime { max_s, .. } => {
            problem(StatusCode::CONFLICT).remedy(format!("give it at most {max_s} s: --for {max_s}s"))
        }
        DelegationError::Validity(_) => {
            problem(StatusCode::CONFLICT).remedy("set the clock that is wrong, and sign it again")
        }
        DelegationError::Endorsement(_) | DelegationError::UnsupportedVersion(_) | DelegationError::OtherMesh(_) => {
            problem(StatusCode::FORBIDDEN).remedy("sign with a membership key that the mesh's root names: --key FILE")
        }
    }
}

fn refused(refusal: &AppointmentRefusal) -> Problem {
    let problem = Problem::new(StatusCode::CONFLICT, "appointment-refused", refusal.to_string());
    match refusal {
        AppointmentRefusal::NoLater { .. } => problem.remedy("nothing has to be done, or give it a longer right"),
        AppointmentRefusal::BeforeCertificate { .. } => {
            problem.remedy("give it a longer right: leave --for out for the longest")
        }
        AppointmentRefusal::Malformed
        | AppointmentRefusal::UnsupportedVersion { .. }
        | AppointmentRefusal::NotSigned
        | AppointmentRefusal::OtherMesh { .. }
        | AppointmentRefusal::OtherNode { .. }
        | AppointmentRefusal::OtherKey
        | AppointmentRefusal::TooLong { .. }
        | AppointmentRefusal::NotNow { .. }
        | AppointmentRefusal::Unavailable => problem,
    }
}
