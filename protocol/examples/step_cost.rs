//! How long a step of the core takes, by the kind of its input: `cargo run --release -p hedgerow-protocol --example
//! step_cost -- NODES CELLS SECONDS`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures time and says so")]

#[path = "../tests/field/mod.rs"]
mod field;

use field::{Blind, Field, S, Watch, facts};
use hedgerow_attest::testing::SampleMesh;
use hedgerow_protocol::core::Input;
use hedgerow_protocol::wire::{ProbeMessage, VerifiedExchange, VerifiedMessage};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Debug)]
struct Stopwatch {
    kind: &'static str,
    since: Instant,
    kinds: BTreeMap<&'static str, (u32, Duration)>,
}

impl Watch for Stopwatch {
    fn before(&mut self, input: &Input) {
        self.kind = kind(input);
        self.since = Instant::now();
    }

    fn after(&mut self) {
        let (count, total) = self.kinds.entry(self.kind).or_default();
        *count += 1;
        *total += self.since.elapsed();
    }
}

fn kind(input: &Input) -> &'static str {
    match input {
        Input::Tick => "tick",
        Input::Net { message, .. } => match message {
            VerifiedMessage::Probe(ProbeMessage::Ping { .. }) => "ping",
            VerifiedMessage::Probe(ProbeMessage::Ack { .. }) => "ack",
            VerifiedMessage::Probe(
                ProbeMessage::Ask { .. } | ProbeMessage::Tell { .. } | ProbeMessage::Opinion { .. },
            ) => "ask, tell",
            VerifiedMessage::Exchange(VerifiedExchange::Summary { .. }) => "summary",
            VerifiedMessage::Exchange(_) => "digest, pull, push",
            VerifiedMessage::Lease(_) => "lease",
            VerifiedMessage::Accusation(_) => "accusation",
            VerifiedMessage::Settled(_) => "settled",
        },
        Input::Fact(_) => "fact",
        Input::Start(_) | Input::Link { .. } | Input::Persisted(_) | Input::PersistFailed { .. } => "storage, links",
        Input::Signed { .. } | Input::Command { .. } => "signed, commands",
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u32>().expect("a number"));
    let size = arguments.next().unwrap_or(50);
    let cells = arguments.next().unwrap_or(200);
    let seconds = arguments.next().unwrap_or(60);
    let mesh = SampleMesh::new(1);
    let facts = facts(&mesh, size, cells);
    let mut field = Field::new(mesh, size);
    field.start(&facts);
    field.run_for(60 * S, &mut Blind);
    let started = Instant::now();
    let steps = field.run_for(u64::from(seconds) * S, &mut Blind);
    let all = started.elapsed();
    let node_seconds = f64::from(size) * f64::from(seconds);
    println!("{size} nodes, {cells} cells, {seconds} s: {steps} steps, {all:?} in all");
    println!("{:.2} us per node and second, driver included", all.as_secs_f64() * 1e6 / node_seconds);
    let mut watch = Stopwatch { kind: "", since: Instant::now(), kinds: BTreeMap::new() };
    field.run_for(u64::from(seconds) * S, &mut watch);
    for (kind, (count, total)) in &watch.kinds {
        let each = total.as_secs_f64() * 1e6 / f64::from(*count);
        let share = total.as_secs_f64() * 1e6 / node_seconds;
        println!(
            "{kind:20} {:8.2} per node and second, {each:8.2} us each, {share:8.2} us",
            f64::from(*count) / node_seconds
        );
    }
}
