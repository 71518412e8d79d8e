//! Every bound of the network in one place: bytes, counts and times.
//!
//! A bound marked "guess" was chosen by hand; the simulator and the compose testnet settle it.

use std::time::Duration;

/// Kernel buffers of the socket, bytes each way. With the default of 212 KB a fast sender on
/// loopback loses about ten thousand packets per GiB; with this none.
pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Longest one-way message on an ordered stream.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Longest body of a request or of its answer.
pub const REQUEST_BODY_BYTES_MAX: usize = 4 << 20;
/// Longest answer of a request that is answered by a stream of them.
pub const STREAMED_BYTES_MAX: usize = 1 << 20;
/// Request bodies held at once over all peers, from before they are read until they are answered.
pub const SERVED_BODY_BYTES_MAX: usize = 64 << 20;
/// The share of it that one peer may have: two of the longest.
pub const BODY_BYTES_PER_PEER: usize = 8 << 20;
/// Longest protocol name of a request.
pub const PROTOCOL_NAME_BYTES_MAX: usize = 32;
/// Longest body of a request on the join lane: whoever sends it is no member.
pub const JOIN_BODY_BYTES_MAX: usize = 16 << 10;
/// Longest answer there: the root alone may have 64 KiB.
pub const JOIN_ANSWER_BYTES_MAX: usize = 256 << 10;
/// Largest gossip RPC; one fact is far smaller.
pub const GOSSIP_BYTES_MAX: usize = 16 << 10;
/// Longest published envelope; the rest of a gossip RPC is left for the topic and control messages.
pub const PUBLISH_BYTES_MAX: usize = GOSSIP_BYTES_MAX - 1024;
/// Largest content the bulk lane moves in one piece; larger content travels in ranges.
pub const BULK_WHOLE_BYTES_MAX: u64 = 4 << 20;

/// Inbound events waiting for the node. Full means: streams wait, datagrams and gossip are dropped and counted.
pub const EVENT_QUEUE: usize = 1024;
/// Messages waiting per peer and lane while a link is dialled or slow.
pub const OUTBOX_QUEUE: usize = 256;
/// Requests of one peer served at once; the next is answered `overloaded`.
pub const REQUESTS_PER_PEER: usize = 64;
/// Asks that one bulk connection carries at the same time.
pub const BULK_ASKS_MAX: u32 = 8;
/// Bulk answers written at once, over all peers.
pub const BULK_SERVED_MAX: usize = 8;
/// Bulk connections of one member that are served, each one answer at a time: nobody has all of [`BULK_SERVED_MAX`].
pub const BULK_CONNECTIONS_PER_PEER: usize = 4;
/// Members for whom something may wait.
pub const PEERS_MAX: usize = hedgerow_protocol::link::PEERS_MAX;
/// Members for which a node relays at once.
pub const RELAY_MEMBERS_MAX: usize = 256;
/// Bytes each second that one member may have relayed (guess: requests and sessions get through, and a download takes its time), and
/// how many at once.
pub const RELAY_BYTES_PER_S: u64 = 1 << 20;
/// See [`RELAY_BYTES_PER_S`].
pub const RELAY_BURST_BYTES: u64 = 4 << 20;
/// Relays to which a node has connections at once.
pub const RELAYS_MAX: usize = 32;
/// Relays at which a node waits for those who cannot dial it: one may go away.
pub const RELAYS_WAITED_AT: usize = 2;
/// Peers at one relay that have a place of their own here.
pub const RELAY_PLACES_MAX: usize = 256;
/// Relayed datagrams that the endpoint has not taken yet, bytes.
pub const RELAY_INBOUND_BYTES_MAX: usize = 1 << 20;
/// Datagrams on streams of their own that are read at once from one relay connection.
pub const RELAY_STREAMS: usize = 16;
/// Handshakes in progress before unvalidated callers must prove their address with a retry.
pub const PENDING_RETRY: usize = 16;
/// Handshakes that are begun each second, beyond [`HANDSHAKE_BURST`]: a third of one core, whoever calls. More wait for their turn.
pub const HANDSHAKES_PER_S: u32 = 200;
/// Handshakes that are begun at once.
pub const HANDSHAKE_BURST: u32 = 32;
/// Handshakes in progress before callers are turned away.
pub const PENDING_MAX: usize = 256;
/// Connections of the libp2p swarm.
pub const CTL_CONNECTIONS_MAX: u32 = 128;
/// Gossip topics a node may subscribe to.
pub const TOPICS_MAX: usize = 16;

/// Silence after which a connection is given up (guess: a process that stands still this long is better
/// dialled again; the simulator weighs it against false alarms).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(6);
/// Silence after which a packet is sent to keep a connection and its NAT mapping alive.
pub const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// The same as [`IDLE_TIMEOUT`] for the swarm, whose connection ends with the link beside it: its own silence says nothing
/// that the link does not say sooner.
pub const CTL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The same as [`KEEP_ALIVE`] for the swarm. The link runs between the same sockets, and so keeps the NAT mapping for both.
pub const CTL_KEEP_ALIVE: Duration = Duration::from_secs(20);
/// First wait before a member is dialled for its swarm again beside the same link; doubled up to [`CTL_REDIAL_MAX`].
pub const CTL_REDIAL_MIN: Duration = Duration::from_secs(2);
/// Longest wait of that kind. A swarm that was full has room again when somebody's link ended, and gossip does without some links.
pub const CTL_REDIAL_MAX: Duration = Duration::from_secs(300);
/// The same as [`IDLE_TIMEOUT`] for relay connections, and as long as a translator keeps a way open at least.
pub const RELAY_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// The same as [`KEEP_ALIVE`] for relay connections.
pub const RELAY_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// After so long without a relayed datagram a connection to a relay is closed, unless this node waits there.
pub const RELAY_IDLE: Duration = Duration::from_secs(60);
/// First wait before a member is asked again for a place at its relay; doubled up to [`RELAY_RETRY_MAX`].
pub const RELAY_RETRY_MIN: Duration = Duration::from_secs(5);
/// Longest wait of that kind: most nodes of most meshes never relay.
pub const RELAY_RETRY_MAX: Duration = Duration::from_secs(600);
/// How long a peer may take to agree on a meeting.
pub const MEET_TIMEOUT: Duration = Duration::from_secs(3);
/// A whole dial: handshake, judgement on both sides and the acceptor's greeting.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// An inbound handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A whole enrolment on the join lane, on either side.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Reading a request's frame once its stream is open.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time a peer may ask us to work on one request.
pub const REQUEST_DEADLINE_MAX: Duration = Duration::from_secs(120);
/// How long a bulk answer waits for its turn before the asker is told that the node is busy.
pub const BULK_QUEUE_TIMEOUT: Duration = Duration::from_secs(2);
/// One bulk answer from the first byte of the ask to the last one of the answer: 70 kbit/s for the longest range. Whoever is
/// slower keeps others from their turn.
pub const BULK_ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// Progress of a bulk transfer: no byte for this long ends it.
pub const BULK_STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked at whether links get acknowledgements; with [`hedgerow_protocol::link::PATIENCE`] it bounds how late a dead
/// direction is noticed.
pub const PROGRESS_PERIOD: Duration = Duration::from_millis(250);
/// How often round trips and trust of live links are looked at.
pub const LINK_SAMPLE_PERIOD: Duration = Duration::from_secs(1);

/// Joins one IP may make at once, and how fast that allowance returns (guess: a laptop testnet
/// joins from one address; the secret of a ticket has 128 bits, so this bounds work, not guessing).
pub const JOIN_BURST_PER_IP: u32 = 64;
/// Time in which one join is given back to an IP.
pub const JOIN_REFILL: Duration = Duration::from_secs(1);
/// IPs whose allowance is remembered.
pub const JOIN_IPS_MAX: usize = 1024;

/// Handshakes of one address that may fail for what its certificate says before the next ones are not answered for a while, and how fast
/// that allowance returns. Members do not fail; one whose certificate ended is told so often enough.
pub const REFUSED_BURST: u32 = 32;
/// Time in which one failed handshake is forgotten.
pub const REFUSED_REFILL: Duration = Duration::from_secs(1);
/// Addresses whose failed handshakes are remembered.
pub const REFUSED_SOURCES_MAX: usize = 1024;

/// Rules of the emulation kept at once.
pub const RULES_MAX: usize = 1024;
/// Longest emulated delay, milliseconds.
pub const DELAY_MS_MAX: u32 = 10_000;
/// Largest emulated jitter, milliseconds.
pub const JITTER_MS_MAX: u32 = 10_000;
/// Highest emulated rate, thousands of bits each second: more than a node moves, so that a higher one would be none.
pub const RATE_KBPS_MAX: u32 = 10_000_000;
/// Longest queue before an emulated rate, KiB.
pub const QUEUE_KIB_MAX: u32 = 64 << 10;
/// For how long the queue before a rate holds things up unless a rule says otherwise (guess: access lines are between a
/// tenth of a second and seconds).
pub const QUEUE_SPAN: Duration = Duration::from_millis(100);
/// The least that such a queue takes: the datagrams with which a connection begins (RFC 9002 §7.2), so that a slow line
/// does not lose them.
pub const QUEUE_BYTES_MIN: u64 = 16 << 10;
/// What the emulation around a socket holds back at once: for a second 500 Mbit/s, more than a testnet on one machine carries.
pub const HELD_BYTES_MAX: usize = 64 << 20;
/// Paths in use at once, of an emulation and of a fabric.
pub const PATHS_MAX: usize = 1 << 16;
/// For how long a stateful firewall or an address translator lets answers in, and keeps a mapping, after something was sent. RFC 4787
/// REQ-5 asks for two minutes; home routers are known that take this.
pub const PINHOLE_IDLE: Duration = Duration::from_secs(30);
/// Peers whose answers a stateful firewall lets in at once.
pub const PINHOLES_MAX: usize = 4096;
/// Mappings of an address translator at once.
pub const MAPPINGS_MAX: usize = 4096;
/// Datagrams on their way in a fabric at once, bytes.
pub const FLYING_BYTES_MAX: usize = 256 << 20;
