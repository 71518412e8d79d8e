//! The admin socket: the operator's routes, and the application's beside them.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use hedgerow_inference::artifact::BUNDLE_BYTES_MAX;
use tokio::net::UnixListener;

use super::routes::{
    departure, emulation, events, forgotten, invites, issuers, models, netcheck, ping, placement, policy, recovery,
    revocations, status,
};
use super::state::AdminState;
use crate::api;

/// Every route of the admin socket.
pub fn admin_router(state: AdminState) -> Router {
    let own = Router::new()
        .route("/admin/v1/status", get(status::status))
        .route("/admin/v1/members", get(status::members))
        .route("/admin/v1/events", get(events::events))
        .route("/admin/v1/sessions", get(status::sessions))
        .route("/admin/v1/netcheck", get(netcheck::check))
        .route("/admin/v1/ping", post(ping::ping))
        .route("/admin/v1/invites", post(invites::invite))
        .route("/admin/v1/issuers", get(issuers::list).post(issuers::appoint))
        .route("/admin/v1/issuers/{target}", get(issuers::draft))
        .route("/admin/v1/models", get(models::list).post(models::push))
        .route("/admin/v1/models/{name}", get(models::inspect))
        .route("/admin/v1/models/{name}/verification", get(models::verify))
        .route("/admin/v1/placement/{key}", get(placement::explain))
        .route("/admin/v1/policy", get(policy::show).post(policy::apply))
        .route("/admin/v1/policy/plan", post(policy::plan))
        .route("/admin/v1/recovery", get(recovery::draft).post(recovery::apply))
        .route("/admin/v1/revocations", post(revocations::apply))
        .route("/admin/v1/revocations/{target}", get(revocations::draft))
        .route("/admin/v1/withdrawals", post(revocations::withdraw))
        .route("/admin/v1/forgotten", post(forgotten::forget))
        .route("/admin/v1/node-classes", get(policy::node_classes).post(policy::apply_node_classes))
        .route("/admin/v1/departure", get(departure::show).post(departure::leave))
        .route("/admin/v1/emulation", get(emulation::show).put(emulation::set))
        .layer(DefaultBodyLimit::max(BUNDLE_BYTES_MAX))
        .layer(from_fn(api::formed))
        .with_state(state.clone());
    api::router(state.api).merge(own)
}

/// Binds the socket, taking the place of one that a crash left behind: the folder is locked by this process.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
