//! What the Open Inference Protocol asks about the server and its models. The server is the mesh: a model is ready when some node answers.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hedgerow_inference::ir::{Dim, ValueInfo};
use hedgerow_protocol::name::{ModelName, ModelVersion};
use serde_json::{Value, json};

use crate::api::problem::{OipProblem, Problem};
use crate::api::published::{find, model_name, model_version, unknown};
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
    describe(&state, model_name(&model)?, None).await
}

pub(super) async fn metadata_of_version(
    State(state): State<ApiState>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<Value>, OipProblem> {
    let (model, version) = (model_name(&model)?, model_version(&version)?);
    describe(&state, model, Some(version)).await
}

async fn describe(
    state: &ApiState,
    model: ModelName,
    version: Option<ModelVersion>,
) -> Result<Json<Value>, OipProblem> {
    let described = state.router.describe(&model, version.as_ref()).await;
    let Some((found, signature)) = described else {
        require(state, &model, version.as_ref())?;
        let detail = format!("no node that holds model '{model}' answers");
        return Err(Problem::unavailable("model-not-ready", detail)
            .remedy(format!("see who would answer with `hedgerow nearest {model}`"))
            .into_oip());
    };
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
    answer_ready(&state, &model_name(&model)?, None)
}

pub(super) async fn version_ready(
    State(state): State<ApiState>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Response, OipProblem> {
    let (model, version) = (model_name(&model)?, model_version(&version)?);
    answer_ready(&state, &model, Some(&version))
}

fn answer_ready(state: &ApiState, model: &ModelName, version: Option<&ModelVersion>) -> Result<Response, OipProblem> {
    require(state, model, version)?;
    let ready = !state.router.ranking(model.clone(), version.cloned(), None).candidates.is_empty();
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

/// Whether it is served soon or ever; another refusal than one of a model that nobody knows.
fn require(state: &ApiState, model: &ModelName, version: Option<&ModelVersion>) -> Result<(), Problem> {
    match find(&state.core.view(), model, version) {
        Some(_row) => Ok(()),
        None => Err(unknown(model, version).remedy("list the models with `hedgerow model ls`")),
    }
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
