//! TLS 1.3 on both sides. The server's verifier must know which lane is asked for, which rustls does
//! not tell it, so each inbound connection gets a configuration with a [`Door`] of its own.

use std::sync::{Arc, OnceLock};

use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::peer_id::PeerId;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::certificate::Presented;
use super::lane::LinkLane;
use super::refusal::Refusal;
use super::trust::Standing;

/// Why no TLS configuration could be built; the linked cryptography lacks what QUIC needs.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// The provider has no TLS 1.3.
    #[error("configure TLS 1.3")]
    Tls(#[from] Error),
    /// The provider has no AES-128-GCM, which QUIC's first packets use.
    #[error("configure QUIC's initial keys")]
    Quic(#[from] NoInitialCipherSuite),
}

/// A peer whose certificate was accepted.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) presented: Presented,
    /// `None` only on the join lane, or towards a server whose membership was not asked for.
    pub(super) member: Option<Member>,
}

/// Certificate resolver and client verifier of one inbound connection.
#[derive(Debug)]
pub(super) struct Door {
    standing: Arc<Standing>,
    lane: OnceLock<LinkLane>,
    verdict: OnceLock<Result<Admitted, Refusal>>,
}

impl Door {
    pub(super) fn new(standing: Arc<Standing>) -> Arc<Self> {
        Arc::new(Self { standing, lane: OnceLock::new(), verdict: OnceLock::new() })
    }

    /// The configuration whose handshake passes through this door.
    pub(super) fn config(self: Arc<Self>) -> Result<quinn::ServerConfig, TlsConfigError> {
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(self.clone())
            .with_cert_resolver(self);
        config.alpn_protocols = LinkLane::ALL.map(|lane| lane.alpn().as_bytes().to_vec()).to_vec();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0; // every connection shows its membership again
        let config = QuicServerConfig::try_from(config)?;
        Ok(quinn::ServerConfig::with_crypto(Arc::new(config)))
    }

    /// The lane asked for, once the first flight was read.
    pub(super) fn lane(&self) -> Option<LinkLane> {
        self.lane.get().copied()
    }

    /// The judgement on the caller, once its certificate was read.
    pub(super) fn verdict(&self) -> Option<Result<Admitted, Refusal>> {
        self.verdict.get().cloned()
    }

    fn judge(&self, der: &CertificateDer<'_>) -> Result<Admitted, Refusal> {
        let lane = self.lane.get().ok_or(Refusal::BadAlpn)?;
        let presented = Presented::read(der)?;
        let member = match (lane, &presented.membership) {
            // A member that comes to renew may show an expired membership; the issuer judges it.
            (LinkLane::Join, _) => None,
            (LinkLane::Ctl | LinkLane::Rpc | LinkLane::Bulk | LinkLane::Relay, _) => {
                Some(self.standing.trust.judge(&presented)?)
            }
        };
        Ok(Admitted { presented, member })
    }
}

impl ResolvesServerCert for Door {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut offered = hello.alpn().into_iter().flatten();
        let lane = match (offered.next(), offered.next()) {
            (Some(only), None) => LinkLane::from_alpn(only),
            (_, _) => None,
        };
        let Some(lane) = lane else {
            self.verdict.get_or_init(|| Err(Refusal::BadAlpn));
            return None;
        };
        // A second hello (after a retry request) must not move the connection to another lane.
        (*self.lane.get_or_init(|| lane) == lane).then(|| self.standing.identity.certified.clone())
    }
}

impl ClientCertVerifier for Door {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verdict = self.verdict.get_or_init(|| lone(intermediates).and_then(|()| self.judge(end_entity)));
        match verdict {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(refusal) => Err(refusal.to_tls()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Refusal::BadSignature.to_tls())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_handshake(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

/// Whom a dialer expects to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// This member of our mesh.
    Node(NodeId),
    /// A member of our mesh with this transport key.
    Peer(PeerId),
    /// The issuer that a ticket pins; its membership cannot be judged before enrolment.
    Issuer(PeerId),
    /// Any holder of a transport key, of whom nothing is believed: who joins asks it for the way to an issuer.
    Guide,
    /// Anyone: a diagnosis looks at the answer instead of refusing it, so that the other side judges us too.
    Anyone,
}

/// Certificate resolver and server verifier of one outbound connection.
#[derive(Debug)]
pub(super) struct Caller {
    standing: Arc<Standing>,
    expected: Expected,
    verdict: OnceLock<Result<Admitted, Refusal>>,
}

impl Caller {
    pub(super) fn new(standing: Arc<Standing>, expected: Expected) -> Arc<Self> {
        Arc::new(Self { standing, expected, verdict: OnceLock::new() })
    }

    pub(super) fn config(self: Arc<Self>, lane: LinkLane) -> Result<quinn::ClientConfig, TlsConfigError> {
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_client_cert_resolver(self);
        config.alpn_protocols = vec![lane.alpn().as_bytes().to_vec()];
        config.resumption = Resumption::disabled();
        let config = QuicClientConfig::try_from(config)?;
        Ok(quinn::ClientConfig::new(Arc::new(config)))
    }

    /// The judgement on the server, once its certificate was read. With [`Expected::Anyone`] a
    /// refusal here did not stop the handshake.
    pub(super) fn verdict(&self) -> Option<Result<Admitted, Refusal>> {
        self.verdict.get().cloned()
    }

    fn judge(&self, der: &CertificateDer<'_>) -> Result<Admitted, Refusal> {
        let presented = Presented::read(der)?;
        let member = match self.expected {
            Expected::Issuer(peer) if presented.peer == peer => None,
            Expected::Guide => None,
            Expected::Issuer(_) => return Err(Refusal::WrongPeer),
            Expected::Node(node) => {
                let member = self.standing.trust.judge(&presented)?;
                if member.node() != node {
                    return Err(Refusal::WrongPeer);
                }
                Some(member)
            }
            Expected::Peer(peer) if presented.peer != peer => return Err(Refusal::WrongPeer),
            Expected::Peer(_) | Expected::Anyone => Some(self.standing.trust.judge(&presented)?),
        };
        Ok(Admitted { presented, member })
    }
}

impl ServerCertVerifier for Caller {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verdict.get_or_init(|| lone(intermediates).and_then(|()| self.judge(end_entity)));
        match (verdict, self.expected) {
            (Ok(_), _) | (Err(_), Expected::Anyone) => Ok(ServerCertVerified::assertion()),
            (Err(refusal), _) => Err(refusal.to_tls()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Refusal::BadSignature.to_tls())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_handshake(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

impl ResolvesClientCert for Caller {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.standing.identity.certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A mesh certificate stands alone.
fn lone(intermediates: &[CertificateDer<'_>]) -> Result<(), Refusal> {
    if intermediates.is_empty() { Ok(()) } else { Err(Refusal::Malformed) }
}

/// Proves that the peer holds the certificate's key in this very handshake.
fn verify_handshake(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate = libp2p_tls::certificate::parse(cert).map_err(|_refused| Refusal::Malformed.to_tls())?;
    certificate
        .verify_signature(dss.scheme, message, dss.signature())
        .map_err(|_refused| Refusal::BadSignature.to_tls())?;
    Ok(HandshakeSignatureValid::assertion())
}

/// AES-128-GCM first: with AES instructions it costs 40 % less than `ChaCha20`, which stays for machines
/// without. The provider is named, never the process default: libp2p links a second one.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ];
        Arc::new(provider)
    };
    PROVIDER.get_or_init(make).clone()
}

const SCHEMES: [SignatureScheme; 1] = [SignatureScheme::ECDSA_NISTP256_SHA256];
