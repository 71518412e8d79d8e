//! What is emulated around this node's own socket, on a node that was started for it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::admin::state::AdminState;
use crate::admin::wire::{EmulationReport, EmulationSettings};
use crate::api::Problem;
use crate::net::Emulation;

pub(in crate::admin) async fn show(State(state): State<AdminState>) -> Result<Json<EmulationReport>, Problem> {
    Ok(Json(report(emulation(&state)?)))
}

pub(in crate::admin) async fn set(
    State(state): State<AdminState>,
    Json(settings): Json<EmulationSettings>,
) -> Result<Json<EmulationReport>, Problem> {
    let emulation = emulation(&state)?;
    emulation.replace(&settings).map_err(|error| Problem::bad_request("emulation-refused", error.to_string()))?;
    Ok(Json(report(emulation)))
}

/// What is in force, and what it dropped.
pub(super) fn report(emulation: &Emulation) -> EmulationReport {
    let EmulationSettings { firewall, rules } = emulation.settings();
    let dropped = emulation.dropped().into_iter().map(|(reason, count)| (reason.name().to_owned(), count)).collect();
    EmulationReport { firewall, rules, dropped }
}

fn emulation(state: &AdminState) -> Result<&Emulation, Problem> {
    state.net.emulation().ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "emulation-off", "this node was not started for emulation")
            .remedy("start it with `hedgerow run --emulate`")
    })
}
