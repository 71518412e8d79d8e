//! Leaving the mesh for good.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hedgerow_attest::membership::Role;
use hedgerow_protocol::core::LEAVE_PATIENCE;
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::DataClass;
use hedgerow_protocol::view::{MemberState, MemberView, MeshView, Need, Needed};

use crate::admin::departure::Phase;
use crate::admin::state::AdminState;
use crate::admin::wire::{DepartureReport, DepartureRequest, DepartureState};
use crate::api::Problem;
use crate::observe::{chain, whole_milliseconds};

/// How far it is.
pub(in crate::admin) async fn show(State(state): State<AdminState>) -> Json<DepartureReport> {
    Json(report(&state))
}

/// Begins it, and says how far it is. Whoever goes alone takes what nobody else can have with it, and has to say that it may.
pub(in crate::admin) async fn leave(
    State(state): State<AdminState>,
    Json(request): Json<DepartureRequest>,
) -> Result<Json<DepartureReport>, Problem> {
    let view = state.api.core.view();
    let stays = matches!(state.departure.phase(), Phase::Stays | Phase::Failed(_));
    if stays && view.members.get(&view.me).is_none_or(|me| me.incarnation.0 == 0) {
        return Err(Problem::unavailable("departure-early", "this node has not announced itself yet")
            .remedy("wait until `hedgerow status` says ready"));
    }
    if stays && !request.abandon {
        refuse_loss(&view)?;
    }
    state.departure.ask();
    Ok(Json(report(&state)))
}

/// Where the mesh would be short of what this node has, nobody waits ten minutes to learn of it.
fn refuse_loss(view: &MeshView) -> Result<(), Problem> {
    let region = &view.region;
    let refused = |code, detail| Problem::new(StatusCode::CONFLICT, code, detail);
    if [view.needed.votes, view.needed.holds].contains(&Need::Alone) {
        let detail = format!("no other node of region {region} can take over {}", what_is_lost(view));
        return Err(refused("departure-alone", detail).remedy(format!(
            "let another node join region {region} with a ticket of `hedgerow invite`; or repeat with --abandon, \
             and what only this node has is lost to the mesh"
        )));
    }
    let others = others(view);
    let Some(class) = classes_held(view).find(|class| usize::from(class.write_quorum) > others) else { return Ok(()) };
    let (name, quorum) = (&class.name, class.write_quorum);
    let detail =
        format!("sessions of class {name} are to be on {quorum} nodes, and region {region} would have {others}");
    Err(refused("departure-short", detail).remedy(format!(
        "let another node join region {region} with a ticket of `hedgerow invite`; or repeat with --abandon: \
         it then goes after ten minutes, and those sessions are on fewer nodes than their class says"
    )))
}

/// How many other nodes of the region could hold sessions when this one has left.
fn others(view: &MeshView) -> usize {
    let stays = |member: &&MemberView| !matches!(member.state, MemberState::Draining | MemberState::Left);
    let in_region = view.members.values().filter(|member| member.node != view.me && member.region == view.region);
    in_region.filter(stays).filter(|member| member.roles.contains(Role::Replica)).count()
}

/// The classes of which this node is to hold a group.
fn classes_held(view: &MeshView) -> impl Iterator<Item = &DataClass> {
    let held: BTreeSet<&ClassName> = rows_held(view).map(|(class, _)| class).collect();
    let classes = view.policy.iter().flat_map(|policy| &policy.classes);
    classes.filter(move |class| held.contains(&class.name))
}

fn what_is_lost(view: &MeshView) -> &'static str {
    match (view.needed.votes, view.needed.holds) {
        (Need::Alone, Need::Alone) => "this node's vote and sessions",
        (Need::Alone, Need::None | Need::UntilRelieved) => "this node's vote",
        (Need::None | Need::UntilRelieved, _) => "this node's sessions",
    }
}

fn report(state: &AdminState) -> DepartureReport {
    let view = state.api.core.view();
    let phase = state.departure.tell();
    let (told, waited) = match &phase {
        Phase::Stays => (DepartureState::Staying, Duration::ZERO),
        Phase::Leaves { since } => (DepartureState::Leaving, since.elapsed()),
        Phase::Left { since, at, .. } => (DepartureState::Left, at.duration_since(*since)),
        Phase::Failed(_) => (DepartureState::Failed, Duration::ZERO),
    };
    let error = match &phase {
        Phase::Failed(error) => Some(format!("cannot {}", chain(error.as_ref()))),
        Phase::Stays | Phase::Leaves { .. } | Phase::Left { .. } => None,
    };
    DepartureReport {
        node: view.me.to_string(),
        state: told,
        votes: view.needed.votes != Need::None,
        groups_held: count(rows_held(&view).count()),
        groups_open: count(state.api.sessions.open_groups()),
        is_relieved: view.needed == Needed::default(),
        waited_ms: whole_milliseconds(waited),
        gives_up_in_ms: (told == DepartureState::Leaving)
            .then(|| whole_milliseconds(LEAVE_PATIENCE.saturating_sub(waited))),
        error,
    }
}

/// The groups that the placement in force has this node hold.
fn rows_held(view: &MeshView) -> impl Iterator<Item = &(ClassName, u8)> {
    let placement = view.cell.and_then(|cell| view.placements.get(&cell));
    let groups = placement.into_iter().flat_map(|placement| &placement.groups);
    groups.filter(|(_, holders)| holders.contains(&view.me)).map(|(row, _)| row)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
