//! What the swarm speaks, and with which settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, ConfigBuilder, MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, TopicScoreParams,
    ValidationMode,
};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{identify, ping};

use crate::net::limits::{CTL_CONNECTIONS_MAX, GOSSIP_BYTES_MAX};

/// Why the swarm's settings were refused; a defect of this program, not of its surroundings.
#[derive(Debug, thiserror::Error)]
pub enum BehaviourError {
    /// gossipsub's configuration contradicts itself.
    #[error("configure gossipsub")]
    Config(#[from] gossipsub::ConfigBuilderError),
    /// gossipsub does not start with this configuration.
    #[error("start gossipsub: {reason}")]
    Start {
        /// In its own words.
        reason: String,
    },
}

/// identify, ping and gossipsub, with a bound on connections.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) gossipsub: gossipsub::Behaviour,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Behaviour").finish_non_exhaustive()
    }
}

impl Behaviour {
    pub(super) fn new(keypair: &Keypair) -> Result<Self, BehaviourError> {
        let limits = ConnectionLimits::default()
            .with_max_established(Some(CTL_CONNECTIONS_MAX))
            .with_max_established_per_peer(Some(2))
            .with_max_pending_incoming(Some(32))
            .with_max_pending_outgoing(Some(32));
        // Addresses come from signed facts; what identify would tell is hidden and what it hears unused.
        let identify = identify::Config::new("/hedgerow/id/1".to_owned(), keypair.public())
            .with_agent_version(concat!("hedgerow/", env!("CARGO_PKG_VERSION")).to_owned())
            .with_hide_listen_addrs(true)
            .with_cache_size(0);
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL)),
            gossipsub: gossipsub()?,
        })
    }
}

/// Messages carry no libp2p signature: the envelope inside is signed by its author, is kept, and is
/// passed on outside gossip too, so a second signature would prove nothing more.
fn gossipsub() -> Result<gossipsub::Behaviour, BehaviourError> {
    let config = ConfigBuilder::default()
        .protocol_id_prefix("/hedgerow/gossip")
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .flood_publish(false)
        .max_transmit_size(GOSSIP_BYTES_MAX)
        .message_id_fn(|message| message_id(&message.data))
        .build()?;
    let start = |reason: &str| BehaviourError::Start { reason: reason.to_owned() };
    let mut behaviour = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).map_err(start)?;
    behaviour
        .with_peer_score(score(), PeerScoreThresholds::default())
        .map_err(|reason| BehaviourError::Start { reason })?;
    Ok(behaviour)
}

/// Whoever passes a fact on names it alike.
fn message_id(data: &[u8]) -> MessageId {
    MessageId::new(&blake3::hash(data).as_bytes()[..16])
}

/// Peers on one machine share the loopback address, which is no sign of an attack there.
fn score() -> PeerScoreParams {
    PeerScoreParams {
        ip_colocation_factor_whitelist: [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].into(),
        ..PeerScoreParams::default()
    }
}

/// Facts are rare, so a quiet peer is a good peer: only forged messages count against it. The other
/// weights of gossipsub's defaults are made for topics that are busy all the time.
pub(super) fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        time_in_mesh_quantum: Duration::from_secs(1),
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -10.0, // guess: three forgeries silence a peer
        ..TopicScoreParams::default()
    }
}

/// libp2p's ping keeps nothing alive here (the connection does), and nothing waits for its round trips: it is answered, and
/// asked so rarely that it costs less than a byte a second and peer.
const PING_INTERVAL: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    /// Of no bytes, as the test vectors of BLAKE3 have it.
    #[test]
    fn the_id_of_a_message_is_frozen() {
        assert_eq!(message_id(b"").to_string(), "af1349b9f5f9a1a6a0404dea36dcc949");
    }

    #[test]
    fn gossipsub_accepts_our_settings() {
        Behaviour::new(&Keypair::generate_ed25519()).unwrap();
        score().validate().unwrap();
        topic_score().validate().unwrap();
    }
}
