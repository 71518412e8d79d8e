//! Gathering content from several members at once: the schedule's orders carried out over one connection for each.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hedgerow_attest::id::NodeId;
use quinn::Connection;
use tokio::sync::OnceCell;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::receive::{RangeError, receive};
use super::schedule::{Fault, Input, Output, Schedule};
use crate::content::{GroupRange, Sink};
use crate::net::close::Close;
use crate::net::lane::LinkLane;
use crate::net::rpc::Links;

/// How content was gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// How many ranges each member brought; a range that two brought counts for both.
    pub ranges: BTreeMap<NodeId, u32>,
    /// What went wrong last with each member with which something did.
    pub faults: Vec<(NodeId, Fault)>,
}

/// Why content was not gathered. The sink keeps what came, every byte of it checked.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// What came cannot be stored; make room, or look at the disk.
    #[error("store what came")]
    Sink(#[source] io::Error),
    /// No member brings what is missing; more of them, or a later try, may.
    #[error("none of {} nodes brings all of the content{}", faults.len(), tally(faults))]
    Exhausted {
        /// What went wrong last with each of them.
        faults: Vec<(NodeId, Fault)>,
    },
}

/// Brings what the sink lacks from any of `sources`, the first ones first. Dropping the future ends every connection.
pub(in crate::net) async fn gather(
    links: &Links,
    sources: &[NodeId],
    sink: Arc<dyn Sink>,
) -> Result<Gathered, GatherError> {
    let mut schedule = Schedule::new(sink.missing());
    let mut transfer =
        Transfer { links: links.clone(), sink, ties: BTreeMap::new(), tasks: JoinSet::new(), ranges: BTreeMap::new() };
    let (start, mut out) = (Instant::now(), Vec::new());
    for source in sources {
        schedule.step(Duration::ZERO, Input::Join(*source), &mut out);
    }
    let mut inputs = vec![Input::Tick];
    let mut listen = start + LISTEN_EVERY;
    loop {
        let now = start.elapsed();
        for input in inputs.drain(..) {
            schedule.step(now, input, &mut out);
        }
        for output in out.drain(..) {
            match output {
                Output::Ask { source, range } => transfer.ask(source, range),
                Output::Cancel { source, range } => transfer.cancel(source, range),
                Output::Drop { source, fault } => transfer.drop_source(source, fault),
                Output::Done => return Ok(Gathered { ranges: transfer.ranges.clone(), faults: schedule.faults() }),
                Output::Failed => return Err(GatherError::Exhausted { faults: schedule.faults() }),
            }
        }
        let deadline = schedule.next_deadline().map_or(listen, |at| (start + at).min(listen));
        tokio::select! {
            Some(ended) = transfer.tasks.join_next() => inputs.extend(transfer.ended(ended)?),
            () = sleep_until(deadline) => {
                listen = Instant::now() + LISTEN_EVERY;
                inputs.extend(transfer.heard());
                inputs.push(Input::Tick);
            }
        }
    }
}

/// One transfer's connections and what is asked on them.
#[derive(Debug)]
struct Transfer {
    links: Links,
    sink: Arc<dyn Sink>,
    ties: BTreeMap<NodeId, Tie>,
    tasks: JoinSet<Ended>,
    ranges: BTreeMap<NodeId, u32>,
}

/// The connection to one source.
#[derive(Debug, Default)]
struct Tie {
    /// Which connection to it this is.
    number: u32,
    connection: Arc<OnceCell<Connection>>,
    heard: Arc<AtomicBool>,
    asked: BTreeMap<GroupRange, AbortHandle>,
}

/// How asking for one range ended.
#[derive(Debug)]
struct Ended {
    source: NodeId,
    tie: u32,
    range: GroupRange,
    outcome: Result<(), RangeError>,
}

impl Transfer {
    fn ask(&mut self, source: NodeId, range: GroupRange) {
        let tie = self.ties.entry(source).or_default();
        let (number, connection, heard) = (tie.number, tie.connection.clone(), tie.heard.clone());
        let (links, sink) = (self.links.clone(), self.sink.clone());
        let bring = async move {
            let connection = connection.get_or_try_init(|| dial(&links, source)).await?;
            let piece = receive(connection, sink.content(), range, &heard).await;
            let piece = piece.map_err(|error| error.of(connection))?;
            sink.store(piece).await.map_err(RangeError::Sink)
        };
        let task = async move { Ended { source, tie: number, range, outcome: bring.await } };
        let handle = self.tasks.spawn(task);
        tie.asked.insert(range, handle);
    }

    fn cancel(&mut self, source: NodeId, range: GroupRange) {
        let asked = self.ties.get_mut(&source).and_then(|tie| tie.asked.remove(&range));
        if let Some(asked) = asked {
            asked.abort();
        }
    }

    fn drop_source(&mut self, source: NodeId, fault: Fault) {
        let content = self.sink.content().blake3();
        tracing::debug!(peer = %source, %content, %fault, "a peer does not bring what was asked of it");
        let tie = self.ties.entry(source).or_default();
        tie.close(if fault == Fault::Lied { Close::Protocol } else { Close::Done });
        *tie = Tie { number: tie.number + 1, ..Tie::default() };
    }

    /// What the end of a task says to the schedule.
    fn ended(&mut self, ended: Result<Ended, JoinError>) -> Result<Option<Input>, GatherError> {
        let Ended { source, tie: number, range, outcome } = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => return Ok(None),
        };
        let tie = self.ties.entry(source).or_default();
        let stale = tie.number != number;
        if !stale {
            tie.asked.remove(&range);
        }
        match outcome {
            // What is stored is stored, also by a connection that was given up meanwhile.
            Ok(()) => {
                *self.ranges.entry(source).or_default() += 1;
                Ok(Some(Input::Stored { source, range }))
            }
            Err(error) => {
                tracing::debug!(peer = %source, ?range, error = &error as &dyn std::error::Error, "a range did not come");
                let fault = error.fault().map_err(GatherError::Sink)?;
                Ok((!stale).then_some(Input::Failed { source, fault }))
            }
        }
    }

    /// Of whom something came since this was asked last.
    fn heard(&self) -> Vec<Input> {
        let heard = self.ties.iter().filter(|(_, tie)| tie.heard.swap(false, Ordering::Relaxed));
        heard.map(|(source, _)| Input::Heard(*source)).collect()
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        for tie in self.ties.values() {
            tie.close(Close::Done);
        }
    }
}

impl Tie {
    fn close(&self, why: Close) {
        for asked in self.asked.values() {
            asked.abort();
        }
        if let Some(connection) = self.connection.get() {
            why.close(connection);
        }
    }
}

async fn dial(links: &Links, source: NodeId) -> Result<Connection, RangeError> {
    let dialled = links.dial_beside(source, LinkLane::Bulk).await;
    Ok(dialled.map_err(RangeError::Unreachable)?.connection)
}

/// How many nodes failed in which way.
fn tally(faults: &[(NodeId, Fault)]) -> String {
    let mut counts = BTreeMap::<Fault, usize>::new();
    for (_, fault) in faults {
        *counts.entry(*fault).or_default() += 1;
    }
    let told: Vec<_> = counts.into_iter().map(|(fault, count)| format!("{count} times {fault}")).collect();
    if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) }
}

/// How often the schedule is told of whom something came; far less than what counts as a stall.
const LISTEN_EVERY: Duration = Duration::from_secs(1);
