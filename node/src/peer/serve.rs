//! What arrives from the network, handed to the room that it is for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::genesis::Genesis;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::member::Member;
use hedgerow_attest::signed::Signed;
use hedgerow_crdt::message::SyncMessage;
use hedgerow_protocol::core::{Command, LinkEvent};
use hedgerow_protocol::fact::VerifiedFact;
use hedgerow_protocol::link::Address as _;
use hedgerow_protocol::placement::Policy;
use hedgerow_protocol::view::MemberState;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::renewal::RENEW_PROTOCOL;
use crate::admin::{APPOINT_PROTOCOL, PING_PROTOCOL};
use crate::content::Held;
use crate::core::{CoreHandle, CoreInbox};
use crate::exec::{ENVELOPE_PROTOCOL, Library};
use crate::identity::{
    Admission, AppointmentAnswer, Appointments, Asker, JoinAnswer, KnownMember, Lead, LeadRequest, ProvenRenewal,
    RenewalAnswer, RenewalRefusal, Standing, Surroundings, claimed_node, issues,
};
use crate::net::{
    CHECK_PROTOCOL, CheckAnswer, Lane, Net, NetEvent, Protocol, RemoteError, Respond, read_check_question,
};
use crate::observe::{Counters, system, traced, wall};
use crate::route::{DESCRIBE_PROTOCOL, INFER_PROTOCOL, Router};
use crate::session::{Groups, SESSION_PROTOCOL, SIZES_PROTOCOL, Sessions};

/// The rooms to which arrivals go.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) inbox: CoreInbox,
    pub(super) core: CoreHandle,
    pub(super) net: Net,
    pub(super) groups: Groups,
    pub(super) sessions: Sessions,
    pub(super) router: Router,
    pub(super) library: Library,
    pub(super) admission: Admission,
    pub(super) appointments: Arc<Appointments>,
    pub(super) known: Arc<Founded>,
    pub(super) counters: Counters,
}

/// What this node was given when it joined, for those whom it admits.
#[derive(Clone, Debug)]
pub(super) struct Founded {
    pub(super) geneses: Vec<Signed<Genesis>>,
    pub(super) policy: Option<Endorsed<Policy>>,
}

/// Serves until `stop` or the network's end. Requests run as tasks of their own; the network bounds how many there are.
pub(super) async fn serve(rooms: Arc<Rooms>, mut events: mpsc::Receiver<NetEvent>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            event = events.recv() => event,
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "serving a request failed");
                }
                continue;
            }
        };
        let Some(event) = event else { break };
        rooms.arrived(event, &mut tasks).await;
    }
    tasks.shutdown().await;
}

impl Rooms {
    async fn arrived(self: &Arc<Self>, event: NetEvent, tasks: &mut JoinSet<()>) {
        match event {
            NetEvent::LinkUp { peer, rtt_us, member } => {
                self.inbox.met(member).await;
                self.inbox.link(peer, LinkEvent::Up { rtt_us: Some(rtt_us) }).await;
                self.groups.link(peer, true);
            }
            NetEvent::LinkRtt { peer, rtt_us } => self.inbox.link(peer, LinkEvent::Rtt { rtt_us }).await,
            NetEvent::LinkDown { peer } => {
                self.inbox.link(peer, LinkEvent::Down).await;
                self.groups.link(peer, false);
            }
            NetEvent::LinkUsed { peer } => self.inbox.link(peer, LinkEvent::Used).await,
            NetEvent::LinkUnanswered { peer } => self.inbox.link(peer, LinkEvent::Unanswered).await,
            NetEvent::Message { from, lane: Lane::Probe | Lane::Rpc, bytes } => self.inbox.message(from, bytes),
            NetEvent::Message { from, lane: Lane::Session, bytes } => match SyncMessage::decode(&bytes) {
                Ok(message) => self.groups.deliver(from, message),
                Err(error) => {
                    tracing::debug!(%from, %error, "refused a session message");
                    self.counters.add("refusals", "malformed_session_message", 1);
                }
            },
            NetEvent::Gossip { from, bytes, verdict, .. } => self.inbox.gossip(from, bytes, verdict),
            NetEvent::Request { from, protocol, body, deadline, trace, respond } => {
                let rooms = self.clone();
                tasks.spawn(async move {
                    let served = rooms.request(from, &protocol, &body, deadline.into_std(), respond);
                    traced(trace, served).await;
                });
            }
            NetEvent::StreamRequest { protocol, answers, .. } => {
                tracing::debug!(protocol = protocol.name(), "a request for a stream of an unknown protocol");
                answers.fail(RemoteError::UnknownProtocol).await;
            }
            NetEvent::BulkRequest { digest, max_bytes, respond, .. } => {
                let library = self.library.clone();
                tasks.spawn(async move { respond.send(small(&library, digest, max_bytes).await) });
            }
            NetEvent::HoldingRequest { blake3, respond, .. } => {
                let library = self.library.clone();
                tasks.spawn(async move { respond.send(held(&library, blake3).await) });
            }
            NetEvent::JoinRequest { transport, exporter, body, respond, .. } => {
                let rooms = self.clone();
                tasks.spawn(async move {
                    if ProvenRenewal::is_meant(&body) {
                        let asker = Asker::Holder { transport: &transport, exporter: &exporter };
                        respond.send(rooms.renew(asker, &body).await);
                    } else if LeadRequest::is_meant(&body) {
                        respond.send(rooms.lead(&body));
                    } else {
                        rooms.join(transport, exporter, body, respond).await;
                    }
                });
            }
        }
    }

    async fn request(
        &self,
        from: NodeId,
        protocol: &Protocol,
        body: &Bytes,
        deadline: std::time::Instant,
        mut respond: Respond<Result<Bytes, RemoteError>>,
    ) {
        let remaining = deadline.saturating_duration_since(std::time::Instant::now());
        let answer = async {
            match protocol {
                known if *known == INFER_PROTOCOL => self.router.serve(body, remaining).await,
                known if *known == DESCRIBE_PROTOCOL => self.router.serve_description(body),
                known if *known == SESSION_PROTOCOL => self.sessions.serve(body, leave_time(remaining)).await,
                known if *known == SIZES_PROTOCOL => self.sessions.serve_sizes(body),
                known if *known == ENVELOPE_PROTOCOL => self.envelope(body),
                known if *known == PING_PROTOCOL => Ok(body.clone()),
                known if *known == CHECK_PROTOCOL => self.check(body),
                known if *known == RENEW_PROTOCOL => Ok(self.renew(Asker::Member(from), body).await),
                known if *known == APPOINT_PROTOCOL => Ok(self.appoint(body).await),
                unknown => {
                    tracing::debug!(protocol = unknown.name(), "a request of an unknown protocol");
                    Err(RemoteError::UnknownProtocol)
                }
            }
        };
        let answer = tokio::select! {
            answer = answer => answer,
            () = respond.abandoned() => return,
        };
        respond.send(answer);
    }

    /// This node's links and its clock, as whoever checks the network asks for them.
    fn check(&self, body: &Bytes) -> Result<Bytes, RemoteError> {
        read_check_question(body).map_err(|error| {
            tracing::debug!(%error, "refused a question for the links");
            RemoteError::Refused
        })?;
        let links = self.net.links();
        Ok(CheckAnswer::of(&links, system()).encode())
    }

    fn envelope(&self, body: &Bytes) -> Result<Bytes, RemoteError> {
        let manifest: [u8; 32] = body.as_ref().try_into().map_err(|_refused| RemoteError::Refused)?;
        match self.library.envelope(Sha256Digest::from_bytes(manifest)) {
            Ok(Some(envelope)) => Ok(Bytes::from(envelope)),
            Ok(None) => Err(RemoteError::Refused),
            Err(error) => {
                tracing::warn!(%error, "an envelope could not be read");
                Err(RemoteError::Failed)
            }
        }
    }

    /// Admits a node and tells the mesh of it before it is told itself, so that its first links are to nodes that may know it.
    async fn join(&self, transport: PublicKey, exporter: [u8; 32], body: Bytes, respond: Respond<Bytes>) {
        let (surroundings, now) = (self.surroundings(), wall().unix_seconds());
        let admitted = self.admission.answer(&body, &transport, &exporter, surroundings, now).await;
        if let Some((member, birth)) = admitted.fresh {
            let facts = [Some(VerifiedFact::member(member)), birth.map(VerifiedFact::genesis)];
            for fact in facts.into_iter().flatten() {
                if let Err(error) = self.core.command(Command::Announce(Box::new(fact))).await {
                    tracing::warn!(%error, "an admission was not announced; the member's own links will tell");
                }
            }
        }
        if let JoinAnswer::Refused(refusal) = &admitted.answer {
            self.counters.add("refusals", refusal.code(), 1);
        }
        match admitted.answer.encode() {
            Ok(answer) => respond.send(Bytes::from(answer)),
            Err(error) => tracing::error!(%error, "the answer to a join could not be written"),
        }
    }

    /// Renews a certificate, where this node is an issuer.
    async fn renew(&self, asker: Asker<'_>, body: &Bytes) -> Bytes {
        let (view, roster) = (self.core.view(), self.core.roster());
        let claimed = claimed_node(body, matches!(asker, Asker::Holder { .. }));
        let out = claimed.and_then(|node| roster.revocation_of(&node).cloned());
        let answer = match out {
            Some(fact) => RenewalAnswer::Refused(RenewalRefusal::Revoked { evidence: fact.signed().to_bytes() }),
            None => {
                let standing = |shown: &Member| Standing {
                    member: roster.member(&shown.node()).cloned(),
                    has_left: view.members.get(&shown.node()).is_some_and(|member| member.state == MemberState::Left),
                    is_void: roster.revoked().judge(shown).is_some(),
                };
                self.admission.renew(asker, body, standing, wall().unix_seconds()).await
            }
        };
        if let RenewalAnswer::Refused(refusal) = &answer {
            self.counters.add("refusals", refusal.code(), 1);
        }
        Bytes::from(answer.encode())
    }

    /// Where this node knows an issuer to be. It tells of no other member, and of issuers only who knows their ids.
    fn lead(&self, body: &[u8]) -> Bytes {
        let (view, roster) = (self.core.view(), self.core.roster());
        let asked = LeadRequest::decode(body).and_then(|request| roster.member(&request.issuer).cloned());
        let lead = asked.filter(issues).map_or_else(Lead::default, |issuer| {
            let announced = view.contact(&issuer.node()).into_iter().flat_map(|(_, contact)| contact.addresses.clone());
            let mut addresses: Vec<_> = announced.chain(self.net.addresses(issuer.node())).collect();
            let mut seen = BTreeSet::new();
            addresses.retain(|address| !address.is_relayed() && seen.insert(*address));
            Lead::to(addresses)
        });
        Bytes::from(lead.encode())
    }

    /// Takes in a delegation to this node.
    async fn appoint(&self, body: &Bytes) -> Bytes {
        let answer = self.appointments.answer(body.clone(), wall().unix_seconds()).await;
        if let AppointmentAnswer::Refused(refusal) = &answer {
            self.counters.add("refusals", refusal.code(), 1);
        }
        Bytes::from(answer.encode())
    }

    /// The members to begin with: this node first, then the others by round trip.
    fn surroundings(&self) -> Surroundings {
        let (view, roster) = (self.core.view(), self.core.roster());
        let mut members: Vec<_> = view.members.values().collect();
        members.sort_by_key(|member| (member.node != view.me, member.rtt_us.unwrap_or(u64::MAX)));
        let known = members.into_iter().filter_map(|member| {
            let certificate = roster.member(&member.node)?.certificate().clone();
            Some(KnownMember { certificate, addresses: member.addresses.clone() })
        });
        Surroundings {
            members: known.collect(),
            geneses: self.known.geneses.clone(),
            policy: self.known.policy.clone(),
            roster,
        }
    }
}

/// A blob that is small enough to be sent in one piece.
async fn small(library: &Library, digest: Sha256Digest, max_bytes: u64) -> Option<Bytes> {
    library.artifacts().read_small(digest, max_bytes).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "an artifact is not served");
        None
    })
}

async fn held(library: &Library, blake3: Blake3Digest) -> Held {
    library.artifacts().held(blake3).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "an artifact is not served");
        Held::Nothing
    })
}

/// A replica's own deadline lies before its asker's, so that the answer at the deadline still arrives.
fn leave_time(remaining: Duration) -> Duration {
    remaining.saturating_sub(ANSWER_MARGIN)
}

/// Half of what the asker adds for the way.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);
