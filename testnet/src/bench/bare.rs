//! Two endpoints of quinn and nothing else, with the cipher and the transport settings of a node.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use hedgerow::net::{LinkLane, transport_settings};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{AsyncUdpSocket, Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};

/// A connection from its dialer's end and from the other.
pub(super) struct Bare {
    pub(super) dialled: Connection,
    pub(super) accepted: Connection,
    _ends: [Endpoint; 2],
}

/// Bytes of the kernel's buffers, as a node asks for.
const SOCKET_BUFFER_BYTES: usize = hedgerow::net::limits::SOCKET_BUFFER_BYTES;
const SEND_WINDOW_BYTES: u64 = 8 << 20;
const NAME: &str = "bare";

impl Bare {
    /// Connects two fresh endpoints over loopback, with the settings of that lane.
    pub(super) async fn connect(lane: LinkLane) -> anyhow::Result<Self> {
        let key = rcgen::generate_simple_self_signed([NAME.to_owned()]).context("make a certificate")?;
        let certificate = key.cert.der().clone();
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.key_pair.serialize_der()));
        let transport = transport_settings(lane);
        let mut server = server(certificate.clone(), private)?;
        server.transport_config(transport.clone());
        let mut client = client(certificate)?;
        client.transport_config(transport);
        let acceptor = endpoint(Some(server))?;
        let dialer = endpoint(None)?;
        let connecting = dialer.connect_with(client, acceptor.local_addr()?, NAME).context("dial")?;
        let accepting = async { acceptor.accept().await.context("accept")?.await.context("accept") };
        let (dialled, accepted) = tokio::join!(connecting, accepting);
        let accepted = accepted?;
        // As much as a node sends without an acknowledgement where nothing paces it.
        accepted.set_send_window(SEND_WINDOW_BYTES);
        Ok(Self { dialled: dialled.context("dial")?, accepted, _ends: [dialer, acceptor] })
    }
}

fn endpoint(server: Option<ServerConfig>) -> anyhow::Result<Endpoint> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    let socket: Arc<dyn AsyncUdpSocket> = quinn::Runtime::wrap_udp_socket(&TokioRuntime, socket.into())?;
    Endpoint::new_with_abstract_socket(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime))
        .context("start an endpoint")
}

fn server(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> anyhow::Result<ServerConfig> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![NAME.into()];
    Ok(ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config)?)))
}

fn client(certificate: CertificateDer<'static>) -> anyhow::Result<quinn::ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![NAME.into()];
    Ok(quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config)?)))
}

/// The cipher that nodes agree on where the processor has AES.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    Arc::new(provider)
}
