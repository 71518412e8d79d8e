//! The network on real loopback sockets, and on a fabric in memory: who is admitted where, and what each lane promises.

#[path = "net_lanes/bulk.rs"]
mod bulk;
#[path = "net_lanes/dead_links.rs"]
mod dead_links;
#[path = "net_lanes/emulation.rs"]
mod emulation;
#[path = "net_lanes/fabric.rs"]
mod fabric;
#[path = "net_lanes/failures.rs"]
mod failures;
#[path = "net_lanes/gate.rs"]
mod gate;
#[path = "net_lanes/gossip.rs"]
mod gossip;
#[path = "net_lanes/join.rs"]
mod join;
#[path = "net_lanes/links.rs"]
mod links;
#[path = "net_lanes/messages.rs"]
mod messages;
#[path = "net_lanes/relay.rs"]
mod relay;
#[path = "net_lanes/requests.rs"]
mod requests;
#[path = "net_lanes/streams.rs"]
mod streams;
#[path = "net_lanes/support.rs"]
mod support;
