//! The join lane: what an issuer can rely on.

use std::error::Error as _;

use bytes::Bytes;
use hedgerow::net::limits::JOIN_BODY_BYTES_MAX;
use hedgerow::net::{FrameError, JoinError, NetEvent};

use super::support::{Mesh, Node};

#[tokio::test]
async fn both_ends_derive_the_same_exporter_and_the_issuer_knows_the_callers_key() {
    let mesh = Mesh::new(1);
    let mut issuer = mesh.start(0);
    let joiner = Node::start(mesh.stranger(5));
    let (address, peer) = (issuer.address(), issuer.peer);
    let mut exporters = Vec::new();
    for _ in 0..2 {
        let joining = joiner.net.join_client(address, peer, |exporter| Bytes::copy_from_slice(exporter));
        let issuing = issuer.event(|event| match event {
            NetEvent::JoinRequest { remote, transport, exporter, body, respond } => {
                respond.send(Bytes::from_static(b"welcome"));
                Some((remote, transport, exporter, body))
            }
            _ => None,
        });
        let (answer, (remote, transport, exporter, body)) = tokio::join!(joining, issuing);
        assert_eq!(answer.unwrap(), "welcome");
        assert_eq!(remote, joiner.address());
        assert_eq!(transport, mesh.keys(5).transport.public());
        assert_eq!(body, exporter.as_slice());
        exporters.push(exporter);
    }
    assert_ne!(exporters[0], exporters[1], "an exporter belongs to one connection");
}

#[tokio::test]
async fn a_body_above_the_bound_is_not_sent_and_an_unanswered_join_is_broken_off() {
    let mesh = Mesh::new(1);
    let mut issuer = mesh.start(0);
    let joiner = Node::start(mesh.stranger(5));
    let (address, peer) = (issuer.address(), issuer.peer);

    let long = Bytes::from(vec![0; JOIN_BODY_BYTES_MAX + 1]);
    let error = joiner.net.join_client(address, peer, |_| long).await.unwrap_err();
    let JoinError::Broken(FrameError::TooLong { got, max: JOIN_BODY_BYTES_MAX }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(got, JOIN_BODY_BYTES_MAX + 1);

    let joining = joiner.net.join_client(address, peer, |_| Bytes::from_static(b"hello"));
    let dropping = issuer.event(|event| matches!(event, NetEvent::JoinRequest { .. }).then_some(()));
    let (answer, ()) = tokio::join!(joining, dropping);
    let error = answer.unwrap_err();
    assert!(matches!(error, JoinError::Broken(FrameError::Stream(_))), "{error:?}");
    assert!(error.source().is_some());
}
