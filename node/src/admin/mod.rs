//! The operator's door: JSON over a unix socket in the data folder.

mod answer;
mod client;
pub mod wire;

pub use answer::{ANSWER_BYTES_MAX, Answer, ClientError, Door};
pub use client::{AdminClient, HttpClient, SOCKET_NAME};
