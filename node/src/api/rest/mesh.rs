//! Who is in the mesh, and who would answer.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;

use crate::admin::wire::{MemberRow, NearestReport};
use crate::api::problem::Problem;
use crate::api::published;
use crate::api::ranking;
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
) -> Result<Json<NearestReport>, Problem> {
    let model = published::model_name(&query.model)?;
    let view = state.core.view();
    if published::find(&view, &model, None).is_none() {
        return Err(published::unlisted(&query.model));
    }
    let ranking = state.router.ranking(model, None, None);
    Ok(Json(ranking::report(&view, &ranking)))
}
