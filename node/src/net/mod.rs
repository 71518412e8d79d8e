//! One UDP port and one QUIC endpoint; lanes told apart by ALPN.
//!
//! A caller's certificate carries its membership, and the handshake fails without one on every lane
//! but `hedgerow-join/1`, so no other code meets a stranger's bytes. [`Net::start`] takes the socket
//! and returns a [`Net`] to ask things of, and a bounded queue of [`NetEvent`]s, each proved to come
//! from the NodeId it names. The module calls nobody above it.
//!
//! `docs/wire.md` has the bytes of the handshake and the lanes, `docs/network.md` the reasons of refusals and the emulation,
//! `docs/bulk.md` the bulk lane.

mod accept;
mod allowance;
mod bulk;
mod certificate;
mod check;
mod close;
mod config;
mod ctl;
mod dial;
mod emulation;
mod event;
mod handle;
mod hostile;
mod join;
mod lane;
pub mod limits;
mod patience;
mod quic;
mod refusal;
mod relay;
mod reset;
mod rpc;
mod socket;
mod tasks;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
mod trust;

pub use allowance::Allowance;
pub use bulk::{Fault, FetchError, GatherError, Gathered};
pub use certificate::TlsIdentityError;
pub use check::{CHECK_PROTOCOL, CheckAnswer, CheckError, LinkFigures, Path, check_question, read_check_question};
pub use config::{NetConfig, Socket};
pub use ctl::{BehaviourError, CtlError, GossipVerdict, PublishError, Verdict};
pub use dial::{Answerer, DialError, DialReport};
pub use emulation::{
    Cut, DropReason, Emulation, EmulationError, EmulationSettings, Firewall, Loss, LossError, PathSettings, Rule,
    fabric,
};
pub use event::{NetEvent, Respond};
pub use handle::{Net, NetError};
pub(crate) use hostile::{
    takes_answer, takes_block, takes_bulk_answer, takes_bulk_ask, takes_messages, takes_parts, takes_places,
    takes_relay_frame, takes_request, takes_tls_certificate,
};
pub use join::JoinError;
pub use lane::{Lane, LinkLane};
pub use quic::transport_settings;
pub use refusal::Refusal;
pub use relay::{ParseRelayingError, RelayError, Relayed, Relaying};
pub use rpc::{
    AnswerSink, Answers, BesideError, CallerLeft, DialsFailed, Dropped, FrameError, LinkError, LinkView, Protocol,
    RemoteError, RequestError, SendError,
};
pub use socket::Traffic;
pub use tls::TlsConfigError;
pub use trust::Trust;
