//! Tickets, on a node that may issue them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hedgerow_attest::membership::{Role, Roles};
use hedgerow_attest::name::FailureDomain;
use hedgerow_attest::region::Region;
use hedgerow_attest::ticket::ADDRESSES_MAX;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::link::Address as _;
use hedgerow_protocol::view::MemberState;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::state::AdminState;
use crate::api::Problem;
use crate::identity::{InviteTerms, Issuer, IssuerError};
use crate::observe::wall;

/// A ticket lives this long at most.
const TTL_S_MAX: u64 = 30 * 86_400;
/// A ticket admits this many nodes at most.
const USES_MAX: u32 = 1_000;

/// Members that a ticket names beside its issuer.
const GUIDES_MAX: usize = 3;

/// Body of `POST /admin/v1/invites`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct InviteBody {
    ttl_s: u64,
    uses: u32,
    region: Option<String>,
    domain: Option<String>,
    /// `voter`, `replica`, `worker`; all of them where nothing is said.
    roles: Option<Vec<String>>,
}

pub(in crate::admin) async fn invite(
    State(state): State<AdminState>,
    Json(body): Json<InviteBody>,
) -> Result<Json<Value>, Problem> {
    let region = match &body.region {
        None => state.about.region.clone(),
        Some(text) => text
            .parse::<Region>()
            .map_err(|error| Problem::bad_request("region-malformed", format!("'{text}' is no region: {error}")))?,
    };
    if !(1..=TTL_S_MAX).contains(&body.ttl_s) || !(1..=USES_MAX).contains(&body.uses) {
        let detail = format!("a ticket lives 1 to {TTL_S_MAX} seconds and admits 1 to {USES_MAX} nodes");
        return Err(Problem::bad_request("invite-out-of-bounds", detail));
    }
    let domain = body.domain.as_deref().map(str::parse::<FailureDomain>).transpose();
    let domain =
        domain.map_err(|error| Problem::bad_request("domain-malformed", format!("no failure domain: {error}")))?;
    let roles = body.roles.as_deref().map_or(Ok(Roles::all()), roles)?;
    let not_after = wall().unix_seconds().plus_s(body.ttl_s);
    let invited = Invited { region: region.clone(), roles, domain, uses: body.uses, not_after };
    let ticket = write_ticket(&state, invited).await?;
    Ok(Json(json!({ "ticket": ticket, "region": region.to_string(), "uses": body.uses, "ttl_s": body.ttl_s })))
}

/// Who may join with a ticket.
#[derive(Clone, Debug)]
pub struct Invited {
    /// Where they are.
    pub region: Region,
    /// What they may be asked to do.
    pub roles: Roles,
    /// What they would fail together with.
    pub domain: Option<FailureDomain>,
    /// How many they are.
    pub uses: u32,
    /// Until when, inclusive.
    pub not_after: UnixSeconds,
}

/// A ticket whose invitation is durable.
pub async fn write_ticket(state: &AdminState, invited: Invited) -> Result<String, Problem> {
    let now = wall().unix_seconds();
    let issuer = may_issue(state, now)?;
    let Invited { region, roles, domain, uses, not_after } = invited;
    // Nobody but the node that the root names gives a region its first cell, and that one has to know its first member.
    if !issuer.founds(&region) && state.api.core.roster().birth_of(&region).is_none() {
        let founder = state.root.genesis_issuer(&region);
        let detail = format!("region {region} has no cell yet, and node {founder} alone may found one");
        return Err(Problem::new(StatusCode::CONFLICT, "region-without-cell", detail)
            .remedy("have that node invite the first member of the region"));
    }
    if !roles.contains(Role::Voter) && state.api.core.roster().birth_of(&region).is_none() {
        let detail = format!("region {region} has no cell yet, and its first member has to be a voter");
        return Err(Problem::new(StatusCode::CONFLICT, "region-without-voter", detail)
            .remedy("invite its first member with the role voter"));
    }
    let addresses = addresses(state);
    let terms = InviteTerms { addresses, region, roles, domain, uses, not_after };
    let (id, invite, ticket) = issuer.invite(&terms).map_err(|error| not_issued(&error))?;
    let stored = state.store.add_invite(id, invite, now).await.await;
    stored.map_err(|error| Problem::because(StatusCode::SERVICE_UNAVAILABLE, "invite-not-stored", &error))?;
    Ok(ticket.encode())
}

/// This node's own addresses, then those of members near it, who lead to it should it be elsewhere when the ticket is used.
fn addresses(state: &AdminState) -> Vec<SocketAddr> {
    let view = state.api.core.view();
    let mut others: Vec<_> = view
        .members
        .values()
        .filter(|member| member.node != view.me && member.state == MemberState::Alive)
        .filter_map(|member| {
            Some((member.rtt_us.unwrap_or(u64::MAX), member.addresses.iter().find(|address| !address.is_relayed())?))
        })
        .collect();
    others.sort();
    others.truncate(GUIDES_MAX);
    let own = state.about.advertised.iter().take(ADDRESSES_MAX - others.len());
    own.copied().chain(others.into_iter().map(|(_, address)| *address)).collect()
}

/// The right of this node, if it holds.
fn may_issue(state: &AdminState, now: UnixSeconds) -> Result<Arc<Issuer>, Problem> {
    let forbidden =
        |detail: String, remedy: &str| Problem::new(StatusCode::FORBIDDEN, "not-an-issuer", detail).remedy(remedy);
    match state.appointments.issuing().borrow().clone() {
        None => Err(forbidden(
            "this node may not issue: nobody delegated to it".to_owned(),
            "ask an issuer for a ticket: `hedgerow issuer ls` lists them, `hedgerow issuer add` makes this node one",
        )),
        Some(ended) if ended.until() < now => Err(forbidden(
            format!("the right of this node to issue ended at {}", ended.until()),
            "have an operator give it again: `hedgerow issuer add`",
        )),
        Some(issuer) => Ok(issuer),
    }
}

fn roles(names: &[String]) -> Result<Roles, Problem> {
    let none = Roles::default();
    let roles = names.iter().try_fold(none, |roles, name| match name.as_str() {
        "voter" => Ok(roles.with(Role::Voter)),
        "replica" => Ok(roles.with(Role::Replica)),
        "worker" => Ok(roles.with(Role::Worker)),
        other => Err(Problem::bad_request("role-unknown", format!("'{other}' is no role"))
            .remedy("roles are voter, replica and worker")),
    })?;
    if roles == none {
        return Err(
            Problem::bad_request("role-missing", "a member has a role").remedy("leave --roles out for all of them")
        );
    }
    Ok(roles)
}

fn not_issued(error: &IssuerError) -> Problem {
    Problem::because(StatusCode::INTERNAL_SERVER_ERROR, "invite-failed", error)
}
