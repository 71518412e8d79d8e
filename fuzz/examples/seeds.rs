//! Writes the files `taken-…` of the corpora: one of each form, as a node sends it. `cargo run -p hedgerow-fuzz --example seeds`.
//!
//! Those of `onnx` come from `fuzz/onnx_seeds.py`, and those of `model` from them.

use std::error::Error;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use hedgerow::content::{GroupRange, Holding, Outboard};
use hedgerow::identity::{
    AppointmentAnswer, AppointmentRefusal, JoinAnswer, JoinRefusal, JoinRequest, Lead, LeadRequest, ProvenRenewal,
    RenewalAnswer, RenewalRequest, Welcome,
};
use hedgerow::net::{CheckAnswer, LinkFigures, Path as Way};
use hedgerow_attest::dsse::Envelope;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::invite::{InviteId, InviteSecret};
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::renewal::RenewalProof;
use hedgerow_attest::signed::Signed;
use hedgerow_attest::testing::SampleMesh;
use hedgerow_crdt::engine::{Author, AutomergeDoc};
use hedgerow_crdt::frame::{FrameHead, FrameRoot, Lsn, Origin, Record, VerifiedFrame};
use hedgerow_crdt::limits::Limits;
use hedgerow_crdt::message::{SyncBody, SyncMessage};
use hedgerow_crdt::ops::{Scalar, SessionOp};
use hedgerow_crdt::session_doc::SessionDoc;
use hedgerow_fuzz::{Entry, corpus};
use hedgerow_inference::artifact::pack;
use hedgerow_inference::onnx::{LowerLimits, lower};
use hedgerow_protocol::fact::{Liveness, SignedFact};
use hedgerow_protocol::id::{BootId, Incarnation};
use hedgerow_protocol::name::{ClassName, Namespace};
use hedgerow_protocol::session_id::{GroupId, SessionId};
use hedgerow_protocol::time::Wall;
use hedgerow_protocol::wire::{self, Message, ProbeMessage, Suspicion};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let mesh = SampleMesh::new(1);
    handshake(&mesh)?;
    joining(&mesh)?;
    frames()?;
    mesh_core(&mesh)?;
    sessions()?;
    inference()?;
    models()?;
    content()
}

fn write(decoder: &str, what: &str, bytes: &[u8]) -> Outcome {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(decoder);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("taken-{what}")), bytes)?;
    Ok(())
}

fn handshake(mesh: &SampleMesh) -> Outcome {
    let keypair = libp2p::identity::Keypair::ed25519_from_bytes([7; 32])?;
    let (certificate, _key) = libp2p_tls::certificate::generate(&keypair)?;
    write("tls-certificate", "without-membership", &certificate)?;
    write("membership", "of-a-node", &mesh.member(5, "eu").certificate().to_bytes())
}

fn joining(mesh: &SampleMesh) -> Outcome {
    let (keys, now, exporter) = (mesh.keys(5), SampleMesh::NOW, [3; 32]);
    let certificate = mesh.member(5, "eu").certificate().clone();
    let root = mesh.draft().sign(&[mesh.operator()]);
    let request = JoinRequest {
        identity: keys.chain.clone(),
        invite: InviteId([1; 16]),
        proof: InviteSecret::from_bytes([2; 16]).proof(&exporter, InviteId([1; 16])),
        region: "eu".parse()?,
        class: "edge".parse()?,
        at: now,
    };
    write("join-request", "with-a-ticket", &request.encode())?;
    let welcome = Welcome {
        root: root.clone(),
        certificate: certificate.clone(),
        geneses: vec![],
        policy: None,
        members: vec![],
    };
    write("join-answer", "welcome", &JoinAnswer::Welcome(Box::new(welcome)).encode()?)?;
    write("join-answer", "refused", &JoinAnswer::Refused(JoinRefusal::Malformed).encode()?)?;
    write("root", "of-a-mesh", &root)?;
    write("block", "of-three-bytes", &[1, 3, 0, 0, 0, 9, 9, 9])?;
    let issuer = keys.chain.node();
    write("lead-request", "of-an-issuer", &LeadRequest { issuer }.encode())?;
    write("lead", "to-two-addresses", &Lead::to(["192.0.2.1:4334".parse()?, "[2001:db8::1]:4334".parse()?]).encode())?;
    write("appointment", "of-a-node", &mesh.delegation().to_bytes())?;
    let until = now.plus_s(60);
    write("appointment-answer", "taken", &AppointmentAnswer::Taken { until }.encode())?;
    let refused = AppointmentAnswer::Refused(AppointmentRefusal::NoLater { until });
    write("appointment-answer", "refused", &refused.encode())?;
    let request = RenewalRequest { certificate: certificate.clone(), at: now };
    write("renewal-request", "of-a-member", &request.encode())?;
    let node = keys.chain.node();
    let proof = RenewalProof::sign(mesh.root().mesh(), node, 1, &exporter, &keys.statement);
    write("proven-renewal", "after-its-end", &ProvenRenewal { request, proof }.encode())?;
    write("renewal-answer", "renewed", &RenewalAnswer::Renewed(Box::new(certificate)).encode())
}

/// Frames of the rpc, relay and bulk lanes, byte by byte as `docs/wire.md` and `docs/bulk.md` have them.
fn frames() -> Outcome {
    let name = b"ask/1";
    let head = [&[1, 5][..], name, &1_000_000_u64.to_le_bytes(), &3_u32.to_le_bytes(), b"abc"].concat();
    write("request", "with-a-body", &head)?;
    let streamed = [&[2, 5][..], name, &1_000_000_u64.to_le_bytes(), &[1, 25], &[7; 25], &3_u32.to_le_bytes(), b"abc"];
    write("request", "for-a-stream-in-a-trace", &streamed.concat())?;
    let part = |code: u8, bytes: &[u8]| [&[code][..], &(bytes.len() as u32).to_le_bytes(), bytes].concat();
    write("parts", "two-and-the-end", &[part(0, b"abc"), part(0, b""), part(255, b"")].concat())?;
    write("answer", "with-a-body", &[&[1, 0][..], &3_u32.to_le_bytes(), b"abc"].concat())?;
    let message = [&3_u32.to_le_bytes()[..], b"abc"].concat();
    write("messages", "two-of-the-core", &[&[1, 1][..], &message, &message].concat())?;
    write("relay-frame", "carried", &[&[0][..], &[7; 32], b"abc"].concat())?;
    write("relay-frame", "absent", &[&[1][..], &[7; 32]].concat())?;
    let place = [&[0; 10][..], &[0xff, 0xff, 10, 0, 0, 1, 0xee, 0x10]].concat();
    write("places", "one", &[&[1, 1][..], &place].concat())?;
    write("bulk-ask", "small", &[&[2, 0][..], &[7; 32], &100_u64.to_le_bytes()].concat())?;
    write("bulk-ask", "range", &[&[2, 1][..], &[7; 32], &0_u32.to_le_bytes(), &1_u32.to_le_bytes()].concat())?;
    write("bulk-answer", "found", &[&[2, 0][..], &100_u64.to_le_bytes()].concat())
}

fn mesh_core(mesh: &SampleMesh) -> Outcome {
    let fact = SignedFact::Member(Box::new(mesh.member(5, "eu").certificate().clone()));
    write("fact", "member", &fact.to_bytes())?;
    let ping = ProbeMessage::Ping {
        nonce: 7,
        belief: Suspicion { incarnation: Incarnation(1), liveness: Liveness::Alive },
        cell: None,
        suspects: vec![],
    };
    write("core-message", "ping", &wire::encode(&Message::Probe(ping)))?;
    let link = LinkFigures {
        node: NodeId::from_bytes([2; 32]),
        rtt_us: 300,
        sent_packets: 9,
        lost_packets: 1,
        path: Way::Direct,
    };
    write("check-question", "version-1", &[1])?;
    write("check-answer", "one-link", &CheckAnswer { wall: Wall(1_000_000), links: vec![link] }.encode())
}

fn sessions() -> Outcome {
    let key = SecretKey::from_seed([1; 32]);
    let (boot, node) = (BootId([1; 16]), NodeId::from_bytes([1; 32]));
    let group = GroupId { cell: CellId::from_bytes([9; 32]), class: ClassName::new("cart")?, prefix: 0 };
    let session = SessionId::named(group.cell, group.class.clone(), Namespace::new("shop")?, "one");
    let author = Author { statement: key.public(), boot };
    let ops = [SessionOp::Put { path: vec!["a".to_owned(), "b".to_owned()], value: Scalar::Int(1) }];
    let (_doc, change) = SessionDoc::<AutomergeDoc>::unwritten().edit(&author, &session, &ops, &Limits::standard())?;
    write("change", "a-put", &change.bytes)?;
    let records = vec![Record { session, epoch: Default::default(), change: change.bytes.to_vec() }];
    let first = FrameRoot::NONE;
    let head = FrameHead::over(Origin { node, boot }, group.clone(), Lsn(1), first, &records);
    let head = Signed::sign(&head, &key).verify(&key.public())?;
    let frame = VerifiedFrame::new(head, records)?.seal();
    write("session-frame", "one-record", &frame.to_bytes())?;
    let frames = SyncMessage { group, placement: Default::default(), body: SyncBody::Frames(vec![frame]) };
    write("sync-message", "frames", &frames.encode())?;
    let call = [1, 0, 3, b'1', b'.', b'x', 1, 0, 1, 1, b'a', 2, 2, 0, 1, 2];
    write("session-call", "write", &call)?;
    write("session-answer", "not-found", &[1, 3, 0])?;
    write("group-sizes", "none", &[0])
}

fn inference() -> Outcome {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/models/fraud/model.onnx");
    let lowered = lower(&fs::read(model)?, &LowerLimits::default())?;
    let artifact = pack("fraud".parse()?, "1".parse()?, &lowered)?;
    write("manifest", "of-a-model", artifact.manifest.bytes())?;
    write("graph", "of-a-model", &artifact.graph)?;
    // No inputs, and a refusal of the first kind in one letter, as `route/call.rs` has them.
    write("infer-call", "without-inputs", &[1, 1, b'm', 0, 0])?;
    write("describe-call", "any-version", &[1, 1, b'm', 0])?;
    write("describe-reply", "none", &[1, 0])?;
    let signed = Envelope::sign("application/vnd.in-toto+json", b"{}".to_vec(), &[&SecretKey::from_seed([1; 32])]);
    write("envelope", "of-a-publisher", &signed.to_json())?;
    write("infer-reply", "refused", &[1, 1, 0, 1, b'x'])
}

/// The graphs of the ONNX files of the corpus, and a weights layer.
fn models() -> Outcome {
    for Entry { name, bytes } in corpus("onnx")? {
        let Some(name) = name.strip_prefix("taken-") else { continue };
        write("model", name, &lower(&bytes, &LowerLimits::default())?.graph.encode()?)?;
    }
    let header = concat!(
        r#"{"bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#,
        r#""empty":{"dtype":"BOOL","shape":[0,3],"data_offsets":[8,8]},"#,
        r#""scale":{"dtype":"F8_E5M2","shape":[],"data_offsets":[8,9]},"#,
        r#""shape":{"dtype":"I64","shape":[1,1],"data_offsets":[9,17]}}"#
    );
    let data = [7; 17];
    write("weights", "of-four-types", &[&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat())
}

fn content() -> Outcome {
    let bytes = Bytes::from(vec![7; 40_000]);
    let outboard = Outboard::of(bytes.as_ref(), bytes.len() as u64)?;
    let content = outboard.content();
    let served = Holding::in_memory(outboard, bytes).read(GroupRange::new(1, 1).ok_or("a range")?)?;
    let head = [&content.blake3().as_bytes()[..], &40_000_u32.to_le_bytes()[..3], &[1, 1]].concat();
    write("range", "one-group", &[&head[..], &served.proof, &served.data].concat())
}
