//! Putting a node out of the mesh for good: what operators signed, and what this node itself may do as an issuer.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hedgerow_attest::endorsed::EndorsedError;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::reason::Reason;
use hedgerow_attest::revocation::{self, ProvenWithdrawal, RevocationError, Withdrawal};
use hedgerow_protocol::core::{Command, CommandRefusal};
use hedgerow_protocol::fact::{FactRefusal, SignedFact};

use super::named::named;
use crate::admin::state::AdminState;
use crate::admin::wire::{RevocationDraft, RevocationReport, WithdrawalRequest};
use crate::api::Problem;
use crate::core::CommandError;
use crate::observe::{chain, wall};

/// What an operator's statement has to say.
pub(in crate::admin) async fn draft(
    State(state): State<AdminState>,
    Path(target): Path<String>,
) -> Result<Json<RevocationDraft>, Problem> {
    let node = named(&state, &target)?;
    let roster = state.api.core.roster();
    // A withdrawal takes a serial, too: what it put out before stays out.
    let issued = roster.members().filter(|member| member.issuer() == node).map(Member::serial);
    let issued = issued.chain(roster.revoked().withdrawn_up_to(&node));
    Ok(Json(RevocationDraft {
        node: node.to_string(),
        mesh: state.root.mesh().to_string(),
        issued_up_to: issued.max().unwrap_or(0),
    }))
}

/// Takes in a statement that enough operators signed.
pub(in crate::admin) async fn apply(
    State(state): State<AdminState>,
    body: Bytes,
) -> Result<Json<RevocationReport>, Problem> {
    let signed = SignedFact::from_bytes(&body).map_err(|error| malformed(&chain(&error)))?;
    announce(&state, signed).await.map(Json)
}

/// Has this node, as an issuer, put out a node to which it issued a certificate.
pub(in crate::admin) async fn withdraw(
    State(state): State<AdminState>,
    Json(request): Json<WithdrawalRequest>,
) -> Result<Json<RevocationReport>, Problem> {
    let reason: Reason =
        request.reason.parse().map_err(|error| Problem::bad_request("reason-malformed", chain(&error)))?;
    let node = named(&state, &request.target)?;
    let issuer = state.appointments.issuing().borrow().clone().ok_or_else(|| {
        Problem::new(StatusCode::FORBIDDEN, "not-an-issuer", "this node may not issue, and so put nobody out")
            .remedy("run it on the issuer of that node, or sign with the operators' key: `hedgerow revoke NODE`")
    })?;
    let issued = issued_to(&state, &node)?;
    let serial = state.store.serial_above(0).await.await;
    let serial = serial.map_err(|error| Problem::because(StatusCode::SERVICE_UNAVAILABLE, "storage", &error))?;
    let serial = serial.ok_or_else(|| Problem::unavailable("serials-exhausted", "there is no serial left"))?;
    let withdrawal = Withdrawal {
        version: revocation::VERSION,
        mesh: state.root.mesh(),
        issuer: state.api.core.view().me,
        serial,
        node,
        at: wall().unix_seconds(),
        reason,
    };
    let proven = ProvenWithdrawal {
        withdrawal: issuer.withdraw(&withdrawal),
        issued: issued.membership,
        delegation: issued.delegation,
    };
    announce(&state, SignedFact::Withdrawal(Box::new(proven))).await.map(Json)
}

/// A certificate of that node by this one: the last that is known of it, or that was kept.
fn issued_to(state: &AdminState, node: &NodeId) -> Result<Certificate, Problem> {
    let me = state.api.core.view().me;
    let roster = state.api.core.roster();
    let known = roster.author(node).map(|member| member.certificate().clone());
    let kept = state
        .store
        .certificate(node)
        .map_err(|error| Problem::because(StatusCode::SERVICE_UNAVAILABLE, "storage", &error))?;
    let kept = kept.and_then(|bytes| Certificate::from_bytes(&bytes).ok());
    let mine = |certificate: &Certificate| certificate.membership.peek().is_ok_and(|issued| issued.issuer == me);
    known.into_iter().chain(kept).find(mine).ok_or_else(|| {
        Problem::new(StatusCode::FORBIDDEN, "not-issued-here", "this node issued no certificate to that one")
            .remedy("run it on the issuer of that node, or sign with the operators' key: `hedgerow revoke NODE`")
    })
}

async fn announce(state: &AdminState, signed: SignedFact) -> Result<RevocationReport, Problem> {
    if !matches!(signed, SignedFact::Revocation(_) | SignedFact::Withdrawal(_)) {
        return Err(malformed("the fact is no revocation"));
    }
    let fact =
        signed.verify(&state.api.core.roster(), &state.root, wall().unix_seconds()).map_err(|error| refused(&error))?;
    let Some(revocation) = fact.revoked() else { return Err(malformed("the fact is no revocation")) };
    if revocation.node() == state.api.core.view().me {
        let detail = "this node would end before others hear of it";
        return Err(Problem::new(StatusCode::CONFLICT, "revocation-of-self", detail)
            .remedy("run it on another node, with `--data DIR`; or have this one leave: `hedgerow leave`"));
    }
    // Another reason is no reason to say it again.
    if !state.api.core.roster().revoked().is_news(revocation) {
        return Err(not_obeyed(&CommandError::Refused(CommandRefusal::Stale)));
    }
    let report = RevocationReport::of(revocation);
    let announced = state.api.core.command(Command::Announce(Box::new(fact))).await;
    announced.map_err(|error| not_obeyed(&error))?;
    Ok(report)
}

fn malformed(detail: &str) -> Problem {
    Problem::bad_request("revocation-malformed", detail).remedy("take a file that `hedgerow revoke --out FILE` wrote")
}

fn refused(error: &FactRefusal) -> Problem {
    let problem = |status| Problem::new(status, "revocation-refused", chain(error));
    match error {
        FactRefusal::Revocation(RevocationError::Endorsement(EndorsedError::BelowThreshold { .. })) => {
            problem(StatusCode::CONFLICT)
                .remedy("write it with --out FILE and let another operator `hedgerow revoke --file FILE`")
        }
        _ => problem(StatusCode::FORBIDDEN).remedy("sign with a revocation key that the mesh's root names: --key FILE"),
    }
}

fn not_obeyed(error: &CommandError) -> Problem {
    match error {
        CommandError::Refused(CommandRefusal::Stale) => {
            Problem::new(StatusCode::CONFLICT, "revocation-stale", "the node is out already, by a revocation as wide")
                .remedy("nothing has to be done")
        }
        CommandError::Refused(CommandRefusal::Full) => {
            Problem::new(StatusCode::CONFLICT, "revocations-full", "the mesh knows as many revocations as it may")
                .remedy("found a new mesh: a mesh that had to put out so many is no longer to be trusted")
        }
        CommandError::Refused(_) | CommandError::Stopping | CommandError::Storage => {
            super::not_obeyed("revocation-refused", error)
        }
    }
}
