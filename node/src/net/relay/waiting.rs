//! At which relays this node waits for those who cannot dial it.

use hedgerow_attest::id::NodeId;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::client::Relays;
use super::reached::{Reached, is_global};
use super::ways::is_place;
use crate::net::limits::{LINK_SAMPLE_PERIOD, RELAY_RETRY_MAX, RELAY_RETRY_MIN, RELAYS_WAITED_AT};
use crate::net::patience::Patience;
use crate::net::rpc::{LinkView, Links};

/// Sees to it that others find this node at relays for as long as they may not reach it by themselves, until the network stops.
///
/// Of the members to whom there are direct links those are asked that were not yet, and the nearest first: to them this node is
/// known to have a way, and whoever does not relay says so. It waits at some that the world may reach and at some of its own
/// network, each for those who may reach them.
pub(in crate::net) async fn wait_at_relays(links: Links, relays: Relays, reached: Reached) {
    let stop = links.tasks().stop().clone();
    let mut tick = interval(LINK_SAMPLE_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut patience = Patience::new(RELAY_RETRY_MIN, RELAY_RETRY_MAX);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        relays.close_idle();
        let (now, direct) = (Instant::now(), direct(&links));
        direct.iter().for_each(|link| reached.sends(link.remote, now));
        if !reached.needs_relay(now) {
            relays.wait_nowhere();
            continue;
        }
        patience.retain(|node| direct.iter().any(|link| link.node == *node));
        let Some(link) = next(direct, &relays.waits_at().borrow(), &mut patience, now) else { continue };
        let at = [link.remote];
        tokio::select! {
            () = stop.cancelled() => return,
            waits = relays.wait_at(links.dialer(), link.node, &at) => match waits {
                Ok(()) => tracing::info!(relay = %link.node.short(), "others find this node at a relay"),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::debug!(node = %link.node.short(), error, "no place at a relay");
                }
            }
        }
    }
}

fn direct(links: &Links) -> Vec<LinkView> {
    let mut direct = links.live();
    direct.retain(|link| link.relay.is_none() && !is_place(&link.remote));
    direct
}

/// Whom to ask next for a place at its relay.
fn next(
    mut direct: Vec<LinkView>,
    waits_at: &[NodeId],
    patience: &mut Patience<NodeId, u32>,
    now: Instant,
) -> Option<LinkView> {
    let is_at = |link: &LinkView| waits_at.contains(&link.node);
    let enough = [true, false].map(|global| {
        direct.iter().filter(|link| is_at(link) && is_global(link.remote.ip()) == global).count() >= RELAYS_WAITED_AT
    });
    direct.retain(|link| !is_at(link) && !enough[usize::from(!is_global(link.remote.ip()))]);
    direct.sort_by_key(|link| (patience.knows(&link.node), !is_global(link.remote.ip()), link.rtt_us));
    direct.into_iter().find(|link| patience.allows(link.node, link.epoch, now))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hedgerow_attest::testing::SampleMesh;

    use super::*;

    fn link(number: u8, ip: [u8; 4], rtt_us: u64) -> LinkView {
        LinkView {
            node: NodeId::from_bytes([number; 32]),
            peer: SampleMesh::new(1).member(5, "eu").peer(),
            remote: SocketAddr::from((ip, 4334)),
            relay: None,
            rtt_us,
            sent_packets: 0,
            lost_packets: 0,
            dialled: true,
            epoch: 1,
        }
    }

    #[test]
    fn it_waits_at_two_for_the_world_and_at_two_for_its_neighbours() {
        let links = [
            link(1, [192, 168, 1, 1], 100),
            link(2, [192, 168, 1, 2], 200),
            link(3, [192, 168, 1, 3], 300),
            link(4, [203, 0, 113, 4], 9_000),
            link(5, [203, 0, 113, 5], 8_000),
            link(6, [203, 0, 113, 6], 7_000),
        ];
        let (now, mut waits_at) = (Instant::now(), Vec::new());
        let mut patience = Patience::new(RELAY_RETRY_MIN, RELAY_RETRY_MAX);
        // The sixth relays for nobody.
        while let Some(link) = next(links.to_vec(), &waits_at, &mut patience, now) {
            if link.node != NodeId::from_bytes([6; 32]) {
                waits_at.push(link.node);
            }
        }
        assert_eq!(waits_at, [5, 4, 1, 2].map(|number| NodeId::from_bytes([number; 32])));
        waits_at.remove(0);
        assert_eq!(next(links.to_vec(), &waits_at, &mut patience, now), None, "all were asked just now");
        let later = now + RELAY_RETRY_MIN;
        assert_eq!(next(links.to_vec(), &waits_at, &mut patience, later), Some(links[5].clone()));
    }
}
