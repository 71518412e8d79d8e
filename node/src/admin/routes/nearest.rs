//! Who would answer for a model.

use axum::Json;
use axum::extract::{Query, State};
use hedgerow_protocol::name::ModelName;
use serde::Deserialize;
use serde_json::Value;

use crate::admin::state::AdminState;
use crate::api::{Problem, ranking_json};

/// Query of `/admin/v1/nearest`.
#[derive(Debug, Deserialize)]
pub(in crate::admin) struct NearestQuery {
    model: String,
}

pub(in crate::admin) async fn nearest(
    State(state): State<AdminState>,
    Query(query): Query<NearestQuery>,
) -> Result<Json<Value>, Problem> {
    let model = ModelName::new(&query.model).map_err(|error| {
        Problem::bad_request("name-malformed", format!("'{}' is no model's name: {error}", query.model))
    })?;
    let ranking = state.api.router.ranking(model, None, None);
    Ok(Json(ranking_json(&state.api.core.view(), &ranking)))
}
