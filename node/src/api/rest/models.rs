//! What the Open Inference Protocol asks about the server and its models. The server is the mesh: a model is ready when some node answers.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hedgerow_inference::ir::{Dim, ValueInfo};
use hedgerow_protocol::name::{ModelName, ModelVersion};
use serde_json::{Value, json};

use crate::api::problem::{OipProblem, Problem};
use crate::api::state::ApiState;

pub(super) async fn server() -> Json<Value> {
    Json(json!({ "name": "hedgerow", "version": env!("CARGO_PKG_VERSION"), "extensions": ["model_repository"] }))
}

/// Clients of the protocol parse the bodies, so there is one.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let ready = state.core.view().cell.is_some();
    (status(ready), Json(json!({ "ready": ready }))).into_response()
}

pub(super) async fn metadata(
    State(state): State<ApiState>,
    Path(model): Path<String>,
) -> Result<Json<Value>, OipProblem> {
    describe(&state, name(&model)?, None).await
}

pub(super) async fn metadata_of_version(
    State(state): State<ApiState>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<Value>, OipProblem> {
    let (model, version) = super::infer::parse_names(&model, &version)?;
    describe(&state, model, Some(version)).await
}

async fn describe(
    state: &ApiState,
    model: ModelName,
    version: Option<ModelVersion>,
) -> Result<Json<Value>, OipProblem> {
    let described = state.router.describe(&model, version.as_ref()).await;
    let (found, signature) = described.ok_or_else(|| unknown(&model))?;
    Ok(Json(json!({
        "name": found.model.as_str(),
        "versions": [found.version.as_str()],
        "platform": "hedgerow_ir",
        "inputs": signature.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "outputs": signature.outputs.iter().map(tensor).collect::<Vec<_>>(),
    })))
}

pub(super) async fn model_ready(
    State(state): State<ApiState>,
    Path(model): Path<String>,
) -> Result<Response, OipProblem> {
    answer_ready(&state, name(&model)?, None)
}

pub(super) async fn version_ready(
    State(state): State<ApiState>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Response, OipProblem> {
    let (model, version) = super::infer::parse_names(&model, &version)?;
    answer_ready(&state, model, Some(version))
}

fn answer_ready(state: &ApiState, model: ModelName, version: Option<ModelVersion>) -> Result<Response, OipProblem> {
    let known = state.core.view().deployments.iter().any(|row| row.deployment.model == model);
    if !known {
        return Err(unknown(&model));
    }
    let ready = !state.router.ranking(model.clone(), version, None).candidates.is_empty();
    Ok((status(ready), Json(json!({ "name": model.as_str(), "ready": ready }))).into_response())
}

/// The body that the protocol allows is ignored: an empty one must work.
pub(super) async fn index(State(state): State<ApiState>) -> Json<Value> {
    let view = state.core.view();
    let rows = view.deployments.iter().filter(|row| row.deployment.replicas > 0).map(|row| {
        let deployment = &row.deployment;
        let ranking = state.router.ranking(deployment.model.clone(), Some(deployment.version.clone()), None);
        let state = if ranking.candidates.is_empty() { "UNAVAILABLE" } else { "READY" };
        json!({ "name": deployment.model.as_str(), "version": deployment.version.as_str(), "state": state })
    });
    Json(Value::Array(rows.collect()))
}

/// A model's name out of a path.
pub(super) fn name(text: &str) -> Result<ModelName, Problem> {
    ModelName::new(text)
        .map_err(|error| Problem::bad_request("name-malformed", format!("'{text}' is no model's name: {error}")))
}

/// A version out of a path.
pub(super) fn version(text: &str) -> Result<ModelVersion, Problem> {
    ModelVersion::new(text)
        .map_err(|error| Problem::bad_request("version-malformed", format!("'{text}' is no version: {error}")))
}

fn unknown(model: &ModelName) -> OipProblem {
    Problem::not_found("model-unknown", format!("Request for unknown model: '{model}' is not found"))
        .remedy("list the models with `hedgerow model ls`")
        .into_oip()
}

fn status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// A dimension of any size is -1, as the protocol writes it.
fn tensor(value: &ValueInfo) -> Value {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => i64::try_from(*size).unwrap_or(i64::MAX),
        Dim::Symbol(_) => -1,
    };
    json!({
        "name": value.name,
        "datatype": value.dtype.name(),
        "shape": value.shape.iter().map(size).collect::<Vec<_>>(),
    })
}
