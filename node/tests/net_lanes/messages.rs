//! One-way messages.

use hedgerow::net::limits::MESSAGE_BYTES_MAX;
use hedgerow::net::{Lane, NetEvent, SendError};

use super::support::Mesh;

#[tokio::test]
async fn messages_of_a_lane_arrive_in_order_and_probes_as_datagrams() {
    let mesh = Mesh::new(1);
    let (mut a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let sizes = [0, 1, 70_000, 5, MESSAGE_BYTES_MAX, 2];
    for (lane, tag) in [(Lane::Rpc, 1_u8), (Lane::Session, 2)] {
        for size in sizes {
            a.net.send(b.id, lane, vec![tag; size].into()).unwrap();
        }
    }
    let error = a.net.send(b.id, Lane::Rpc, vec![0; MESSAGE_BYTES_MAX + 1].into()).unwrap_err();
    assert!(matches!(error, SendError::TooLong { got } if got == MESSAGE_BYTES_MAX + 1), "{error:?}");
    let mut received = [Vec::new(), Vec::new()];
    for _ in 0..2 * sizes.len() {
        let (lane, size) = b
            .event(|event| match event {
                NetEvent::Message { from, lane, bytes } => {
                    assert_eq!(from, a.id);
                    assert!(bytes.iter().all(|byte| (lane == Lane::Rpc) == (*byte == 1)));
                    Some((lane, bytes.len()))
                }
                _ => None,
            })
            .await;
        received[usize::from(lane == Lane::Session)].push(size);
    }
    assert_eq!(received, [sizes.to_vec(), sizes.to_vec()]);

    a.link_up(b.id).await;
    for probe in [vec![7; 900], vec![8; 5_000]] {
        a.net.send(b.id, Lane::Probe, probe.clone().into()).unwrap();
        let (lane, bytes) = b
            .event(|event| match event {
                NetEvent::Message { lane, bytes, .. } => Some((lane, bytes)),
                _ => None,
            })
            .await;
        assert_eq!((lane, &bytes[..]), (Lane::Probe, &probe[..]));
    }
}
