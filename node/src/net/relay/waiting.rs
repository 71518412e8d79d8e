//! At which relays this node waits for those who cannot dial it.

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::client::Relays;
use super::reached::Reached;
use crate::net::limits::{LINK_SAMPLE_PERIOD, RELAY_RETRY_MAX, RELAY_RETRY_MIN};
use crate::net::patience::Patience;
use crate::net::rpc::Links;

/// Sees to it that others find this node at relays for as long as they may not reach it by themselves, until the network stops.
///
/// Of the members to whom there are direct links the nearest ones are asked: to them this node is known to have a way, and
/// whoever does not relay says so.
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
        let now = Instant::now();
        if !reached.needs_relay(now) {
            relays.wait_nowhere();
            continue;
        }
        if relays.waits_at_enough() {
            continue;
        }
        let mut near = links.live();
        near.retain(|link| link.relay.is_none() && !relays.waits_at().borrow().contains(&link.node));
        near.sort_by_key(|link| link.rtt_us);
        patience.retain(|node| near.iter().any(|link| link.node == *node));
        let next = near.into_iter().find(|link| patience.allows(link.node, link.epoch, now));
        let Some(link) = next else { continue };
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
