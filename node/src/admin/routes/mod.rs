//! One file per thing that an operator asks for.

pub(super) mod departure;
pub(super) mod emulation;
pub(super) mod events;
pub(super) mod forgotten;
pub(super) mod invites;
pub(super) mod issuers;
pub(super) mod models;
mod named;
pub(super) mod netcheck;
pub(super) mod ping;
pub(super) mod placement;
pub(super) mod policy;
pub(super) mod recovery;
pub(super) mod revocations;
pub(super) mod status;

use axum::http::StatusCode;

use crate::api::Problem;
use crate::core::CommandError;

pub use invites::{Invited, write_ticket};
pub use issuers::APPOINT_PROTOCOL;
pub use models::DEPLOYMENT_HEADER;
pub use ping::PING_PROTOCOL;
pub use status::refusals;

/// Why the core did not do what an operator asked; `refused` names a refusal.
fn not_obeyed(refused: &'static str, error: &CommandError) -> Problem {
    match error {
        CommandError::Refused(_) => Problem::because(StatusCode::CONFLICT, refused, error),
        CommandError::Stopping => Problem::because(StatusCode::SERVICE_UNAVAILABLE, "stopping", error),
        CommandError::Storage => Problem::because(StatusCode::SERVICE_UNAVAILABLE, "storage", error),
    }
}
