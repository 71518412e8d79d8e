//! REST: the Open Inference Protocol v2 under `/v2`, what is the mesh's own under `/mesh/v1`.

mod infer;
mod mesh;
mod models;
mod sessions;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use super::rejection::formed;
use super::state::ApiState;
use super::trace::of_the_caller;

/// A request's body: a batch of 256 pictures as JSON is about 2 MiB.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Every route of the application's interface.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v2", get(models::server))
        .route("/v2/health/live", get(models::live))
        .route("/v2/health/ready", get(models::ready))
        .route("/v2/repository/index", post(models::index))
        .route("/v2/models/{model}", get(models::metadata))
        .route("/v2/models/{model}/ready", get(models::model_ready))
        .route("/v2/models/{model}/infer", post(infer::infer))
        .route("/v2/models/{model}/versions/{version}", get(models::metadata_of_version))
        .route("/v2/models/{model}/versions/{version}/ready", get(models::version_ready))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::infer_version))
        .route("/mesh/v1/members", get(mesh::members))
        .route("/mesh/v1/nearest", get(mesh::nearest))
        .route("/mesh/v1/sessions", post(sessions::name))
        .route("/mesh/v1/sessions/{id}", get(sessions::read).patch(sessions::write))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(formed))
        .layer(from_fn(of_the_caller))
        .with_state(state)
}
