//! Forgetting a node that is gone.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hedgerow_protocol::view::MemberState;

use super::named::named;
use crate::admin::state::AdminState;
use crate::admin::wire::{ForgetReport, ForgetRequest};
use crate::api::Problem;
use crate::observe::Happening;

/// Forgets where a node was and that it was here. That it left or was put out stays known: else it could come back.
pub(in crate::admin) async fn forget(
    State(state): State<AdminState>,
    Json(request): Json<ForgetRequest>,
) -> Result<Json<ForgetReport>, Problem> {
    let node = named(&state, &request.target)?;
    let view = state.api.core.view();
    let has_left = view.members.get(&node).is_some_and(|member| member.state == MemberState::Left);
    if node == view.me || (!has_left && state.api.core.roster().member(&node).is_some()) {
        let detail = "it is a member, which comes back if it is only away";
        return Err(Problem::new(StatusCode::CONFLICT, "forget-member", detail)
            .remedy("have it leave with `hedgerow leave` there, or put it out with `hedgerow revoke NODE`"));
    }
    // First, so that nobody writes down again where it was.
    state.net.forget(node);
    let forgotten = state.forgotten.insert(node, &state.store).await;
    forgotten.map_err(|error| Problem::because(StatusCode::SERVICE_UNAVAILABLE, "storage", &error))?;
    state.events.record(Happening::Forgotten { node });
    Ok(Json(ForgetReport { node: node.to_string() }))
}
