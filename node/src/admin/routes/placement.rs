//! Where a session or a model is, and why there.

use axum::Json;
use axum::extract::{Path, State};
use hedgerow_protocol::name::ModelName;
use hedgerow_protocol::placement::{PlacementReason, explain as explain_session};
use hedgerow_protocol::session_id::SessionId;
use hedgerow_protocol::view::MeshView;

use crate::admin::state::AdminState;
use crate::admin::wire::{PlacementReport, PlacementRow};
use crate::api::{Problem, published};

pub(in crate::admin) async fn explain(
    State(state): State<AdminState>,
    Path(key): Path<String>,
) -> Result<Json<PlacementReport>, Problem> {
    let view = state.api.core.view();
    if let Ok(session) = key.parse::<SessionId>() {
        return of_session(&view, &session).map(Json);
    }
    let model = ModelName::new(&key).map_err(|_error| unknown(&key))?;
    of_model(&view, &model).map(Json)
}

fn of_session(view: &MeshView, session: &SessionId) -> Result<PlacementReport, Problem> {
    let explanation = explain_session(view, session)
        .map_err(|error| Problem::unavailable("session-not-placed", error.to_string()))?;
    let nodes = explanation.members.iter().map(|(node, reason)| {
        let (verdict, reason) = verdict(reason);
        PlacementRow { node: node.to_string(), region: region(view, node), verdict: verdict.to_owned(), reason }
    });
    Ok(PlacementReport {
        what: format!("session of group {}, W={}", explanation.set.group, explanation.set.write_quorum),
        epoch: Some(explanation.set.epoch.0),
        moving: !explanation.set.is_settled,
        nodes: nodes.collect(),
    })
}

fn verdict(reason: &PlacementReason) -> (&'static str, String) {
    match reason {
        PlacementReason::Holds { place: 0 } => ("holds", "home".to_owned()),
        PlacementReason::Holds { place } => ("holds", format!("replica {}", place + 1)),
        PlacementReason::HoldsUnreached { place, state } => ("holds", format!("replica {}, {state}", place + 1)),
        PlacementReason::HandsOver { state } => ("hands over", format!("held it by a former placement, {state}")),
        PlacementReason::Reserve => ("reserve", "would take the place of a replica that is gone for long".to_owned()),
        PlacementReason::OtherCell => ("-", "in another cell".to_owned()),
        PlacementReason::Forbidden => ("refused", "the class does not allow its region".to_owned()),
        PlacementReason::Unavailable { state } => ("-", state.to_string()),
    }
}

fn of_model(view: &MeshView, model: &ModelName) -> Result<PlacementReport, Problem> {
    let row = published::find(view, model, None).ok_or_else(|| unknown(model.as_str()))?;
    let reference = row.deployment.model_ref();
    let nodes = view.members.values().map(|member| {
        let placed =
            member.cell.and_then(|cell| view.placements.get(&cell)).and_then(|table| table.models.get(&reference));
        let place = placed.and_then(|placed| placed.nodes.iter().position(|node| *node == member.node));
        let warm = row.warm.contains(&member.node);
        let (verdict, reason) = match (place, warm) {
            (Some(place), true) => ("holds", format!("place {}, warm", place + 1)),
            (Some(place), false) => ("holds", format!("place {}, not warm yet", place + 1)),
            (None, true) => ("holds", "warm, no longer placed here".to_owned()),
            (None, false) if !row.deployment.wants(&member.region) => {
                ("refused", "not a region of the deployment".to_owned())
            }
            (None, false) => ("-", "others were ranked before it".to_owned()),
        };
        PlacementRow {
            node: member.node.to_string(),
            region: Some(member.region.to_string()),
            verdict: verdict.to_owned(),
            reason,
        }
    });
    let own = view.cell.and_then(|cell| view.placements.get(&cell));
    Ok(PlacementReport {
        what: format!("model {reference}, {} per region", row.deployment.replicas),
        epoch: own.map(|placement| placement.epoch.0),
        moving: false,
        nodes: nodes.collect(),
    })
}

fn region(view: &MeshView, node: &hedgerow_attest::id::NodeId) -> Option<String> {
    view.members.get(node).map(|member| member.region.to_string())
}

fn unknown(key: &str) -> Problem {
    Problem::not_found("placement-unknown", format!("'{key}' is neither a session's id nor a model of this mesh"))
        .remedy("list the models with `hedgerow model ls`, the sessions with `hedgerow session ls`")
}
