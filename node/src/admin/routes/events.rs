//! What happened on this node.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::admin::state::AdminState;
use crate::admin::telling::Telling;

/// Query of `GET /admin/v1/events`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct EventsQuery {
    /// What came after the event of that number.
    #[serde(default)]
    since: u64,
    /// Whether the answer goes on with what happens from here on.
    #[serde(default)]
    follow: bool,
}

/// Newline-delimited JSON, a row each. The body is made as it is read; one that follows ends when its reader leaves, or with the node.
pub(in crate::admin) async fn events(State(state): State<AdminState>, Query(query): Query<EventsQuery>) -> Response {
    let telling = Telling::new(state.events, query.since, query.follow, state.serving);
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(telling.lines())).into_response()
}
