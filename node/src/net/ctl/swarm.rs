//! The task that owns the swarm, and the handle through which the node publishes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::gossipsub::{self, IdentTopic, MessageId};
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{Config, SwarmEvent};
use libp2p::{PeerId, Swarm};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::behaviour::{Behaviour, BehaviourError, BehaviourEvent, topic_score};
use super::transport::{CtlTransport, Inbound, Proven, libp2p_peer, locked, multiaddr};
use super::verdict::{GossipVerdict, Verdict};
use crate::net::dial::Dialer;
use crate::net::event::NetEvent;
use crate::net::limits::{
    CTL_CONNECTIONS_MAX, CTL_REDIAL_MAX, CTL_REDIAL_MIN, LINK_SAMPLE_PERIOD, PUBLISH_BYTES_MAX, TOPICS_MAX,
};
use crate::net::patience::Patience;
use crate::net::rpc::{LinkView, Links};
use crate::net::tasks::Tasks;

/// Why the swarm did not start.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// The transport key is none that libp2p takes.
    #[error("use the transport key as libp2p identity")]
    Key(#[from] libp2p::identity::DecodingError),
    /// The protocols could not be set up.
    #[error("set up the swarm's protocols")]
    Behaviour(#[from] BehaviourError),
    /// The endpoint's address is none that libp2p can name.
    #[error("name the endpoint for libp2p")]
    Listen(#[from] libp2p::TransportError<std::io::Error>),
}

/// Why an envelope was not handed to the swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Longer than gossip carries; such facts travel by pull only.
    #[error("an envelope of {got} bytes, gossip carries at most {PUBLISH_BYTES_MAX}")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// The swarm has not caught up; the fact still travels by pull.
    #[error("the swarm's queue is full")]
    QueueFull,
}

/// What the swarm's task is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Publish { topic: String, envelope: Bytes },
    Subscribe { topic: String },
    Unsubscribe { topic: String },
    Judge { message: MessageId, bearer: PeerId, verdict: Verdict },
}

/// Handle to the swarm's task.
#[derive(Clone, Debug)]
pub(in crate::net) struct Ctl {
    orders: mpsc::Sender<Order>,
    proven: Proven,
}

impl Ctl {
    /// Starts the swarm; connections that the acceptor admits go into the returned queue.
    pub(in crate::net) fn start(
        dialer: Dialer,
        links: Links,
        events: mpsc::Sender<NetEvent>,
        tasks: &Tasks,
        topics: &[String],
    ) -> Result<(Self, mpsc::Sender<Inbound>), CtlError> {
        let mut seed = dialer.gate.standing().trust.transport.seed();
        let keypair = Keypair::ed25519_from_bytes(&mut *seed)?;
        let (inbound_tx, inbound) = mpsc::channel(INBOUND_QUEUE);
        let (orders, ordered) = mpsc::channel(ORDER_QUEUE);
        let proven = Proven::default();
        let local = dialer.endpoint.local_addr().map_err(libp2p::TransportError::Other)?;
        let transport = CtlTransport::new(dialer.clone(), inbound, proven.clone())
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed();
        let behaviour = Behaviour::new(&keypair)?;
        let config = Config::with_tokio_executor().with_idle_connection_timeout(SWARM_IDLE);
        let mut swarm = Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config);
        swarm.listen_on(multiaddr(local))?;
        let mut task = Task {
            swarm,
            dialer,
            links,
            events,
            proven: proven.clone(),
            orders: orders.clone(),
            topics: 0,
            followed: BTreeMap::new(),
            patience: Patience::new(CTL_REDIAL_MIN, CTL_REDIAL_MAX),
            unheard: VecDeque::new(),
        };
        for topic in topics {
            task.subscribe(topic);
        }
        let stop = tasks.stop().clone();
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task.run(ordered) => {}
            }
        });
        Ok((Self { orders, proven }, inbound_tx))
    }

    pub(in crate::net) fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), PublishError> {
        if envelope.len() > PUBLISH_BYTES_MAX {
            return Err(PublishError::TooLong { got: envelope.len() });
        }
        self.order(Order::Publish { topic: topic.to_owned(), envelope })
    }

    pub(in crate::net) fn subscribe(&self, topic: &str) -> Result<(), PublishError> {
        self.order(Order::Subscribe { topic: topic.to_owned() })
    }

    pub(in crate::net) fn unsubscribe(&self, topic: &str) -> Result<(), PublishError> {
        self.order(Order::Unsubscribe { topic: topic.to_owned() })
    }

    /// Members with an established ctl connection.
    pub(in crate::net) fn members(&self) -> Vec<NodeId> {
        let proven = locked(&self.proven);
        proven.values().map(|member| member.node()).collect()
    }

    /// A member has a later certificate, by which its connection goes on.
    pub(in crate::net) fn renewed(&self, member: &Member) {
        if let Some(known) = locked(&self.proven).values_mut().find(|known| known.node() == member.node())
            && member.supersedes(known)
            && member.peer() == known.peer()
        {
            known.clone_from(member);
        }
    }

    fn order(&self, order: Order) -> Result<(), PublishError> {
        self.orders.try_send(order).map_err(|_full| PublishError::QueueFull)
    }
}

struct Task {
    swarm: Swarm<Behaviour>,
    dialer: Dialer,
    links: Links,
    events: mpsc::Sender<NetEvent>,
    proven: Proven,
    orders: mpsc::Sender<Order>,
    topics: usize,
    /// The links beside which there are connections, by their epochs and the relays that they run through.
    followed: BTreeMap<PeerId, (u32, Option<NodeId>)>,
    /// The swarm of a member may be full, and every dial costs both ends a handshake.
    patience: Patience<PeerId, (u32, Option<NodeId>)>,
    /// Envelopes published when nobody listened; sent again when somebody subscribes.
    unheard: VecDeque<(IdentTopic, Bytes)>,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut changes = self.links.changes();
        let mut tick = tokio::time::interval(LINK_SAMPLE_PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.react(event),
                changed = changes.changed() => match changed {
                    Ok(()) => self.follow_links(),
                    Err(_) => return,
                },
                _ = tick.tick() => {
                    self.follow_links();
                    self.drop_unwelcome();
                }
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Publish { topic, envelope } => self.publish(IdentTopic::new(topic), envelope),
            Order::Subscribe { topic } => self.subscribe(&topic),
            Order::Unsubscribe { topic } => {
                if self.swarm.behaviour_mut().gossipsub.unsubscribe(&IdentTopic::new(topic)) {
                    self.topics -= 1;
                }
            }
            Order::Judge { message, bearer, verdict } => {
                let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
                let known = gossipsub.report_message_validation_result(&message, &bearer, verdict.into());
                tracing::trace!(known, ?verdict, "judged a gossiped message");
            }
        }
    }

    fn publish(&mut self, topic: IdentTopic, envelope: Bytes) {
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        match gossipsub.publish(topic.clone(), envelope.clone()) {
            Ok(_) | Err(gossipsub::PublishError::Duplicate) => {}
            // Normal at the start and under load.
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic | gossipsub::PublishError::AllQueuesFull(_)) => {
                if self.unheard.len() == UNHEARD_MAX {
                    self.unheard.pop_front();
                }
                self.unheard.push_back((topic, envelope));
            }
            Err(error) => tracing::warn!(%error, %topic, "did not publish"),
        }
    }

    fn subscribe(&mut self, topic: &str) {
        if self.topics >= TOPICS_MAX {
            tracing::warn!(topic, "not subscribed: {TOPICS_MAX} topics are the most");
            return;
        }
        let topic = IdentTopic::new(topic);
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        match gossipsub.subscribe(&topic) {
            Ok(true) => self.topics += 1,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, %topic, "not subscribed"),
        }
        if let Err(error) = gossipsub.set_topic_params(topic, topic_score()) {
            tracing::warn!(error, "gossip runs without a score for the topic");
        }
    }

    fn react(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(event)) => self.gossip(event),
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                locked(&self.proven).remove(&peer_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                tracing::debug!(?peer_id, %error, "no ctl connection");
                self.forget_unconnected(peer_id);
            }
            SwarmEvent::IncomingConnectionError { peer_id, error, .. } => {
                tracing::debug!(?peer_id, %error, "turned a ctl connection away");
                self.forget_unconnected(peer_id);
            }
            // The rest is libp2p's own affair, or told by the links.
            other => tracing::trace!(?other, "swarm"),
        }
    }

    /// A connection that the swarm itself turned away had passed the gate and was remembered.
    fn forget_unconnected(&self, peer: Option<PeerId>) {
        if let Some(peer) = peer.filter(|peer| !self.swarm.is_connected(peer)) {
            locked(&self.proven).remove(&peer);
        }
    }

    fn gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                let verdict = GossipVerdict::new(message_id, propagation_source, self.orders.clone());
                let proven = locked(&self.proven);
                let Some(from) = proven.get(&propagation_source).map(|member| member.node()) else { return };
                drop(proven);
                let topic = message.topic.into_string();
                let gossip = NetEvent::Gossip { from, topic, bytes: message.data.into(), verdict };
                // The swarm must not wait for the node; what does not fit is ignored and comes by pull.
                if self.events.try_send(gossip).is_err() {
                    self.links.losses().count_undelivered();
                }
            }
            gossipsub::Event::Subscribed { .. } => {
                for (topic, envelope) in std::mem::take(&mut self.unheard) {
                    self.publish(topic, envelope);
                }
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => tracing::debug!(%peer_id, "slow gossip peer"),
            gossipsub::Event::Unsubscribed { .. } | gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    /// The swarm is connected to whom the node has a link to; of two nodes the lower NodeId dials. A connection ends with the
    /// link beside which it was made: it is silent for longer than whoever is at its other end may be gone.
    fn follow_links(&mut self) {
        let me = self.dialer.gate.node();
        let links: BTreeMap<PeerId, LinkView> =
            self.links.live().into_iter().map(|link| (libp2p_peer(link.peer), link)).collect();
        let connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        self.followed.retain(|peer, _| connected.contains(peer));
        for peer in connected {
            let way = links.get(&peer).map(|link| (link.epoch, link.relay));
            let is_same = way.is_some_and(|way| *self.followed.entry(peer).or_insert(way) == way);
            if !is_same && self.swarm.disconnect_peer_id(peer).is_ok() {
                tracing::debug!(%peer, "closed a ctl connection with its link");
            }
        }
        self.patience.retain(|peer| links.contains_key(peer));
        let (now, is_full) = (Instant::now(), self.followed.len() >= CTL_CONNECTIONS_MAX as usize);
        for (peer, link) in links {
            // What this swarm itself would turn away is not worth a handshake.
            if is_full {
                break;
            }
            let wants = link.node >= me && !self.swarm.is_connected(&peer);
            if !wants || !self.patience.allows(peer, (link.epoch, link.relay), now) {
                continue;
            }
            let dial = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![multiaddr(link.remote)])
                .build();
            if let Err(error) = self.swarm.dial(dial) {
                tracing::trace!(%peer, %error, "no ctl dial");
            }
        }
    }

    fn drop_unwelcome(&mut self) {
        let trust = self.dialer.gate.standing().trust.clone();
        let proven = locked(&self.proven).clone();
        for (peer, member) in proven {
            if trust.still_admits(&member).is_err() && self.swarm.disconnect_peer_id(peer).is_ok() {
                tracing::info!(node = %member.node(), "closed a ctl connection");
            }
        }
    }
}

const ORDER_QUEUE: usize = 256;
const INBOUND_QUEUE: usize = 64;
const UNHEARD_MAX: usize = 64;
/// gossipsub keeps its connections in use by itself; this is for one that speaks no gossip.
const SWARM_IDLE: Duration = Duration::from_secs(60);
