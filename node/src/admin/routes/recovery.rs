//! A cell that lost its quorum for good: what operators may sign, and what they signed.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use hedgerow_attest::endorsed::{Endorsed, EndorsedError};
use hedgerow_protocol::core::{Command, CommandRefusal, Reply};
use hedgerow_protocol::fact::{FactRefusal, SignedFact};
use hedgerow_protocol::register::RecoveryError;

use crate::admin::state::AdminState;
use crate::admin::wire::RecoveryReport;
use crate::api::Problem;
use crate::core::CommandError;
use crate::observe::{chain, wall};

/// The statement for the cell of this node, as a fact that nobody has signed.
pub(in crate::admin) async fn draft(State(state): State<AdminState>) -> Result<Vec<u8>, Problem> {
    match state.api.core.ask(Command::DraftRecovery).await.map_err(|error| not_obeyed(&error))? {
        Reply::Draft(draft) => Ok(SignedFact::Recovery(Endorsed::sign(&*draft, &[])).to_bytes()),
        Reply::Done | Reply::Refused(_) => Err(Problem::unavailable("starting", "the mesh core drafts nothing")),
    }
}

/// Takes in a statement that enough operators signed.
pub(in crate::admin) async fn apply(
    State(state): State<AdminState>,
    body: Bytes,
) -> Result<Json<RecoveryReport>, Problem> {
    let signed = SignedFact::from_bytes(&body).map_err(|error| malformed(&chain(&error)))?;
    let SignedFact::Recovery(endorsed) = &signed else { return Err(malformed("the fact is no recovery")) };
    let signatures = endorsed.count();
    let fact =
        signed.verify(&state.api.core.roster(), &state.root, wall().unix_seconds()).map_err(|error| refused(&error))?;
    let Some(recovery) = fact.recovered() else { return Err(malformed("the fact is no recovery")) };
    let report = RecoveryReport::of(recovery, signatures, true);
    state.api.core.command(Command::Announce(Box::new(fact))).await.map_err(|error| not_obeyed(&error))?;
    Ok(Json(report))
}

fn malformed(detail: &str) -> Problem {
    Problem::bad_request("recovery-malformed", detail).remedy("take a file that `hedgerow recover --out FILE` wrote")
}

fn refused(error: &FactRefusal) -> Problem {
    let problem = |status| Problem::new(status, "recovery-refused", chain(error));
    match error {
        FactRefusal::Recovery(RecoveryError::Endorsement(EndorsedError::BelowThreshold { .. })) => {
            problem(StatusCode::CONFLICT)
                .remedy("write it with --out FILE and let another operator `hedgerow recover FILE --sign`")
        }
        FactRefusal::UnknownCell(_) | FactRefusal::Voters(_) => problem(StatusCode::SERVICE_UNAVAILABLE)
            .remedy("try again when this node has heard of the cell: `hedgerow status`"),
        _ => problem(StatusCode::FORBIDDEN).remedy("sign with an operator key that the mesh's root names: --key FILE"),
    }
}

fn not_obeyed(error: &CommandError) -> Problem {
    let conflict = |remedy: &str| Problem::because(StatusCode::CONFLICT, "recovery-refused", error).remedy(remedy);
    match error {
        CommandError::Refused(CommandRefusal::Led) => {
            conflict("nothing has to be done: `hedgerow status` says who leads")
        }
        CommandError::Refused(CommandRefusal::Stale) => {
            conflict("the cell goes on in this generation or a later one already: see `hedgerow status`")
        }
        CommandError::Refused(CommandRefusal::Voterless) => {
            Problem::because(StatusCode::SERVICE_UNAVAILABLE, "recovery-refused", error)
                .remedy("wait until members of the cell have run for a few seconds: `hedgerow members`")
        }
        CommandError::Refused(CommandRefusal::NoCell) => {
            Problem::because(StatusCode::SERVICE_UNAVAILABLE, "cell-unknown", error)
                .remedy("ask a member of the cell that lost its quorum")
        }
        CommandError::Refused(_) | CommandError::Stopping | CommandError::Storage => {
            super::not_obeyed("recovery-refused", error)
        }
    }
}
