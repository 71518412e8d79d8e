//! Tickets, on a node that may issue them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::state::AdminState;
use crate::api::Problem;
use crate::identity::{InviteTerms, IssuerError};
use crate::observe::wall;
use hedgerow_attest::membership::Roles;
use hedgerow_attest::name::FailureDomain;
use hedgerow_attest::region::Region;

/// A ticket lives this long at most.
const TTL_S_MAX: u64 = 30 * 86_400;
/// A ticket admits this many nodes at most.
const USES_MAX: u32 = 1_000;

/// Body of `POST /admin/v1/invites`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct InviteBody {
    ttl_s: u64,
    uses: u32,
    region: Option<String>,
    domain: Option<String>,
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
    let ticket = write_ticket(&state, region.clone(), domain, body.ttl_s, body.uses).await?;
    Ok(Json(json!({ "ticket": ticket, "region": region.to_string(), "uses": body.uses, "ttl_s": body.ttl_s })))
}

/// A ticket whose invitation is durable.
pub async fn write_ticket(
    state: &AdminState,
    region: Region,
    domain: Option<FailureDomain>,
    ttl_s: u64,
    uses: u32,
) -> Result<String, Problem> {
    let Some(issuer) = &state.issuer else {
        let detail = "this node may not issue: nobody delegated to it";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not-an-issuer", detail)
            .remedy("ask the node that founded the mesh for a ticket"));
    };
    let now = wall().unix_seconds();
    let terms = InviteTerms {
        addresses: state.about.advertised.clone(),
        region,
        roles: Roles::all(),
        domain,
        uses,
        not_after: now.plus_s(ttl_s),
    };
    let (id, invite, ticket) = issuer.invite(&terms).map_err(|error| not_issued(&error))?;
    let stored = state.store.add_invite(id, invite, now).await.await;
    stored.map_err(|error| Problem::because(StatusCode::SERVICE_UNAVAILABLE, "invite-not-stored", &error))?;
    Ok(ticket.encode())
}

fn not_issued(error: &IssuerError) -> Problem {
    Problem::because(StatusCode::INTERNAL_SERVER_ERROR, "invite-failed", error)
}
