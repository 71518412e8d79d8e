//! `POST /v2/models/M/infer`.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::oip::{self, InferBody, WantedOutput};
use crate::api::problem::{OipProblem, Problem};
use crate::api::published;
use crate::api::state::ApiState;
use crate::observe::chain;
use crate::route::{InferAnswer, InferError, InferRequest};

/// Where a request names no timeout.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest that a request may ask for.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

pub(super) async fn infer(
    State(state): State<ApiState>,
    Path(model): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, OipProblem> {
    answer(&state, &model, None, &body).await
}

pub(super) async fn infer_version(
    State(state): State<ApiState>,
    Path((model, version)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, OipProblem> {
    answer(&state, &model, Some(&version), &body).await
}

/// The content type is not looked at: `curl -d` sends that of a form.
async fn answer(state: &ApiState, model: &str, version: Option<&str>, body: &[u8]) -> Result<Json<Value>, OipProblem> {
    let body: InferBody = serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request("request-malformed", format!("the body is no inference request: {error}"))
    })?;
    let timeout = timeout(&body)?;
    let model = published::model_name(model)?;
    let version = version.map(published::model_version).transpose()?;
    if published::find(&state.core.view(), &model, version.as_ref()).is_none() {
        return Err(published::unknown(&model, version.as_ref()).into());
    }
    let inputs = oip::inputs(body.inputs).map_err(|error| Problem::bad_request("input-malformed", chain(&error)))?;
    let request = InferRequest { model, version, inputs, timeout };
    let answer = state.router.infer(request).await.map_err(|error| problem(&error))?;
    Ok(Json(infer_answer(answer, body.id, &body.outputs)?))
}

/// `parameters.timeout` is in microseconds, as Triton has it.
fn timeout(body: &InferBody) -> Result<Duration, Problem> {
    match body.parameters.get("timeout") {
        None => Ok(TIMEOUT),
        Some(value) => match value.as_u64() {
            Some(us) if us > 0 => Ok(Duration::from_micros(us).min(TIMEOUT_MAX)),
            Some(_) | None => {
                Err(Problem::bad_request("timeout-malformed", "`timeout` is a positive number of microseconds"))
            }
        },
    }
}

/// The response body, with what answered among its parameters.
fn infer_answer(answer: InferAnswer, id: Option<String>, wanted: &[WantedOutput]) -> Result<Value, Problem> {
    if let Some(unknown) = wanted.iter().find(|output| !answer.outputs.contains_key(&output.name)) {
        return Err(Problem::bad_request("output-unknown", format!("the model has no output '{}'", unknown.name)));
    }
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let parameters = json!({
        "hedgerow_node": answer.node.to_string(),
        "hedgerow_region": answer.region.to_string(),
        "hedgerow_version": env!("CARGO_PKG_VERSION"),
        "hedgerow_model_digest": format!("sha256:{}", answer.manifest),
        "hedgerow_hops": answer.hops,
        "hedgerow_queue_us": us(answer.queue),
        "hedgerow_compute_us": us(answer.compute),
        "hedgerow_forward_us": us(answer.forward),
        "hedgerow_total_us": us(answer.total),
    });
    let outputs: Vec<_> = answer
        .outputs
        .into_iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|output| output.name == *name))
        .map(|(name, tensor)| oip::output(name, &tensor))
        .collect();
    let mut body = json!({
        "model_name": answer.model.model.as_str(),
        "model_version": answer.model.version.as_str(),
        "outputs": outputs,
        "parameters": parameters,
    });
    if let Some(id) = id {
        body["id"] = Value::String(id);
    }
    Ok(body)
}

/// Statuses as Triton answers them.
fn problem(error: &InferError) -> Problem {
    match error {
        InferError::Unknown { model } => published::unknown(model, None),
        InferError::NoCandidate { model, .. } => {
            Problem::because(StatusCode::SERVICE_UNAVAILABLE, "model-not-ready", error)
                .remedy(format!("see who would answer with `hedgerow nearest {model}`"))
        }
        InferError::Request { detail } => Problem::bad_request("request-does-not-fit", detail),
        InferError::Exhausted { .. } => Problem::because(StatusCode::SERVICE_UNAVAILABLE, "no-answer", error),
        InferError::Deadline { .. } => Problem::new(StatusCode::GATEWAY_TIMEOUT, "deadline", "Request timeout expired"),
    }
}
