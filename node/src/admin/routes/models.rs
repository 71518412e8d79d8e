//! Models of the mesh: taken in, listed, shown, checked.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use data_encoding::BASE64;
use hedgerow_inference::artifact::Bundle;
use hedgerow_protocol::core::Command;
use hedgerow_protocol::fact::{Fact, SignedFact, VerifiedFact};
use hedgerow_protocol::name::ModelName;
use hedgerow_protocol::placement::Deployment;
use hedgerow_protocol::view::DeploymentView;
use serde_json::{Value, json};

use crate::admin::state::AdminState;
use crate::api::Problem;
use crate::core::CommandError;
use crate::exec::LibraryError;
use crate::observe::{chain, wall};

/// The header that carries the signed deployment, base64.
pub const DEPLOYMENT_HEADER: &str = "hedgerow-deployment";

/// Takes a bundle in and makes its deployment a fact of the mesh. Nothing is announced unless every byte was verified and is durable.
pub(in crate::admin) async fn push(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let bundle = Bundle::from_bytes(&body)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "artifact-refused", chain(&error)))?;
    let shelved = state.library.take(&bundle).await.map_err(|error| not_taken(&error))?;
    let fact = deployment_fact(&state, &headers)?;
    let Fact::Deployment(deployment) = fact.fact() else {
        return Err(Problem::bad_request("deployment-malformed", "the signed fact is no deployment"));
    };
    let deployment = deployment.clone();
    if deployment.manifest != shelved.manifest || deployment.model_ref() != *bundle.artifact.manifest.model() {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "deployment-other-artifact",
            "the deployment names another artifact",
        ));
    }
    state.api.core.command(Command::Announce(Box::new(fact))).await.map_err(|error| not_announced(&error))?;
    Ok(Json(json!({
        "name": deployment.model.as_str(),
        "version": deployment.version.as_str(),
        "digest": deployment.manifest.to_string(),
        "revision": deployment.revision,
        "replicas": deployment.replicas,
        "regions": regions(&deployment),
    })))
}

fn deployment_fact(state: &AdminState, headers: &HeaderMap) -> Result<VerifiedFact, Problem> {
    let malformed = |detail: String| Problem::bad_request("deployment-malformed", detail);
    let text = headers
        .get(DEPLOYMENT_HEADER)
        .ok_or_else(|| malformed(format!("the header {DEPLOYMENT_HEADER} is missing")))?;
    let bytes = BASE64
        .decode(text.as_bytes())
        .map_err(|error| malformed(format!("the header {DEPLOYMENT_HEADER}: {error}")))?;
    let signed = SignedFact::from_bytes(&bytes).map_err(|error| malformed(chain(&error)))?;
    signed.verify(&state.api.core.roster(), &state.root, wall().unix_seconds()).map_err(|error| {
        Problem::new(StatusCode::FORBIDDEN, "deployment-refused", chain(&error))
            .remedy("sign with a publisher key that the mesh's root names")
    })
}

fn not_taken(error: &LibraryError) -> Problem {
    if error.is_refusal() {
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "artifact-refused", chain(error))
            .remedy("push the model again from its ONNX file with a publisher key of this mesh");
    }
    Problem::unavailable("artifact-not-stored", chain(error))
}

fn not_announced(error: &CommandError) -> Problem {
    match error {
        CommandError::Refused(_) => Problem::new(StatusCode::CONFLICT, "deployment-refused", chain(error)),
        CommandError::Stopping => Problem::unavailable("stopping", chain(error)),
        CommandError::Storage => Problem::unavailable("storage", chain(error)),
    }
}

pub(in crate::admin) async fn list(State(state): State<AdminState>) -> Json<Value> {
    let view = state.api.core.view();
    Json(Value::Array(view.deployments.iter().map(row).collect()))
}

fn row(view: &DeploymentView) -> Value {
    let deployment = &view.deployment;
    json!({
        "name": deployment.model.as_str(),
        "version": deployment.version.as_str(),
        "digest": deployment.manifest.to_string(),
        "replicas": deployment.replicas,
        "regions": regions(deployment),
        "warm": view.warm.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "here": view.mine,
    })
}

pub(in crate::admin) async fn inspect(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let deployment = find(&state, &name)?;
    let mut answer = row(&deployment);
    let opened = state.library.open(deployment.deployment.manifest).await;
    let Ok(opened) = opened else {
        return Ok(Json(answer));
    };
    let mut operators = std::collections::BTreeMap::<String, u64>::new();
    for node in &opened.graph().nodes {
        *operators.entry(node.operator.name.clone()).or_default() += 1;
    }
    answer["signature"] = serde_json::to_value(opened.signature()).unwrap_or(Value::Null);
    answer["operators"] = json!(operators);
    answer["parameters"] = json!(opened.weights().parameters());
    Ok(Json(answer))
}

/// Reads every byte that this node holds of the model and checks it again.
pub(in crate::admin) async fn verify(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let deployment = find(&state, &name)?.deployment;
    let envelope = state.library.envelope(deployment.manifest).map_err(|error| not_taken(&error))?;
    match state.library.open(deployment.manifest).await {
        Ok(_opened) => Ok(Json(json!({
            "name": deployment.model.as_str(),
            "version": deployment.version.as_str(),
            "digest": deployment.manifest.to_string(),
            "verified": true,
            "envelope": envelope.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()),
            "publishers": state.root.publishers().keys().map(|(id, key)| json!({
                "keyid": id.to_string(),
                "public": data_encoding::HEXLOWER.encode(key.as_bytes()),
            })).collect::<Vec<_>>(),
        }))),
        Err(error) if error.is_refusal() => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "artifact-refused", chain(&error)))
        }
        Err(error) => Err(Problem::not_found("artifact-not-here", chain(&error))
            .remedy(format!("ask a node that holds it: see `hedgerow placement explain {}`", deployment.model))),
    }
}

fn find(state: &AdminState, name: &str) -> Result<DeploymentView, Problem> {
    let unknown = || {
        Problem::not_found("model-unknown", format!("no model is called '{name}'"))
            .remedy("list them with `hedgerow model ls`")
    };
    let model = ModelName::new(name).map_err(|_error| unknown())?;
    let view = state.api.core.view();
    view.deployments.iter().find(|row| row.deployment.model == model).cloned().ok_or_else(unknown)
}

fn regions(deployment: &Deployment) -> Vec<String> {
    deployment.regions.iter().map(ToString::to_string).collect()
}
