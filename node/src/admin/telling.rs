//! Events as the operator's door gives them out: rows of JSON, and the stream of them.

use std::convert::Infallible;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{Stream, stream};
use hedgerow_attest::id::CellId;
use hedgerow_protocol::core::Event;
use hedgerow_protocol::time::Wall;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::wire::{EventKind, EventRow, LinkChange, LinkPath};
use crate::observe::{self, Batch, EventLog, Happening, LinkSeen, Recorded, milliseconds, wall};

/// One reader of the events.
#[derive(Debug)]
pub(super) struct Telling {
    events: EventLog,
    latest: watch::Receiver<u64>,
    /// The number of the last that was told.
    seen: u64,
    /// Whether to wait for more.
    follow: bool,
    serving: CancellationToken,
}

/// Rows that are made at a time. The next are made when these were taken, so that a reader that is slow costs no memory, and is
/// told what it missed once it falls behind what is kept.
const ROWS_AT_ONCE: usize = 64;

impl Telling {
    /// Of what came after the event numbered `since`; with `follow` until the node takes no more requests.
    pub(super) fn new(events: EventLog, since: u64, follow: bool, serving: CancellationToken) -> Self {
        let latest = events.latest();
        Self { events, latest, seen: since, follow, serving }
    }

    /// The rows, a line each.
    pub(super) fn lines(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
        stream::unfold(self, async |mut telling| {
            let rows = telling.next().await?;
            Some((Ok(as_lines(&rows)), telling))
        })
    }

    /// The next rows; nothing at the end.
    async fn next(&mut self) -> Option<Vec<EventRow>> {
        loop {
            self.latest.borrow_and_update();
            let rows = rows(&self.events.after(self.seen, ROWS_AT_ONCE));
            if let Some(last) = rows.last() {
                self.seen = last.seq;
                return Some(rows);
            }
            if !self.follow {
                return None;
            }
            tokio::select! {
                // What was told until then is still given out.
                () = self.serving.cancelled() => self.follow = false,
                changed = self.latest.changed() => self.follow = changed.is_ok(),
            }
        }
    }
}

fn rows(batch: &Batch<Recorded>) -> Vec<EventRow> {
    let first = batch.entries.first().map_or(0, |(number, _)| *number);
    let missed = (batch.missed > 0).then(|| EventRow {
        seq: first.saturating_sub(1),
        at: moment(wall()),
        what: EventKind::Missed { times: batch.missed },
    });
    let entries = batch.entries.iter();
    let told =
        entries.map(|(number, event)| EventRow { seq: *number, at: moment(event.at), what: told(event.what.clone()) });
    missed.into_iter().chain(told).collect()
}

fn as_lines(rows: &[EventRow]) -> Bytes {
    let mut lines = BytesMut::new();
    for row in rows {
        serde_json::to_writer((&mut lines).writer(), row).expect("a row is written to memory as JSON");
        lines.put_u8(b'\n');
    }
    lines.freeze()
}

/// As `2031-02-03T04:05:06.789Z`.
fn moment(at: Wall) -> String {
    let at = i64::try_from(at.0).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
    format!("{:.3}", at.unwrap_or(Timestamp::MAX))
}

fn told(what: Happening) -> EventKind {
    match what {
        Happening::Core(event) => told_by_core(event),
        Happening::Link { change, link } => told_of_link(change, &link),
        Happening::Aggregator { region, cell, holder, term } => EventKind::Aggregator {
            region: region.to_string(),
            cell: cell.to_string(),
            holder: holder.map(|holder| holder.to_string()),
            term: term.0,
        },
        Happening::CertificateRenewed { serial, until } => {
            EventKind::Certificate { serial: Some(serial), until: Some(until.to_string()), failure: None }
        }
        Happening::CertificateNotRenewed { why, .. } => {
            EventKind::Certificate { serial: None, until: None, failure: Some(why) }
        }
        Happening::Refused { reason, times } => EventKind::Refusal { reason, times },
        Happening::Forgotten { node } => EventKind::Forgotten { node: node.to_string() },
        Happening::ModelWarm { model } => told_of_model(&model, "warm", None),
        Happening::ModelFailed { model, why } => told_of_model(&model, "failed", Some(why)),
        Happening::ModelRemoved { model } => told_of_model(&model, "removed", None),
    }
}

fn told_of_link(change: observe::LinkChange, link: &LinkSeen) -> EventKind {
    EventKind::Link {
        node: link.node.to_string(),
        change: match change {
            observe::LinkChange::Up => LinkChange::Up,
            observe::LinkChange::Moved => LinkChange::Moved,
            observe::LinkChange::Down => LinkChange::Down,
        },
        path: LinkPath::of(link.address, link.relay),
        rtt_ms: milliseconds(link.rtt_us),
    }
}

fn told_of_model(model: &impl ToString, state: &str, reason: Option<String>) -> EventKind {
    EventKind::Model { model: model.to_string(), state: state.to_owned(), reason }
}

fn told_by_core(event: Event) -> EventKind {
    let node = |told: String| EventKind::Node { told };
    let of_cell = |cell: CellId, told: String| EventKind::Cell { cell: cell.to_string(), told };
    match event {
        Event::Running { incarnation } => node(format!("speaks, incarnation {incarnation}")),
        Event::Refuted { incarnation } => {
            node(format!("was thought dead and said otherwise, incarnation {incarnation}"))
        }
        Event::MemberChanged { node, from, to } => {
            EventKind::Member { node: node.to_string(), from: from.map(|from| from.to_string()), to: to.to_string() }
        }
        Event::LeaseAcquired { cell, term } => of_cell(cell, format!("this node leads it in term {term}")),
        Event::LeaseLost { cell, term } => of_cell(cell, format!("this node leads it no more, after term {term}")),
        Event::VotersChanged { cell, epoch, voters } => EventKind::Voters {
            cell: cell.to_string(),
            epoch: epoch.0,
            voters: u64::try_from(voters).unwrap_or(u64::MAX),
        },
        Event::PlacementAdopted { cell, epoch } => {
            EventKind::Placement { cell: cell.to_string(), epoch: epoch.0, fault: None }
        }
        Event::PlacementRefused { cell, epoch, fault } => {
            EventKind::Placement { cell: cell.to_string(), epoch: epoch.0, fault: Some(fault.to_string()) }
        }
        Event::TwoBirths { kept, other } => {
            of_cell(kept, format!("an issuer signed a second birth for its region, {other}: it is not followed"))
        }
        Event::CellRecovered { cell, generation, voters } => {
            of_cell(cell, format!("the operators gave it {voters} other voter(s), generation {generation}"))
        }
        Event::TwoRecoveries { cell, generation, .. } => of_cell(
            cell,
            format!("the operators signed two recoveries for generation {generation}: sign one for the next"),
        ),
        Event::Revoked { node, reason } => EventKind::Revoked { node: node.to_string(), reason: reason.to_string() },
        Event::CellEnded { cell, into } => {
            let into: Vec<String> = into.iter().map(|cell| cell.short()).collect();
            of_cell(cell, format!("ended, {} took its place", into.join(" and ")))
        }
        Event::ClockJump => node("the clocks jumped: leases are void until asked for afresh".to_owned()),
        Event::ClockSuspect { ppm } => {
            node(format!("the clock runs wrong by {ppm} millionths: this node votes and leads no more"))
        }
        Event::ClockTrusted => node("the clock runs right again".to_owned()),
        Event::StorageLost { kind } => {
            node(format!("storage failed ({kind:?}): this node votes and leads no more until it is restarted"))
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use hedgerow_attest::id::NodeId;
    use hedgerow_protocol::view::MemberState;

    use super::*;
    use crate::observe::EVENTS_MAX;

    fn record(events: &EventLog, times: usize) {
        for _ in 0..times {
            let (node, from, to) = (NodeId::from_bytes([7; 32]), Some(MemberState::Alive), MemberState::Suspect);
            events.record(Happening::Core(Event::MemberChanged { node, from, to }));
        }
    }

    /// The numbers of the next rows, and what was missed before them.
    async fn numbers(telling: &mut Telling) -> Option<(Vec<u64>, u64)> {
        let rows = telling.next().await?;
        let missed = rows.iter().map(|row| if let EventKind::Missed { times } = row.what { times } else { 0 }).sum();
        Some((rows.into_iter().map(|row| row.seq).collect(), missed))
    }

    #[tokio::test]
    async fn without_following_what_there_is_is_told_and_no_more() {
        let events = EventLog::default();
        record(&events, ROWS_AT_ONCE + 2);
        let mut telling = Telling::new(events, 1, false, CancellationToken::new());
        let (first, missed) = numbers(&mut telling).await.unwrap();
        assert_eq!((first.first(), first.last(), missed), (Some(&2), Some(&65), 0));
        assert_eq!(numbers(&mut telling).await, Some((vec![66], 0)));
        assert_eq!(numbers(&mut telling).await, None);
    }

    #[tokio::test]
    async fn a_follower_waits_for_more_is_told_what_it_missed_and_ends_with_the_node() {
        let (events, serving) = (EventLog::default(), CancellationToken::new());
        let mut telling = Telling::new(events.clone(), 0, true, serving.clone());
        record(&events, 1);
        assert_eq!(numbers(&mut telling).await, Some((vec![1], 0)));
        let (told, ()) = tokio::join!(numbers(&mut telling), async { record(&events, 1) });
        assert_eq!(told, Some((vec![2], 0)));

        record(&events, EVENTS_MAX + 3);
        let (told, missed) = numbers(&mut telling).await.unwrap();
        assert_eq!((told.first(), told.get(1), missed), (Some(&5), Some(&6), 3), "3, 4 and 5 are gone");
        while telling.seen < *events.latest().borrow() {
            assert_eq!(numbers(&mut telling).await.unwrap().1, 0);
        }
        serving.cancel();
        assert_eq!(numbers(&mut telling).await, None);
    }

    #[tokio::test]
    async fn a_row_is_a_line_of_json() {
        let events = EventLog::default();
        record(&events, 2);
        let telling = Telling::new(events, 0, false, CancellationToken::new());
        let bytes: Vec<Bytes> = telling.lines().map(|lines| lines.unwrap()).collect().await;
        let text = String::from_utf8(bytes.concat()).unwrap();
        assert!(text.ends_with('\n'));
        let rows: Vec<EventRow> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let member = EventKind::Member {
            node: NodeId::from_bytes([7; 32]).to_string(),
            from: Some("alive".to_owned()),
            to: "suspect".to_owned(),
        };
        assert_eq!(rows.iter().map(|row| (row.seq, &row.what)).collect::<Vec<_>>(), [(1, &member), (2, &member)]);
    }

    #[test]
    fn moments_have_milliseconds() {
        assert_eq!(moment(Wall(1_927_944_306_789_012)), "2031-02-04T04:05:06.789Z");
    }
}
