//! A network without anybody else.

use std::sync::Arc;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::revoked::Revoked;
use tokio::sync::watch;

use super::{Net, NetConfig, Relaying, Socket, Trust};

/// The network of a node that belongs to no mesh, on a free port of loopback. Its events go nowhere.
pub(crate) fn lonely_net(node: NodeId) -> Net {
    let trust = Trust {
        node,
        transport: Arc::new(SecretKey::from_seed([1; 32])),
        root: None,
        own: None,
        revoked: Revoked::default(),
    };
    let (_unchanged, trust) = watch::channel(Arc::new(trust));
    let socket = Socket::Bind("127.0.0.1:0".parse().unwrap());
    let (net, _events) =
        Net::start(NetConfig { socket, trust, emulate: false, relaying: Relaying::default(), topics: vec![] }).unwrap();
    net
}
