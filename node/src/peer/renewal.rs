//! A node keeps its own certificate: it asks an issuer for the next one in time, and also when it comes too late.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::core::{Command, CommandRefusal};
use hedgerow_protocol::fact::{SignedFact, VerifiedFact};
use hedgerow_protocol::time::Wall;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::issuers::Issuers;
use super::parts::dial_known;
use super::renewal_error::RenewalError;
use crate::core::{CommandError, CoreHandle};
use crate::identity::{
    Issuer, Issuing, NodeIdentity, ProvenRenewal, RenewalAnswer, RenewalRefusal, RenewalRequest, issues, life_s,
    renewal_due, retry_after, right_ends_soon,
};
use crate::net::{Net, Protocol, Trust};
use crate::observe::{Condition, Conditions, EXPIRY_NOTICE_S, EventLog, Happening, chain, wall};
use crate::store::{Layout, MeshStore, file};

/// The request of a member over its link.
pub(super) const RENEW_PROTOCOL: Protocol = Protocol::new("membership/renew/1");
/// An issuer answers after two writes to its disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two times that members are asked why others refuse this node: they let few in at a time. Doubled up to [`ASK_GAP_MAX`].
const ASK_GAP: Duration = Duration::from_secs(2);
const ASK_GAP_MAX: Duration = Duration::from_secs(60);
/// How long they are asked each time: meanwhile nothing is renewed.
const ASK_PATIENCE: Duration = Duration::from_secs(30);
/// Longest sleep: the wall clock may be set meanwhile.
const SLEEP_MOST: Duration = Duration::from_secs(30);

/// What keeps the certificate of one node.
#[derive(Debug)]
pub(super) struct Renewals {
    pub(super) identity: NodeIdentity,
    pub(super) root: Arc<TrustRoot>,
    /// The right to issue, while this node has it: then it asks nobody.
    pub(super) issuing: Issuing,
    pub(super) own: watch::Sender<Member>,
    pub(super) trust: watch::Sender<Arc<Trust>>,
    pub(super) core: CoreHandle,
    pub(super) net: Net,
    pub(super) store: MeshStore,
    pub(super) layout: Layout,
    pub(super) issuers: Issuers,
    pub(super) conditions: Conditions,
    pub(super) events: EventLog,
    /// Why the last attempt failed, for people.
    pub(super) failure: watch::Sender<Option<String>>,
}

/// Ends when this node was given a right to issue: a certificate that it issued itself tells all others of it.
async fn changed(issuing: &mut Issuing) {
    if issuing.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Ends when members said again, after a quiet time, that this node is none.
async fn told(shunned: &mut watch::Receiver<u64>, quiet: Instant) {
    tokio::time::sleep_until(quiet).await;
    if shunned.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Renewals {
    /// Renews whenever it is due, until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let (mut failures, mut due) = (0_u32, self.due());
        let (mut shunned, mut quiet, mut gap) = (self.net.shunned(), Instant::now(), ASK_GAP);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = until(due) => {}
                () = changed(&mut self.issuing) => due = Wall(0),
                () = told(&mut shunned, quiet) => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        asked = tokio::time::timeout(ASK_PATIENCE, self.ask_why()) => if asked.is_err() {
                            tracing::debug!("members do not say why others refuse this node");
                        }
                    }
                    shunned.mark_unchanged();
                    quiet = Instant::now() + gap;
                    gap = (gap * 2).min(ASK_GAP_MAX);
                }
            }
            self.judge(failures);
            if wall() < due {
                continue;
            }
            let was_over = self.own.borrow().has_ended(wall().unix_seconds());
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.renew() => outcome,
            };
            match outcome {
                Ok(member) => {
                    let (serial, until) = (member.serial(), member.not_after());
                    self.events.record(Happening::CertificateRenewed { serial, until });
                    if was_over {
                        self.meet();
                    }
                    (failures, due, gap) = (0, self.due(), ASK_GAP);
                    self.failure.send_replace(None);
                }
                Err(error) => {
                    if let RenewalError::Refused { refusal: RenewalRefusal::Revoked { evidence }, .. } = &error {
                        self.heed(evidence).await;
                    }
                    failures = failures.saturating_add(1);
                    let why = chain(&error);
                    self.events.record(Happening::CertificateNotRenewed { why: why.clone(), failures });
                    self.failure.send_replace(Some(why));
                    let wait = retry_after(&self.own.borrow(), wall().unix_seconds(), failures, draw());
                    due = Wall(wall().0.saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)));
                }
            }
            self.judge(failures);
        }
    }

    /// Whoever was dialled before refused this node.
    fn meet(&self) {
        if let Err(error) = dial_known(&self.net, &self.store) {
            tracing::warn!(error = chain(&error), "where others are is not known");
        }
    }

    fn due(&self) -> Wall {
        renewal_due(&self.own.borrow(), draw())
    }

    /// What stands in the status. A first attempt may fail because nobody is linked yet.
    fn judge(&self, failures: u32) {
        let member = self.own.borrow().clone();
        judge_certificate(&member, wall(), &self.conditions);
        judge_right(self.issuing.borrow().as_deref(), wall().unix_seconds(), &self.conditions);
        self.conditions.set(Condition::RenewalFails, failures > 1);
    }

    /// One attempt, at each issuer that is known until one gives a certificate.
    async fn renew(&mut self) -> Result<Member, RenewalError> {
        let own = self.own.borrow().clone();
        let mut failed = RenewalError::NoIssuer;
        let issuer = self.issuing.borrow().clone();
        if let Some(issuer) = issuer {
            match self.renew_myself(&issuer, &own).await {
                Ok(member) => return self.take(member).await,
                Err(error) => failed = error,
            }
        }
        for (issuer, peer) in self.issuers.by_preference(&own, &self.core) {
            match self.ask(issuer, peer, &own).await {
                Ok(member) => return self.take(member).await,
                Err(error) => {
                    tracing::debug!(error = chain(&error), "an issuer did not renew");
                    // What the issuer itself said is told rather than that another one is away.
                    if !matches!(failed, RenewalError::Refused { .. }) || matches!(error, RenewalError::Refused { .. })
                    {
                        failed = error;
                    }
                }
            }
        }
        Err(failed)
    }

    /// Members would have none of this node: whether it is out, some of them can prove. One that only says so may lie.
    async fn ask_why(&mut self) {
        let own = self.own.borrow().clone();
        let request = RenewalRequest { certificate: own.certificate().clone(), at: wall().unix_seconds() };
        for (node, peer, addresses) in self.issuers.witnesses(&own, &self.net, &self.core) {
            for address in addresses {
                let proven = |exporter: &[u8; 32]| self.proven(&request, exporter);
                let answer = self.net.join_client(address, peer, proven).await;
                let Ok(answer) = answer.map(|answer| RenewalAnswer::decode(&answer)) else { continue };
                if let Ok(RenewalAnswer::Refused(RenewalRefusal::Revoked { evidence })) = answer {
                    tracing::info!(by = %node, "a member shows why others refuse this node");
                    return self.heed(&evidence).await;
                }
                break;
            }
        }
    }

    /// Takes in by what this node is out, if it holds.
    async fn heed(&self, evidence: &[u8]) {
        let Ok(signed) = SignedFact::from_bytes(evidence) else { return };
        let roster = self.core.roster();
        match signed.verify(&roster, &self.root, wall().unix_seconds()) {
            Ok(fact) if fact.revoked().is_some_and(|revocation| revocation.node() == self.identity.node()) => {
                if let Err(error) = self.core.command(Command::Announce(Box::new(fact))).await {
                    tracing::debug!(error = chain(&error), "what is shown is known");
                }
            }
            Ok(_) => tracing::warn!("a member refuses this node by what is no revocation of it"),
            Err(error) => tracing::warn!(error = chain(&error), "a member refuses this node by what does not hold"),
        }
    }

    fn proven(&self, request: &RenewalRequest, exporter: &[u8; 32]) -> Bytes {
        let proven = ProvenRenewal::new(request.clone(), &self.identity, exporter);
        Bytes::from(proven.map(|proven| proven.encode()).unwrap_or_default())
    }

    async fn renew_myself(&self, issuer: &Issuer, own: &Member) -> Result<Member, RenewalError> {
        let now = wall().unix_seconds();
        let not_after = issuer.would_end(now);
        // Its first own certificate may end with the one before, which is another issuer's.
        let soonest = if issues(own) { own.not_after().plus_s(1) } else { own.not_after() };
        if not_after < soonest {
            let refusal = RenewalRefusal::RightEnds { not_after };
            return Err(RenewalError::Refused { issuer: own.node(), refusal });
        }
        let serial = self.store.serial_above(own.serial()).await.await.map_err(RenewalError::Serial)?;
        issuer.renew(own, serial.ok_or(RenewalError::NoSerial)?, now).map_err(RenewalError::OwnRight)
    }

    /// Over the link while the certificate holds; on the join lane once it has ended, and where no link comes up.
    async fn ask(&self, issuer: NodeId, peer: PeerId, own: &Member) -> Result<Member, RenewalError> {
        let request = RenewalRequest { certificate: own.certificate().clone(), at: wall().unix_seconds() };
        let over_link = if own.has_ended(request.at) {
            None
        } else {
            let body = Bytes::from(request.encode());
            match self.net.request(issuer, RENEW_PROTOCOL, body, PATIENCE).await {
                Ok(answer) => return self.read(issuer, &answer, own),
                Err(error) => Some(error),
            }
        };
        let unreached = || match over_link {
            Some(source) => RenewalError::Unreached { issuer, source: Box::new(source) },
            None => RenewalError::Nowhere { issuer },
        };
        let mut failed = None;
        for address in self.issuers.addresses(&issuer, &self.net, &self.core) {
            let proven = |exporter: &[u8; 32]| self.proven(&request, exporter);
            match self.net.join_client(address, peer, proven).await {
                Ok(answer) => return self.read(issuer, &answer, own),
                Err(source) => failed = Some(RenewalError::Unjoined { issuer, address, source: Box::new(source) }),
            }
        }
        Err(failed.unwrap_or_else(unreached))
    }

    /// The certificate in an answer, if it follows this node's own under the root.
    fn read(&self, issuer: NodeId, answer: &[u8], own: &Member) -> Result<Member, RenewalError> {
        let certificate = match RenewalAnswer::decode(answer) {
            Ok(RenewalAnswer::Renewed(certificate)) => certificate,
            Ok(RenewalAnswer::Refused(refusal)) => return Err(RenewalError::Refused { issuer, refusal }),
            Err(_unread) => return Err(RenewalError::NoSuccessor { issuer }),
        };
        let member = certificate.verify(&self.root, wall().unix_seconds(), self.root.skew_s());
        let member = member.map_err(|source| RenewalError::Unusable { issuer, source: Box::new(source) })?;
        let follows = member.supersedes(own)
            && member.not_after() > own.not_after()
            && member.region() == own.region()
            && member.peer() == own.peer()
            && self.core.roster().revoked().judge(&member).is_none();
        if follows { Ok(member) } else { Err(RenewalError::NoSuccessor { issuer }) }
    }

    /// Puts a certificate into use: it is on the disk before anybody is shown it.
    async fn take(&self, member: Member) -> Result<Member, RenewalError> {
        let (path, bytes) = (self.layout.membership(), member.certificate().to_bytes());
        let written = tokio::task::spawn_blocking(move || file::write(&path, &bytes));
        written.await.expect("writing a file does not panic").map_err(RenewalError::Keep)?;
        self.own.send_replace(member.clone());
        let shown: Certificate = member.certificate().clone();
        self.trust.send_modify(|trust| Arc::make_mut(trust).own = Some(shown));
        let told = self.core.command(Command::Announce(Box::new(VerifiedFact::member(member.clone())))).await;
        match told {
            Ok(()) | Err(CommandError::Refused(CommandRefusal::Stale)) => {}
            Err(error) => tracing::warn!(error = chain(&error), "the renewed certificate was not announced"),
        }
        Ok(member)
    }
}

/// Sleeps until that moment, or for a while: the wall clock may be set.
async fn until(due: Wall) {
    let wait = Duration::from_micros(due.0.saturating_sub(wall().0));
    tokio::time::sleep(wait.min(SLEEP_MOST)).await;
}

fn draw() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness all nodes ask at the same moment, which issuers survive.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::debug!("the system gave no random numbers");
    }
    u64::from_be_bytes(bytes)
}

/// Only operators lengthen a right to issue, and they have to be told.
fn judge_right(issuer: Option<&Issuer>, now: UnixSeconds, conditions: &Conditions) {
    let ended = issuer.is_some_and(|issuer| issuer.until() < now);
    conditions.set(Condition::RightEnded, ended);
    conditions.set(Condition::RightEnds, !ended && issuer.is_some_and(|issuer| right_ends_soon(issuer, now)));
}

/// A certificate that is renewed in time is nothing to tell of.
fn judge_certificate(member: &Member, now: Wall, conditions: &Conditions) {
    let (now_s, end_s) = (now.unix_seconds().0, member.not_after().0);
    let notice_s = EXPIRY_NOTICE_S.min(life_s(member) / 4);
    let ended = now_s > end_s;
    conditions.set(Condition::CertificateEnded, ended);
    conditions.set(Condition::CertificateEnds, !ended && now_s.saturating_add(notice_s) >= end_s);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hedgerow_attest::testing::SampleMesh;

    use super::*;

    #[test]
    fn the_end_of_the_certificate_is_told_before_it_comes_and_after() {
        let (conditions, member) = (Conditions::default(), SampleMesh::new(1).member(5, "eu"));
        let look = |now_s: u64| {
            judge_certificate(&member, Wall(now_s * 1_000_000), &conditions);
            conditions.standing()
        };
        let end = member.not_after().0;
        assert_eq!(look(end - EXPIRY_NOTICE_S - 1), BTreeSet::new());
        assert_eq!(look(end - EXPIRY_NOTICE_S), BTreeSet::from([Condition::CertificateEnds]));
        assert_eq!(look(end + 1), BTreeSet::from([Condition::CertificateEnded]));
        assert_eq!(look(end - EXPIRY_NOTICE_S - 1), BTreeSet::new(), "of a later one");
    }
}
