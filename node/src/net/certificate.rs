//! The X.509 certificate of a connection: self-signed, made per process, bound to the transport key
//! by the libp2p TLS extension, with the membership in an extension of our own.
//!
//! libp2p TLS specification: <https://github.com/libp2p/specs/blob/master/tls/tls.md>.

use std::sync::Arc;

use hedgerow_attest::digest::Blake3Digest;
use hedgerow_attest::key::{PublicKey, SecretKey, Signature};
use hedgerow_attest::peer_id::PeerId;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid::Oid;
use x509_parser::prelude::FromDer;

use super::refusal::Refusal;

/// Why no certificate could be made; trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum TlsIdentityError {
    /// The certificate could not be generated.
    #[error("generate a TLS certificate")]
    Generate(#[from] rcgen::Error),
    /// The TLS library does not take the generated key.
    #[error("load the generated TLS key")]
    Key(#[from] rustls::Error),
}

/// A certificate with its key, ready for handshakes.
#[derive(Clone, Debug)]
pub(super) struct TlsIdentity {
    pub(super) certified: Arc<CertifiedKey>,
    key: Arc<rcgen::KeyPair>,
}

impl TlsIdentity {
    /// Makes a fresh P-256 key and a certificate over it that `transport` vouches for.
    pub(super) fn new(transport: &SecretKey, membership: Option<Vec<u8>>) -> Result<Self, TlsIdentityError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        Self::over(Arc::new(key), transport, membership)
    }

    /// A certificate with another membership over the same key, by which peers know the process.
    pub(super) fn with(&self, transport: &SecretKey, membership: Option<Vec<u8>>) -> Result<Self, TlsIdentityError> {
        Self::over(self.key.clone(), transport, membership)
    }

    fn over(
        key: Arc<rcgen::KeyPair>,
        transport: &SecretKey,
        membership: Option<Vec<u8>>,
    ) -> Result<Self, TlsIdentityError> {
        let signature = transport.sign_raw(&bound_message(&key.public_key_der()));
        let signed_key = yasna::encode_der(&(
            [&KEY_PROTOBUF_PREFIX[..], transport.public().as_bytes()].concat(),
            signature.as_bytes().to_vec(),
        ));
        let mut extension = rcgen::CustomExtension::from_oid_content(&LIBP2P_OID, signed_key);
        extension.set_criticality(true);

        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.custom_extensions.push(extension);
        if let Some(bytes) = membership {
            let extension = rcgen::CustomExtension::from_oid_content(&MEMBERSHIP_OID, bytes);
            params.custom_extensions.push(extension);
        }
        let certificate = params.self_signed(&key)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signer = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&private)?;
        let certified = Arc::new(CertifiedKey::new(vec![certificate.into()], signer));
        Ok(Self { certified, key })
    }
}

/// What a peer's certificate says, after its own signatures were checked; membership is not judged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Presented {
    /// The transport key that vouches for the certificate.
    pub(super) transport: PublicKey,
    pub(super) peer: PeerId,
    /// The bytes of the membership extension.
    pub(super) membership: Option<Vec<u8>>,
    /// Digest of the certificate's key, which is another one in every process.
    pub(super) fingerprint: Blake3Digest,
}

impl Presented {
    pub(super) fn read(der: &CertificateDer<'_>) -> Result<Self, Refusal> {
        // Structure, validity, self-signature; its check of the libp2p signature is not a strict one.
        libp2p_tls::certificate::parse(der).map_err(|error| {
            tracing::debug!(%error, "refused a certificate");
            Refusal::Malformed
        })?;
        let (_, x509) = X509Certificate::from_der(der).map_err(|_refused| Refusal::Malformed)?;
        let signed_key = extension(&x509, &LIBP2P_OID)?.ok_or(Refusal::Malformed)?;
        let (key, signature): (Vec<u8>, Vec<u8>) =
            yasna::decode_der(signed_key).map_err(|_refused| Refusal::Malformed)?;
        let key = key
            .strip_prefix(&KEY_PROTOBUF_PREFIX)
            .and_then(|key| <[u8; 32]>::try_from(key).ok())
            .ok_or(Refusal::Malformed)?;
        let signature = <[u8; 64]>::try_from(signature).map_err(|_refused| Refusal::Malformed)?;
        let transport = PublicKey::from_bytes(key).map_err(|_refused| Refusal::BadSignature)?;
        transport
            .verify_raw(&bound_message(x509.tbs_certificate.subject_pki.raw), &Signature::from_bytes(signature))
            .map_err(|_refused| Refusal::BadSignature)?;
        let membership = extension(&x509, &MEMBERSHIP_OID)?.map(<[u8]>::to_vec);
        let fingerprint = Blake3Digest::of(x509.tbs_certificate.subject_pki.raw);
        Ok(Self { transport, peer: PeerId::of(&transport), membership, fingerprint })
    }
}

/// The value of the only extension with this OID; two of one kind are refused, as two readers may pick differently.
fn extension<'a>(x509: &'a X509Certificate<'_>, oid: &[u64]) -> Result<Option<&'a [u8]>, Refusal> {
    let oid = der(oid);
    let mut values = x509.extensions().iter().filter(|extension| extension.oid == oid);
    let first = values.next().map(|extension| extension.value);
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Refusal::Malformed),
    }
}

fn der(oid: &[u64]) -> Oid<'static> {
    Oid::from(oid).expect("our OIDs are well formed, which a test checks")
}

/// What the transport key signs: the prefix of the libp2p specification and the certificate's key.
fn bound_message(certificate_key_der: &[u8]) -> Vec<u8> {
    [b"libp2p-tls-handshake:", certificate_key_der].concat()
}

/// The libp2p public key extension.
const LIBP2P_OID: [u64; 9] = [1, 3, 6, 1, 4, 1, 53594, 1, 1];
/// Our membership extension, not critical, so that stock libp2p implementations ignore it. Under
/// 2.25 anyone may use a number (ITU-T X.667); ours is the first eight bytes, halved, of the
/// sha-256 of "hedgerow membership certificate in TLS, version 1".
const MEMBERSHIP_OID: [u64; 3] = [2, 25, 1_153_554_692_824_056_750];
/// libp2p's protobuf of an ed25519 public key, up to its 32 bytes.
const KEY_PROTOBUF_PREFIX: [u8; 4] = [0x08, 0x01, 0x12, 0x20];

#[cfg(test)]
mod tests {
    use hedgerow_attest::digest::Sha256Digest;

    use super::*;

    fn certificate(seed: u8, membership: Option<Vec<u8>>) -> CertificateDer<'static> {
        let transport = SecretKey::from_seed([seed; 32]);
        let identity = TlsIdentity::new(&transport, membership).unwrap();
        identity.certified.cert[0].clone()
    }

    #[test]
    fn a_certificate_reads_back_as_the_key_and_membership_it_was_made_for() {
        for membership in [None, Some(b"membership".to_vec())] {
            let der = certificate(7, membership.clone());
            let transport = SecretKey::from_seed([7; 32]).public();
            let presented = Presented::read(&der).unwrap();
            let fingerprint = presented.fingerprint;
            assert_eq!(presented, Presented { transport, peer: PeerId::of(&transport), membership, fingerprint });
        }
    }

    #[test]
    fn the_extensions_are_frozen() {
        let der = certificate(7, Some(b"membership".to_vec()));
        let (_, x509) = X509Certificate::from_der(&der).unwrap();
        let transport = SecretKey::from_seed([7; 32]);
        let public = transport.public();
        let vouched = [b"libp2p-tls-handshake:", x509.tbs_certificate.subject_pki.raw].concat();
        let signature = transport.sign_raw(&vouched);
        let expected = [b"\x30\x68\x04\x24\x08\x01\x12\x20", &public.as_bytes()[..], b"\x04\x40", signature.as_bytes()];
        assert_eq!(extension(&x509, &LIBP2P_OID), Ok(Some(expected.concat().as_slice())));
        assert_eq!(extension(&x509, &MEMBERSHIP_OID), Ok(Some(&b"membership"[..])));
        let critical: Vec<bool> = x509.extensions().iter().map(|extension| extension.critical).collect();
        assert_eq!(critical, [true, false]);
    }

    #[test]
    fn a_process_is_known_by_its_key_whatever_its_membership() {
        let transport = SecretKey::from_seed([7; 32]);
        let first = TlsIdentity::new(&transport, Some(b"first".to_vec())).unwrap();
        let renewed = first.with(&transport, Some(b"second".to_vec())).unwrap();
        let restarted = TlsIdentity::new(&transport, Some(b"second".to_vec())).unwrap();
        let [first, renewed, restarted] =
            [first, renewed, restarted].map(|identity| Presented::read(&identity.certified.cert[0]).unwrap());
        assert_eq!(renewed, Presented { membership: Some(b"second".to_vec()), ..first });
        assert_ne!(restarted.fingerprint, renewed.fingerprint);
    }

    #[test]
    fn libp2p_reads_the_same_peer_id() {
        let der = certificate(9, Some(vec![1]));
        let peer = libp2p_tls::certificate::parse(&der).unwrap().peer_id();
        let ours = Presented::read(&der).unwrap().peer;
        assert_eq!(peer.to_bytes(), ours.to_bytes());
    }

    #[test]
    fn every_flipped_byte_of_the_signed_part_is_refused() {
        let der = certificate(3, Some(b"membership".to_vec()));
        let whole = Presented::read(&der).unwrap();
        for index in (0..der.len()).step_by(7) {
            let mut bytes = der.to_vec();
            bytes[index] ^= 1;
            let read = Presented::read(&CertificateDer::from(bytes));
            assert_ne!(read, Ok(whole.clone()), "byte {index}");
            assert!(read.is_err(), "byte {index}");
        }
    }

    #[test]
    fn the_membership_oid_is_the_documented_number() {
        let digest = Sha256Digest::of(b"hedgerow membership certificate in TLS, version 1");
        let first: [u8; 8] = digest.as_bytes()[..8].try_into().unwrap();
        assert_eq!(MEMBERSHIP_OID, [2, 25, u64::from_be_bytes(first) >> 1]);
        assert!(Oid::from(&MEMBERSHIP_OID).is_ok() && Oid::from(&LIBP2P_OID).is_ok());
    }
}
