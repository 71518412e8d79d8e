//! The links of the cell, as its members see them.

use axum::Json;
use axum::extract::State;

use crate::admin::check::{ask_all, report};
use crate::admin::state::AdminState;
use crate::admin::wire::NetcheckReport;

pub(in crate::admin) async fn check(State(state): State<AdminState>) -> Json<NetcheckReport> {
    let view = state.api.core.view();
    Json(report(&view.me, &ask_all(&state.net, &view).await))
}
