//! The operator's door: JSON over a unix socket in the data folder.

mod answer;
mod check;
mod client;
mod departure;
mod forgotten;
mod lines;
mod routes;
mod server;
mod state;
mod telling;
pub mod wire;

pub use answer::{ANSWER_BYTES_MAX, Answer, ClientError, Door};
pub use client::{AdminClient, HttpClient, SOCKET_NAME};
pub use departure::Departure;
pub use forgotten::Forgotten;
pub use lines::Lines;
pub use routes::{APPOINT_PROTOCOL, DEPLOYMENT_HEADER, Invited, PING_PROTOCOL, refusals, write_ticket};
pub use server::{admin_router, bind};
pub use state::{About, AdminState};
