//! Every decoder of bytes that come from a peer or a publisher, by name, for fuzzing: `fuzz` feeds them anything and keeps what was interesting.
//!
//! A decoder that is not here is not fuzzed. What stands before them is quinn's (packets) and libp2p's (gossip and identify).

use futures::FutureExt as _;
use hedgerow_attest::delegation::Delegation;
use hedgerow_attest::digest::Blake3Digest;
use hedgerow_attest::dsse::Envelope;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::root::TrustRoot;
use hedgerow_crdt::frame::SealedFrame;
use hedgerow_crdt::message::SyncMessage;
use hedgerow_crdt::prescan;
use hedgerow_inference::artifact::Manifest;
use hedgerow_inference::ir::{Graph, Signature};
use hedgerow_protocol::fact::SignedFact;
use hedgerow_protocol::name::{ModelName, ModelRef, ModelVersion};
use hedgerow_protocol::wire;

use crate::content::{Content, GroupRange, Incoming};
use crate::identity::{
    AppointmentAnswer, JoinAnswer, JoinRequest, Lead, LeadRequest, ProvenRenewal, RenewalAnswer, RenewalRequest,
};
use crate::net::{self, CheckAnswer};
use crate::route::{InferCall, InferReply};
use crate::session::{SessionAnswer, SessionCall};
use crate::{route, session};

/// One decoder.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// Its name, which is that of the folder of its corpus.
    pub name: &'static str,
    /// Reads bytes as a peer would send them; whether they are of its form. It must neither panic nor take more memory than
    /// its bounds say, whatever the bytes.
    pub takes: fn(&[u8]) -> bool,
}

/// All of them.
pub const DECODERS: &[Decoder] = &[
    // What a handshake shows.
    decoder("tls-certificate", net::takes_tls_certificate),
    decoder("membership", |bytes| Certificate::from_bytes(bytes).is_ok()),
    // The join lane.
    decoder("block", |mut bytes| net::takes_block(&mut bytes).now_or_never().is_some_and(|taken| taken)),
    decoder("join-request", |bytes| JoinRequest::decode(bytes).is_ok()),
    decoder("join-answer", |bytes| JoinAnswer::decode(bytes).is_ok()),
    decoder("root", |bytes| TrustRoot::parse(bytes).is_ok()),
    decoder("renewal-request", |bytes| RenewalRequest::decode(bytes).is_ok()),
    decoder("proven-renewal", |bytes| ProvenRenewal::decode(bytes).is_ok()),
    decoder("lead-request", |bytes| LeadRequest::decode(bytes).is_some()),
    decoder("lead", |bytes| Lead::decode(bytes).is_some()),
    decoder("renewal-answer", |bytes| RenewalAnswer::decode(bytes).is_ok()),
    // The rpc lane.
    decoder("request", |mut bytes| net::takes_request(&mut bytes).now_or_never().is_some_and(|taken| taken)),
    decoder("answer", |mut bytes| net::takes_answer(&mut bytes).now_or_never().is_some_and(|taken| taken)),
    decoder("parts", net::takes_parts),
    decoder("messages", |mut bytes| net::takes_messages(&mut bytes).now_or_never().is_some_and(|taken| taken)),
    decoder("core-message", |bytes| wire::decode(bytes).is_ok()),
    decoder("fact", |bytes| SignedFact::from_bytes(bytes).is_ok()),
    decoder("sync-message", |bytes| SyncMessage::decode(bytes).is_ok()),
    decoder("session-frame", |bytes| SealedFrame::from_bytes(bytes).is_ok()),
    decoder("change", |bytes| prescan::scan(bytes).is_ok()),
    decoder("session-call", |bytes| SessionCall::from_bytes(bytes).is_ok()),
    decoder("session-answer", |bytes| SessionAnswer::from_bytes(bytes).is_some()),
    decoder("group-sizes", session::takes_sizes),
    decoder("infer-call", |bytes| route::decode::<InferCall>(bytes).is_some()),
    decoder("infer-reply", |bytes| route::decode::<InferReply>(bytes).is_some()),
    decoder("appointment", |bytes| Endorsed::<Delegation>::from_bytes(bytes).is_ok_and(|read| read.peek().is_ok())),
    decoder("appointment-answer", |bytes| AppointmentAnswer::decode(bytes).is_some()),
    decoder("describe-call", |bytes| route::decode::<(ModelName, Option<ModelVersion>)>(bytes).is_some()),
    decoder("describe-reply", |bytes| route::decode::<Option<(ModelRef, Signature)>>(bytes).is_some()),
    decoder("check-question", |bytes| net::read_check_question(bytes).is_ok()),
    decoder("check-answer", |bytes| CheckAnswer::decode(bytes).is_ok()),
    decoder("places", net::takes_places),
    // The relay and bulk lanes.
    decoder("relay-frame", net::takes_relay_frame),
    decoder("bulk-ask", |mut bytes| net::takes_bulk_ask(&mut bytes).now_or_never().is_some_and(|taken| taken)),
    decoder("bulk-answer", |mut bytes| net::takes_bulk_answer(&mut bytes).now_or_never().is_some_and(|taken| taken)),
    decoder("range", takes_range),
    // What the bulk lane brings.
    decoder("envelope", |bytes| Envelope::from_json(bytes).is_ok()),
    decoder("manifest", |bytes| Manifest::parse(bytes).is_ok()),
    decoder("graph", |bytes| Graph::decode(bytes).is_ok()),
    decoder("model", hedgerow_inference::hostile::takes_model),
    decoder("weights", hedgerow_inference::hostile::takes_weights),
    // What a publisher is given to push.
    decoder("onnx", hedgerow_inference::hostile::takes_onnx),
];

const fn decoder(name: &'static str, takes: fn(&[u8]) -> bool) -> Decoder {
    Decoder { name, takes }
}

/// A proof and the bytes of a range of content that the bytes themselves name: digest, size, first group and number of groups.
fn takes_range(bytes: &[u8]) -> bool {
    let Some((digest, rest)) = bytes.split_first_chunk::<32>() else { return false };
    let Some((&[a, b, c, first, count], rest)) = rest.split_first_chunk() else { return false };
    let size = u64::from(u32::from_le_bytes([a, b, c, 0]));
    let (Ok(content), Some(range)) =
        (Content::new(Blake3Digest::from_bytes(*digest), size), GroupRange::new(u32::from(first), u32::from(count)))
    else {
        return false;
    };
    if !content.has(range) || rest.len() < content.proof_bytes(range) {
        return false;
    }
    let (proof, data) = rest.split_at(content.proof_bytes(range));
    let Ok(mut incoming) = Incoming::new(content, range, proof.to_vec()) else { return false };
    incoming.take(data).is_ok() && incoming.finish().is_some()
}
