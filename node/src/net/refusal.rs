//! Why a connection was not made, counted by reason.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use hedgerow_attest::delegation::DelegationError;
use hedgerow_attest::membership::MembershipError;
use hedgerow_attest::time::ValidityError;
use rustls::CertificateError;

/// Why a connection was refused; the text is the key under which `status` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The membership is of another mesh, or its issuer has no standing under our root.
    OtherMesh,
    /// The membership or a delegation above it has ended; renew it on the join lane.
    Expired,
    /// The membership or a delegation above it has not begun; compare the clocks.
    NotYetValid,
    /// A lane other than join was asked for without a membership; join the mesh first.
    NoMembership,
    /// A signature does not verify strictly.
    BadSignature,
    /// The node is in the revoked set.
    Revoked,
    /// A valid member, but not the one expected, or a membership that names another transport key.
    WrongPeer,
    /// None, several or an unknown ALPN was offered; the peer may be of another version.
    BadAlpn,
    /// The certificate does not parse.
    Malformed,
    /// We hold no trust root yet, so nobody can be judged; enrol this node first.
    NoRoot,
    /// The handshake did not end in time.
    Timeout,
    /// Too many joins, or too many handshakes that failed, from one address.
    RateLimited,
    /// Too many handshakes at once.
    Overloaded,
    /// The peer turned us down during the handshake.
    ByPeer,
    /// The connection broke during the handshake for a reason of the transport.
    Transport,
}

impl Refusal {
    /// Every reason; the counters are bounded by this list.
    pub const ALL: [Self; 15] = [
        Self::OtherMesh,
        Self::Expired,
        Self::NotYetValid,
        Self::NoMembership,
        Self::BadSignature,
        Self::Revoked,
        Self::WrongPeer,
        Self::BadAlpn,
        Self::Malformed,
        Self::NoRoot,
        Self::Timeout,
        Self::RateLimited,
        Self::Overloaded,
        Self::ByPeer,
        Self::Transport,
    ];

    /// The stable name used in `status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherMesh => "other_mesh",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NoMembership => "no_membership",
            Self::BadSignature => "bad_signature",
            Self::Revoked => "revoked",
            Self::WrongPeer => "wrong_peer",
            Self::BadAlpn => "bad_alpn",
            Self::Malformed => "malformed",
            Self::NoRoot => "no_root",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::ByPeer => "refused_by_peer",
            Self::Transport => "transport",
        }
    }

    /// Whether it is what the caller showed or asked for that was wrong: only whoever holds its address comes as far as that.
    pub(super) const fn is_of_the_caller(self) -> bool {
        match self {
            Self::OtherMesh
            | Self::Expired
            | Self::NotYetValid
            | Self::NoMembership
            | Self::BadSignature
            | Self::Revoked
            | Self::WrongPeer
            | Self::Malformed => true,
            // An unknown ALPN is seen in the first packet, which anybody can send in another's name.
            Self::BadAlpn
            | Self::NoRoot
            | Self::Timeout
            | Self::RateLimited
            | Self::Overloaded
            | Self::ByPeer
            | Self::Transport => false,
        }
    }

    /// The TLS error whose alert tells the peer the reason (RFC 8446 §6.2).
    pub(super) fn to_tls(self) -> rustls::Error {
        rustls::Error::InvalidCertificate(match self {
            Self::OtherMesh | Self::NoRoot => CertificateError::UnknownIssuer,
            Self::Expired => CertificateError::Expired,
            Self::NotYetValid => CertificateError::NotValidYet,
            Self::BadSignature => CertificateError::BadSignature,
            Self::Revoked => CertificateError::Revoked,
            Self::WrongPeer => CertificateError::NotValidForName,
            Self::Malformed => CertificateError::BadEncoding,
            Self::NoMembership
            | Self::BadAlpn
            | Self::Timeout
            | Self::RateLimited
            | Self::Overloaded
            | Self::ByPeer
            | Self::Transport => CertificateError::ApplicationVerificationFailure,
        })
    }

    /// What a TLS alert from a node says about us; coarser than the reason that caused it.
    pub(super) fn from_alert(alert: u8) -> Option<Self> {
        match alert {
            42 => Some(Self::WrongPeer),
            44 => Some(Self::Revoked),
            45 => Some(Self::Expired),
            48 => Some(Self::OtherMesh),
            49 => Some(Self::NoMembership),
            51 => Some(Self::BadSignature),
            120 => Some(Self::BadAlpn),
            _ => None,
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|reason| *reason == self).expect("ALL lists every variant, which a test checks")
    }
}

impl From<&MembershipError> for Refusal {
    fn from(error: &MembershipError) -> Self {
        match error {
            // A delegation that our root's keys did not sign is how another mesh looks from here.
            MembershipError::OtherMesh(_)
            | MembershipError::Delegation(DelegationError::Endorsement(_) | DelegationError::OtherMesh(_)) => {
                Self::OtherMesh
            }
            MembershipError::Validity(validity) | MembershipError::Delegation(DelegationError::Validity(validity)) => {
                match validity {
                    ValidityError::NotYet { .. } => Self::NotYetValid,
                    ValidityError::Expired { .. } => Self::Expired,
                }
            }
            MembershipError::Signature(_) | MembershipError::OtherIssuer { .. } | MembershipError::Identity(_) => {
                Self::BadSignature
            }
            MembershipError::OtherKeys => Self::WrongPeer,
            MembershipError::UnsupportedVersion(_)
            | MembershipError::Lifetime { .. }
            | MembershipError::Delegation(DelegationError::UnsupportedVersion(_) | DelegationError::Lifetime { .. }) => {
                Self::Malformed
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Refusal {}

/// How often each reason occurred since the start of the process.
#[derive(Debug, Default)]
pub(super) struct Refusals([AtomicU64; Refusal::ALL.len()]);

impl Refusals {
    pub(super) fn count(&self, reason: Refusal) {
        self.0[reason.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// The reasons that occurred, by name.
    pub(super) fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        Refusal::ALL
            .into_iter()
            .map(|reason| (reason.name(), self.0[reason.index()].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_counts_under_its_own_name() {
        let refusals = Refusals::default();
        for (times, reason) in (1..).zip(Refusal::ALL) {
            for _ in 0..times {
                refusals.count(reason);
            }
        }
        let expected: BTreeMap<&str, u64> =
            (1..).zip(Refusal::ALL).map(|(times, reason)| (reason.name(), times)).collect();
        assert_eq!(expected.len(), Refusal::ALL.len());
        assert_eq!(refusals.snapshot(), expected);
    }

    #[test]
    fn the_alerts_are_frozen() {
        let alerts = Refusal::ALL.map(|reason| {
            let rustls::Error::InvalidCertificate(error) = reason.to_tls() else {
                panic!("{reason} is not told as a certificate error");
            };
            u8::from(rustls::AlertDescription::from(error))
        });
        assert_eq!(alerts, [48, 45, 45, 49, 51, 44, 42, 49, 42, 48, 49, 49, 49, 49, 49]);
    }

    #[test]
    fn an_alert_tells_the_peer_what_was_wrong() {
        for reason in [
            Refusal::OtherMesh,
            Refusal::Expired,
            Refusal::NoMembership,
            Refusal::BadSignature,
            Refusal::Revoked,
            Refusal::WrongPeer,
        ] {
            let rustls::Error::InvalidCertificate(error) = reason.to_tls() else {
                panic!("{reason} is not told as a certificate error");
            };
            let alert = u8::from(rustls::AlertDescription::from(error));
            assert_eq!(Refusal::from_alert(alert), Some(reason));
        }
    }
}
