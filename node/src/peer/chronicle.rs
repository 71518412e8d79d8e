//! Tells what happened where nobody says so: links, aggregators and refusals are seen by level, and what is told is the difference
//! from what was told last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::region::Region;
use hedgerow_protocol::id::Term;
use hedgerow_protocol::view::MeshView;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::parts::Told;
use crate::admin::refusals;
use crate::net::{LinkView, Net};
use crate::observe::{Happening, LinkChange, LinkSeen};

/// How often refusals are looked at, and links for another way.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two times that one reason of refusals is told: strangers provoke as many as they like, and must not push everything else
/// out of memory.
const REFUSAL_GAP: Duration = Duration::from_secs(10);

/// What is looked at.
#[derive(Debug)]
pub(super) struct Chronicle {
    pub(super) net: Net,
    pub(super) views: watch::Receiver<Arc<MeshView>>,
    pub(super) told: Told,
}

impl Chronicle {
    /// Runs until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.net.link_changes();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut links, mut aggregators, mut refused) = <(BTreeMap<_, _>, BTreeMap<_, _>, Refused)>::default();
        self.views.mark_changed();
        loop {
            let news = tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => match changed {
                    Ok(()) => link_news(&mut links, self.net.links()),
                    Err(_ended) => return,
                },
                changed = self.views.changed() => match changed {
                    Ok(()) => aggregator_news(&mut aggregators, &self.views.borrow_and_update().clone()),
                    Err(_ended) => return,
                },
                _ = look.tick() => {
                    let counted = refusals(&self.net, &self.told.counters);
                    let refused = refused.news(counted, Instant::now());
                    link_news(&mut links, self.net.links()).into_iter().chain(refused).collect()
                }
            };
            for happening in news {
                self.told.events.record(happening);
            }
        }
    }
}

/// What is told of a link.
fn seen(link: &LinkView) -> LinkSeen {
    LinkSeen { node: link.node, address: link.remote, relay: link.relay, rtt_us: link.rtt_us }
}

/// What became of links since `told`, which is brought up to date. One that was replaced is told as down, then up.
fn link_news(told: &mut BTreeMap<NodeId, LinkView>, live: Vec<LinkView>) -> Vec<Happening> {
    let mut news = Vec::new();
    let mut tell = |change, link: &LinkView| news.push(Happening::Link { change, link: seen(link) });
    let live: BTreeMap<NodeId, LinkView> = live.into_iter().map(|link| (link.node, link)).collect();
    for (node, before) in &*told {
        if live.get(node).is_none_or(|link| link.epoch != before.epoch) {
            tell(LinkChange::Down, before);
        }
    }
    for (node, link) in &live {
        let before = told.get(node).filter(|before| before.epoch == link.epoch).map(seen);
        let now = seen(link);
        match before {
            None => tell(LinkChange::Up, link),
            Some(before) if (before.address, before.relay) != (now.address, now.relay) => tell(LinkChange::Moved, link),
            Some(_) => {}
        }
    }
    *told = live;
    news
}

/// Who leads which region, by the cell and the term.
type Leads = BTreeMap<Region, (CellId, NodeId, Term)>;

/// Who leads other regions than `told` says, which is brought up to date.
fn aggregator_news(told: &mut Leads, view: &MeshView) -> Vec<Happening> {
    let valid = view.aggregators.iter().filter(|(_, row)| row.valid);
    let leads: Leads = valid.map(|(region, row)| (region.clone(), (row.cell, row.holder, row.term))).collect();
    let mut news = Vec::new();
    for (region, (cell, _, term)) in told.iter().filter(|(region, _)| !leads.contains_key(*region)) {
        news.push(Happening::Aggregator { region: region.clone(), cell: *cell, holder: None, term: *term });
    }
    for (region, lead) in leads.iter().filter(|(region, lead)| told.get(*region) != Some(*lead)) {
        let (cell, holder, term) = *lead;
        news.push(Happening::Aggregator { region: region.clone(), cell, holder: Some(holder), term });
    }
    *told = leads;
    news
}

/// How often each reason of refusals had occurred when it was told last, and when that was.
#[derive(Debug, Default)]
struct Refused(BTreeMap<String, (u64, Instant)>);

impl Refused {
    /// The reasons that occurred since, each at most once in [`REFUSAL_GAP`], so that all that occurs is told in the end.
    fn news(&mut self, counted: BTreeMap<String, u64>, now: Instant) -> Vec<Happening> {
        let mut news = Vec::new();
        for (reason, count) in counted {
            let (told, is_due) = match self.0.get(&reason) {
                Some((told, at)) => (*told, now.duration_since(*at) >= REFUSAL_GAP),
                None => (0, true),
            };
            if count > told && is_due {
                self.0.insert(reason.clone(), (count, now));
                news.push(Happening::Refused { reason, times: count - told });
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hedgerow_attest::testing::SampleMesh;
    use hedgerow_protocol::id::{ConfigEpoch, Generation};
    use hedgerow_protocol::view::AggregatorView;

    use super::*;
    use crate::core::testing::{CELL, node, view};

    #[test]
    fn links_are_told_when_they_come_move_are_replaced_and_go() {
        let peer = SampleMesh::new(1).member(5, "eu").peer();
        let link = |number, port, epoch, rtt_us| LinkView {
            node: node(number),
            peer,
            remote: SocketAddr::from(([192, 0, 2, 1], port)),
            relay: None,
            rtt_us,
            sent_packets: 0,
            lost_packets: 0,
            dialled: true,
            epoch,
        };
        let mut told = BTreeMap::new();
        let mut look = |live: &[LinkView]| -> Vec<(LinkChange, NodeId, u16, u64)> {
            let news = link_news(&mut told, live.to_vec()).into_iter().map(|happening| match happening {
                Happening::Link { change, link } => (change, link.node, link.address.port(), link.rtt_us),
                other => panic!("{other:?}"),
            });
            news.collect()
        };
        use LinkChange::{Down, Moved, Up};
        assert_eq!(look(&[link(2, 1, 1, 100), link(3, 1, 1, 200)]), [(Up, node(2), 1, 100), (Up, node(3), 1, 200)]);
        assert_eq!(look(&[link(2, 1, 1, 900), link(3, 1, 1, 200)]), [], "round trips tremble");
        assert_eq!(look(&[link(2, 7, 1, 100), link(3, 1, 1, 250)]), [(Moved, node(2), 7, 100)]);
        assert_eq!(
            look(&[link(2, 7, 2, 110)]),
            [(Down, node(2), 7, 100), (Down, node(3), 1, 250), (Up, node(2), 7, 110)]
        );
        assert_eq!(look(&[]), [(Down, node(2), 7, 110)]);
    }

    #[test]
    fn an_aggregator_is_told_once_for_each_term_and_when_there_is_none() {
        let (mut told, mut seen) = (Leads::new(), view(&[(1, vec![])]));
        let region = seen.region.clone();
        let mut look = |holder: u8, term: u64, valid: bool| {
            let row = AggregatorView {
                cell: CELL,
                holder: node(holder),
                generation: Generation(0),
                term: Term(term),
                config_epoch: ConfigEpoch(1),
                voters: 3,
                valid,
            };
            seen.aggregators.insert(region.clone(), row);
            aggregator_news(&mut told, &seen)
        };
        let led = |holder: Option<u8>, term| {
            vec![Happening::Aggregator {
                region: region.clone(),
                cell: CELL,
                holder: holder.map(node),
                term: Term(term),
            }]
        };
        assert_eq!(look(2, 1, false), []);
        assert_eq!(look(2, 1, true), led(Some(2), 1));
        assert_eq!(look(2, 1, true), []);
        assert_eq!(look(2, 1, false), led(None, 1));
        assert_eq!(look(3, 2, true), led(Some(3), 2));
        assert_eq!(look(3, 4, true), led(Some(3), 4));
    }

    #[test]
    fn a_flood_of_refusals_is_one_event_in_a_while_and_none_is_lost() {
        let (mut refused, start) = (Refused::default(), Instant::now());
        let mut look = |after_s, counts: &[(&str, u64)]| -> Vec<(String, u64)> {
            let counted = counts.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
            let news = refused.news(counted, start + Duration::from_secs(after_s)).into_iter();
            news.map(|happening| match happening {
                Happening::Refused { reason, times } => (reason, times),
                other => panic!("{other:?}"),
            })
            .collect()
        };
        let told = |reason: &str, times| vec![(reason.to_owned(), times)];
        assert_eq!(look(0, &[("bad_alpn", 1)]), told("bad_alpn", 1));
        assert_eq!(look(1, &[("bad_alpn", 500)]), []);
        assert_eq!(look(2, &[("bad_alpn", 900), ("expired", 2)]), told("expired", 2));
        assert_eq!(look(10, &[("bad_alpn", 900), ("expired", 2)]), told("bad_alpn", 899));
        assert_eq!(look(30, &[("bad_alpn", 900), ("expired", 2)]), []);
    }
}
