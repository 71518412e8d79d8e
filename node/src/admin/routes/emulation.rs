//! Delay and cuts around this node's own socket, on a node that was started for it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::admin::state::AdminState;
use crate::api::Problem;
use crate::net::{Emulation, Rule};

/// All rules; setting replaces what was there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Rules {
    rules: Vec<Rule>,
}

pub(in crate::admin) async fn rules(State(state): State<AdminState>) -> Result<Json<Rules>, Problem> {
    Ok(Json(Rules { rules: emulation(&state)?.rules() }))
}

pub(in crate::admin) async fn set(
    State(state): State<AdminState>,
    Json(rules): Json<Rules>,
) -> Result<Json<Rules>, Problem> {
    let emulation = emulation(&state)?;
    emulation.set(&rules.rules).map_err(|error| Problem::bad_request("emulation-refused", error.to_string()))?;
    Ok(Json(Rules { rules: emulation.rules() }))
}

fn emulation(state: &AdminState) -> Result<&Emulation, Problem> {
    state.net.emulation().ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "emulation-off", "this node was not started for emulation")
            .remedy("start it with `hedgerow run --emulate`")
    })
}
