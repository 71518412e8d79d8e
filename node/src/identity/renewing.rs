//! The issuer's side of a renewal.

use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::member::{Member, RenewalClaim};
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::time::UnixSeconds;

use super::admission::Admission;
use super::issuer::Issuer;
use super::renewal::{ProvenRenewal, RenewalAnswer, RenewalRefusal, RenewalRequest};
use super::timetable::renewable_from;
use crate::observe::chain;

/// Who asks, by what the connection proved.
#[derive(Debug, Clone, Copy)]
pub enum Asker<'a> {
    /// A member, over its link.
    Member(NodeId),
    /// Whoever holds that transport key, on the join lane.
    Holder {
        /// The key.
        transport: &'a PublicKey,
        /// Keying material of the same connection.
        exporter: &'a [u8; 32],
    },
}

/// What the issuer's mesh knows of the node that asks.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The last certificate of it that was heard of.
    pub member: Option<Member>,
    /// Whether it left for good.
    pub has_left: bool,
    /// Whether the certificate that it shows was issued by an issuer that is out, after what still holds.
    pub is_void: bool,
}

impl Admission {
    /// Renews a certificate; `standing` says what is known of a node. What the answer promises is durable when this returns.
    pub async fn renew(
        &self,
        asker: Asker<'_>,
        body: &[u8],
        standing: impl Fn(&Member) -> Standing + Sync,
        now: UnixSeconds,
    ) -> RenewalAnswer {
        match self.renewed(asker, body, standing, now).await {
            Ok(member) => RenewalAnswer::Renewed(Box::new(member.certificate().clone())),
            Err(refusal) => {
                tracing::info!(reason = refusal.code(), ?asker, "refused a renewal");
                RenewalAnswer::Refused(refusal)
            }
        }
    }

    async fn renewed(
        &self,
        asker: Asker<'_>,
        body: &[u8],
        standing: impl Fn(&Member) -> Standing + Sync,
        now: UnixSeconds,
    ) -> Result<Member, RenewalRefusal> {
        let issuer = self.issuer().ok_or(RenewalRefusal::NotIssuing)?;
        let root = issuer.root();
        let claim = claim(root, asker, body, now)?;
        let node = claim.node();
        let Standing { member, has_left, is_void } = standing(claim.shown());
        if has_left {
            return Err(RenewalRefusal::Left);
        }
        // Whoever stole an issuer's keys writes itself what it likes: nothing follows from it.
        if is_void {
            return Err(RenewalRefusal::NotAMember);
        }
        let given = self.given_before(root, node, now).await?;
        let later = |known: &Member| known.supersedes(claim.shown());
        let known = member.into_iter().chain(given).filter(later).reduce(|a, b| if b.supersedes(&a) { b } else { a });
        let latest = known.as_ref().unwrap_or(claim.shown());
        if latest.region() != claim.shown().region() {
            return Err(RenewalRefusal::WrongRegion { known: latest.region().clone() });
        }
        let from = renewable_from(latest);
        match known {
            // An answer that was lost is given again: whoever asks twice with the certificate from before gets no two.
            Some(known) if now < from && !known.has_ended(now) => Ok(known),
            None if now.plus_s(root.skew_s()) < from => Err(RenewalRefusal::TooSoon { from }),
            Some(_) | None => self.issue_after(&issuer, latest, now).await,
        }
    }

    /// The last certificate that this issuer gave the node.
    async fn given_before(
        &self,
        root: &TrustRoot,
        node: NodeId,
        now: UnixSeconds,
    ) -> Result<Option<Member>, RenewalRefusal> {
        let store = self.store().clone();
        let read = tokio::task::spawn_blocking(move || store.certificate(&node));
        let bytes = read.await.expect("reading the store does not panic").map_err(|error| {
            tracing::error!(error = chain(&error), "a certificate could not be read");
            RenewalRefusal::Unavailable
        })?;
        let certificate = bytes.and_then(|bytes| Certificate::from_bytes(&bytes).ok());
        Ok(certificate.and_then(|certificate| certificate.verify(root, now, root.skew_s()).ok()))
    }

    /// A certificate that follows that one. Its serial is durable before it is signed, and it is kept before it is
    /// given out.
    async fn issue_after(&self, issuer: &Issuer, before: &Member, now: UnixSeconds) -> Result<Member, RenewalRefusal> {
        let unavailable = |error: &dyn std::error::Error| {
            tracing::error!(error = chain(error), "a renewal could not be recorded");
            RenewalRefusal::Unavailable
        };
        let not_after = issuer.would_end(now);
        if not_after <= before.not_after() {
            return Err(RenewalRefusal::RightEnds { not_after });
        }
        let serial = self.store().serial_above(before.serial()).await.await.map_err(|error| unavailable(&error))?;
        let serial = serial.ok_or(RenewalRefusal::NotIssuing)?;
        let member = issuer.renew(before, serial, now).map_err(|error| {
            tracing::warn!(error = chain(&error), node = %before.node(), "could not issue a certificate");
            RenewalRefusal::NotIssuing
        })?;
        let kept = self.store().put_certificate(before.node(), member.certificate().to_bytes()).await.await;
        kept.map_err(|error| unavailable(&error))?;
        tracing::info!(node = %before.node(), serial, until = %member.not_after(), "renewed a certificate");
        Ok(member)
    }
}

/// The certificate that is shown, if whoever asks holds its keys and the clocks agree.
fn claim(root: &TrustRoot, asker: Asker<'_>, body: &[u8], now: UnixSeconds) -> Result<RenewalClaim, RenewalRefusal> {
    let open = |request: &RenewalRequest| {
        request.certificate.verify_for_renewal(root, now, root.skew_s()).map_err(|error| {
            tracing::debug!(error = chain(&error), "a renewal with a certificate that does not hold");
            RenewalRefusal::NotAMember
        })
    };
    let (claim, at) = match asker {
        Asker::Member(from) => {
            let request = RenewalRequest::decode(body)?;
            let claim = open(&request)?;
            if claim.node() != from {
                return Err(RenewalRefusal::OtherNode);
            }
            (claim, request.at)
        }
        Asker::Holder { transport, exporter } => {
            let ProvenRenewal { request, proof } = ProvenRenewal::decode(body)?;
            let claim = open(&request)?;
            claim.verify_proof(&proof, PeerId::of(transport), exporter).map_err(|error| {
                tracing::debug!(error = chain(&error), "a renewal without proof of the keys");
                RenewalRefusal::BadProof
            })?;
            (claim, request.at)
        }
    };
    if at.0.abs_diff(now.0) > root.skew_s() {
        return Err(RenewalRefusal::ClockSkew { issuer: now, asking: at });
    }
    Ok(claim)
}

#[cfg(test)]
#[path = "renewing_tests.rs"]
mod tests;
