//! Link events, told by level: the announcer compares what is with what it last said, so that no
//! up or down is lost or told out of order however connections race.

use std::collections::BTreeMap;

use hedgerow_attest::id::NodeId;
use tokio::time::MissedTickBehavior;

use super::links::Links;
use crate::net::close::Close;
use crate::net::event::NetEvent;
use crate::net::limits::LINK_SAMPLE_PERIOD;

impl Links {
    /// Tells the node about links until the network stops, and closes links of members that the
    /// current trust no longer admits: at once when the trust changed, within a second when a certificate ended.
    pub(in crate::net) async fn announce(self) {
        let stop = self.tasks().stop().clone();
        let mut changes = self.changes();
        let mut trust = self.dialer().gate.changes();
        let mut sample = tokio::time::interval(LINK_SAMPLE_PERIOD);
        sample.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = BTreeMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                () = trust.changed() => self.close_unwelcome(),
                _ = sample.tick() => self.close_unwelcome(),
            }
            for event in self.news(&mut told) {
                tokio::select! {
                    () = stop.cancelled() => return,
                    sent = self.events().send(event) => if sent.is_err() { return },
                }
            }
        }
    }

    /// What changed since `told`, which is brought up to date.
    fn news(&self, told: &mut BTreeMap<NodeId, Told>) -> Vec<NetEvent> {
        let mut news = Vec::new();
        let mut live = BTreeMap::new();
        for (link, epoch) in self.all_live() {
            let told = Told { epoch, rtt_us: link.rtt_us() };
            live.insert(link.member.node(), (told, link.standing()));
        }
        told.retain(|node, said| {
            let same = live.get(node).is_some_and(|(link, _)| link.epoch == said.epoch);
            if !same {
                news.push(NetEvent::LinkDown { peer: *node });
            }
            same
        });
        for (peer, (link, member)) in live {
            match told.get_mut(&peer) {
                None => {
                    told.insert(peer, link);
                    news.push(NetEvent::LinkUp { peer, member, rtt_us: link.rtt_us });
                }
                Some(said) if differs(said.rtt_us, link.rtt_us) => {
                    *said = link;
                    news.push(NetEvent::LinkRtt { peer, rtt_us: link.rtt_us });
                }
                Some(_) => {}
            }
        }
        news
    }

    fn close_unwelcome(&self) {
        let trust = self.dialer().gate.standing().trust.clone();
        // Those beside the links, too: one of them would take the place of the link.
        for link in self.table(|table, _| table.all_open()) {
            if let Err(reason) = trust.still_admits(&link.standing()) {
                tracing::info!(node = %link.member.node(), %reason, "closed a link");
                Close::Trust.close(&link.connection);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Told {
    epoch: u32,
    rtt_us: u64,
}

/// More than a twentieth apart; a smoothed round trip always trembles.
fn differs(said_us: u64, is_us: u64) -> bool {
    said_us.abs_diff(is_us) > said_us / 20
}

#[cfg(test)]
mod tests {
    use super::differs;

    #[test]
    fn small_changes_of_a_round_trip_are_not_told() {
        assert!(!differs(1000, 1050));
        assert!(!differs(1000, 950));
        assert!(differs(1000, 1051));
        assert!(differs(1000, 949));
        assert!(differs(10, 11));
    }
}
