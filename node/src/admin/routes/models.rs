//! Models of the mesh: taken in, listed, shown, checked.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use data_encoding::{BASE64, HEXLOWER};
use hedgerow_inference::artifact::{Bundle, Opened};
use hedgerow_inference::exec::{ExecLimits, Isa, Lanes, Model};
use hedgerow_protocol::core::Command;
use hedgerow_protocol::fact::{Fact, SignedFact, VerifiedFact};
use hedgerow_protocol::placement::Deployment;
use hedgerow_protocol::view::DeploymentView;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::admin::state::AdminState;
use crate::admin::wire::{ModelDetail, ModelPlan, ModelPushed, ModelRow, ModelVerified, NamedExtent, Publisher};
use crate::api::{Problem, published};
use crate::exec::LibraryError;
use crate::observe::{chain, wall};

/// The header that carries the signed deployment, base64.
pub const DEPLOYMENT_HEADER: &str = "hedgerow-deployment";

/// Takes a bundle in and makes its deployment a fact of the mesh. Nothing is announced unless every byte was verified and is durable.
pub(in crate::admin) async fn push(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<ModelPushed>, Problem> {
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
    state
        .api
        .core
        .command(Command::Announce(Box::new(fact)))
        .await
        .map_err(|error| super::not_obeyed("deployment-refused", &error))?;
    Ok(Json(ModelPushed {
        name: deployment.model.to_string(),
        version: deployment.version.to_string(),
        digest: deployment.manifest.to_string(),
        revision: deployment.revision,
        replicas: deployment.replicas,
        regions: regions(&deployment),
    }))
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
        return Problem::because(StatusCode::UNPROCESSABLE_ENTITY, "artifact-refused", error)
            .remedy("push the model again from its ONNX file with a publisher key of this mesh");
    }
    Problem::because(StatusCode::SERVICE_UNAVAILABLE, "artifact-not-stored", error)
}

/// Every model that a publisher wants served; withdrawn ones are left out.
pub(in crate::admin) async fn list(State(state): State<AdminState>) -> Json<Vec<ModelRow>> {
    let view = state.api.core.view();
    Json(view.deployments.iter().filter(|row| row.deployment.replicas > 0).map(row).collect())
}

fn row(view: &DeploymentView) -> ModelRow {
    let deployment = &view.deployment;
    ModelRow {
        name: deployment.model.to_string(),
        version: deployment.version.to_string(),
        digest: deployment.manifest.to_string(),
        replicas: deployment.replicas,
        regions: regions(deployment),
        warm: view.warm.iter().map(ToString::to_string).collect(),
        here: view.mine,
    }
}

/// The row, with what is inside where this node holds the artifact; an artifact that does not open is refused with its reason.
pub(in crate::admin) async fn inspect(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Query(asked): Query<PlanQuery>,
) -> Result<Json<ModelDetail>, Problem> {
    let deployment = find(&state, &name)?;
    let row = row(&deployment);
    let symbols = asked.plan.as_deref().map(symbols).transpose()?;
    match state.library.open(deployment.deployment.manifest).await {
        Ok(opened) => {
            let mut operators = BTreeMap::<String, u64>::new();
            for node in &opened.graph().nodes {
                *operators.entry(node.operator.name.clone()).or_default() += 1;
            }
            let (signature, parameters) = (Some(opened.signature().into()), Some(opened.weights().parameters()));
            let plan = match symbols {
                Some(symbols) => Some(plan(opened, symbols).await?),
                None => None,
            };
            Ok(Json(ModelDetail { row, signature, operators: Some(operators), parameters, plan }))
        }
        Err(error) if error.is_refusal() => Err(not_taken(&error)),
        Err(_not_here) => Ok(Json(ModelDetail { row, signature: None, operators: None, parameters: None, plan: None })),
    }
}

/// What is asked beside the model itself.
#[derive(Debug, Deserialize)]
pub(in crate::admin) struct PlanQuery {
    /// `batch=8,steps=64`, or nothing: the plan for these extents, 1 for all others.
    plan: Option<String>,
}

fn symbols(text: &str) -> Result<BTreeMap<String, u64>, Problem> {
    let named = text.split(',').filter(|pair| !pair.is_empty()).map(str::parse);
    let named: Result<Vec<NamedExtent>, _> = named.collect();
    let named = named.map_err(|error| Problem::because(StatusCode::BAD_REQUEST, "plan-malformed", &error))?;
    Ok(named.into_iter().map(|named| (named.symbol, named.extent)).collect())
}

/// One at a time: each loads a model beside the warm one.
static PLANNING: Semaphore = Semaphore::const_new(1);

/// Plans a model as it would be run here, apart from the one that is warm.
async fn plan(opened: Opened, symbols: BTreeMap<String, u64>) -> Result<ModelPlan, Problem> {
    let refused = |why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "plan-refused", why);
    let _turn = PLANNING.acquire().await.map_err(|error| refused(error.to_string()))?;
    let plan = move || {
        let isa = Isa::widest();
        let model = Model::load_for(&opened, ExecLimits::default(), isa).map_err(|error| chain(&error))?;
        let explained = model.explain(&symbols, Lanes::here().threads).map_err(|error| chain(&error))?;
        Ok(ModelPlan::new(isa, explained))
    };
    let planned: Result<Result<_, String>, _> = tokio::task::spawn_blocking(plan).await;
    planned.map_err(|error| refused(error.to_string()))?.map_err(refused)
}

/// Reads every byte that this node holds of the model and checks it again.
pub(in crate::admin) async fn verify(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<ModelVerified>, Problem> {
    let deployment = find(&state, &name)?.deployment;
    let envelope = state.library.envelope(deployment.manifest).map_err(|error| not_taken(&error))?;
    match state.library.open(deployment.manifest).await {
        Ok(_opened) => Ok(Json(ModelVerified {
            name: deployment.model.to_string(),
            version: deployment.version.to_string(),
            digest: deployment.manifest.to_string(),
            verified: true,
            envelope: envelope.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            publishers: publishers(&state),
        })),
        Err(error) if error.is_refusal() => Err(not_taken(&error)),
        Err(error) => Err(Problem::because(StatusCode::NOT_FOUND, "artifact-not-here", &error)
            .remedy(format!("ask a node that holds it: see `hedgerow placement explain {}`", deployment.model))),
    }
}

fn publishers(state: &AdminState) -> Vec<Publisher> {
    let keys = state.root.publishers().keys();
    keys.map(|(id, key)| Publisher { keyid: id.to_string(), public: HEXLOWER.encode(key.as_bytes()) }).collect()
}

fn find(state: &AdminState, name: &str) -> Result<DeploymentView, Problem> {
    let model = published::model_name(name)?;
    published::find(&state.api.core.view(), &model, None).cloned().ok_or_else(|| published::unlisted(name))
}

fn regions(deployment: &Deployment) -> Vec<String> {
    deployment.regions.iter().map(ToString::to_string).collect()
}
