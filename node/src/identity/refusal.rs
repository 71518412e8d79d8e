//! Why an issuer does not admit a node.

use hedgerow_attest::reason::Reason;
use hedgerow_attest::region::Region;
use hedgerow_attest::time::UnixSeconds;
use serde::{Deserialize, Serialize};

/// Why a join was refused, in the issuer's words. No use of the invitation was counted.
///
/// The order of the variants is the wire format. What says something about an invitation is said only to who has proved to
/// hold its ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JoinRefusal {
    /// The request is no request.
    #[error("join: the issuer could not read the request; use the same release on both nodes")]
    Malformed,
    /// The request is of another release.
    #[error("join: the issuer does not know requests of version {version}; upgrade it")]
    UnsupportedVersion {
        /// The request's version.
        version: u8,
    },
    /// The keys are not bound to the node, or not those of the connection.
    #[error(
        "join: the keys in the request are not those of the connection; restore identity.key and inception.bin from one backup"
    )]
    Identity,
    /// The issuer has no such invitation.
    #[error("join: the issuer knows no such invitation; ask for a fresh ticket")]
    UnknownInvite,
    /// The secret of the ticket is not that of the invitation.
    #[error("join: the ticket's secret is not that of the invitation; ask for a fresh ticket")]
    BadProof,
    /// The two clocks differ too much for dates to mean anything.
    #[error(
        "join: the clocks differ, {joining} here and {issuer} at the issuer; set the one that is wrong and try again"
    )]
    ClockSkew {
        /// The issuer's clock.
        issuer: UnixSeconds,
        /// The joining node's clock.
        joining: UnixSeconds,
    },
    /// The ticket admits to another region.
    #[error("join: the ticket admits to region {invited} only; ask for a ticket of the region that you want")]
    WrongRegion {
        /// The invitation's region.
        invited: Region,
    },
    /// The ticket's time is over.
    #[error("join: the ticket expired at {not_after}; ask for a fresh one")]
    Expired {
        /// Last second at which it could be redeemed.
        not_after: UnixSeconds,
    },
    /// The ticket was used as often as it may be.
    #[error("join: every use of the ticket is taken; ask for a fresh one, or one with more uses")]
    UsedUp,
    /// The issuer has no right to issue, or its right has ended.
    #[error("join: the issuer may not issue certificates; ask an operator to delegate to it again")]
    NotIssuing,
    /// The issuer failed; the same ticket may be tried again.
    #[error("join: the issuer failed to record the admission; look at its log, then try again with the same ticket")]
    Unavailable,
    /// The node was put out for good.
    #[error("join: this node was put out of the mesh for good: {reason}; join as another node, with an empty folder")]
    Revoked {
        /// Why, in the words of whoever did.
        reason: Reason,
    },
}

impl JoinRefusal {
    /// A short name for counters.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "join_malformed",
            Self::UnsupportedVersion { .. } => "join_unsupported_version",
            Self::Identity => "join_identity",
            Self::UnknownInvite => "join_unknown_invite",
            Self::BadProof => "join_bad_proof",
            Self::ClockSkew { .. } => "join_clock_skew",
            Self::WrongRegion { .. } => "join_wrong_region",
            Self::Expired { .. } => "join_expired",
            Self::UsedUp => "join_used_up",
            Self::NotIssuing => "join_not_issuing",
            Self::Unavailable => "join_unavailable",
            Self::Revoked { .. } => "join_revoked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_frozen() {
        let now = UnixSeconds(1);
        let frozen: [(JoinRefusal, &[u8]); 12] = [
            (JoinRefusal::Malformed, &[0]),
            (JoinRefusal::UnsupportedVersion { version: 9 }, &[1, 9]),
            (JoinRefusal::Identity, &[2]),
            (JoinRefusal::UnknownInvite, &[3]),
            (JoinRefusal::BadProof, &[4]),
            (JoinRefusal::ClockSkew { issuer: now, joining: UnixSeconds(2) }, &[5, 1, 2]),
            (JoinRefusal::WrongRegion { invited: "eu".parse().unwrap() }, &[6, 2, b'e', b'u']),
            (JoinRefusal::Expired { not_after: now }, &[7, 1]),
            (JoinRefusal::UsedUp, &[8]),
            (JoinRefusal::NotIssuing, &[9]),
            (JoinRefusal::Unavailable, &[10]),
            (JoinRefusal::Revoked { reason: "lost".parse().unwrap() }, &[11, 4, b'l', b'o', b's', b't']),
        ];
        for (refusal, bytes) in frozen {
            assert_eq!(postcard::to_stdvec(&refusal).unwrap(), bytes, "{refusal}");
            assert_eq!(postcard::from_bytes(bytes), Ok(refusal));
        }
    }
}
