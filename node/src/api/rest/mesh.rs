//! Who is in the mesh, and who would answer.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::Value;

use crate::admin::wire::MemberRow;
use crate::api::problem::Problem;
use crate::api::ranking::ranking_json;
use crate::api::state::ApiState;
use crate::core::member_rows;

/// Query of `/mesh/v1/nearest`.
#[derive(Debug, Deserialize)]
pub(super) struct NearestQuery {
    model: String,
}

pub(super) async fn members(State(state): State<ApiState>) -> Json<Vec<MemberRow>> {
    Json(member_rows(&state.core.view(), &state.core.roster()))
}

pub(super) async fn nearest(
    State(state): State<ApiState>,
    Query(query): Query<NearestQuery>,
) -> Result<Json<Value>, Problem> {
    let ranking = state.router.ranking(super::models::name(&query.model)?, None, None);
    Ok(Json(ranking_json(&state.core.view(), &ranking)))
}
