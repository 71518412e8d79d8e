//! Two machines over a network that delays, breaks and restarts what it likes: once it is calm both have one link, the same.

use super::*;
use crate::link::links_tests::{Bench, RELAYED};
use crate::machine::Machine as _;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An address at which nobody answers.
const NOWHERE: u16 = 9;

/// A firewall lets in what comes from where something was sent to within this time.
const PINHOLE: u64 = 2_000_000;

/// Chaos lasts so long, and both ends then want a link for as long again.
const CHAOS: Duration = Duration::from_secs(8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A client's last flight arrives: from whom, in which of its runs, of which attempt, and where it dialled.
    Knock {
        from: usize,
        run: u64,
        attempt: AttemptId,
        address: u16,
    },
    /// The acceptor's greeting arrives.
    Greeting {
        to: usize,
        run: u64,
        attempt: AttemptId,
        connection: ConnectionId,
        life: u64,
        address: u16,
    },
    NoAnswer {
        to: usize,
        run: u64,
        attempt: AttemptId,
    },
    /// A close arrives, or silence ends a connection.
    Closed {
        at: usize,
        connection: ConnectionId,
    },
    Want {
        at: usize,
    },
    /// Both ends of a relayed link agreed to dial each other.
    Meet {
        at: usize,
    },
    Kill {
        at: usize,
    },
    Restart {
        at: usize,
    },
}

struct Pair {
    ends: [Bench; 2],
    /// Whether both are behind firewalls, through which a relay alone leads unless both dial at once.
    walled: bool,
    /// When each end sent anything last on a direct way.
    sent: [Option<u64>; 2],
    runs: [u64; 2],
    /// Connections that are open at that end.
    open: [BTreeSet<ConnectionId>; 2],
    /// Attempts that were given up, by end and run.
    cancelled: BTreeSet<(usize, u64, AttemptId)>,
    /// Links that came up and went down, at each end.
    ups: [u64; 2],
    downs: [u64; 2],
    queue: BTreeMap<(u64, u64), Happening>,
    last: u64,
    now: u64,
    rng: ChaCha8Rng,
}

impl Pair {
    fn new(seed: u64, walled: bool) -> Self {
        Self {
            ends: [bench(0), bench(1)],
            walled,
            sent: [None, None],
            runs: [0, 0],
            open: Default::default(),
            cancelled: BTreeSet::new(),
            ups: [0, 0],
            downs: [0, 0],
            queue: BTreeMap::new(),
            last: 0,
            now: 1,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn later(&mut self, most_ms: u64, happening: Happening) {
        self.last += 1;
        let at = self.now + self.below(most_ms * 1_000);
        self.queue.insert((at, self.last), happening);
    }

    fn step(&mut self, at: usize, input: LinkInput<u32, u16>) {
        let end = &mut self.ends[at];
        end.now = end.now.max(crate::time::Mono(self.now));
        for output in end.step(input) {
            self.carry_out(at, &output);
        }
    }

    fn carry_out(&mut self, at: usize, output: &LinkOutput<u32, u16>) {
        let run = self.runs[at];
        match *output {
            LinkOutput::Dial { attempt, address: NOWHERE, .. } => {
                self.later(3_000, Happening::NoAnswer { to: at, run, attempt });
            }
            LinkOutput::Dial { attempt, address, .. } => {
                if address < RELAYED {
                    self.sent[at] = Some(self.now);
                }
                self.later(80, Happening::Knock { from: at, run, attempt, address });
            }
            LinkOutput::Meet { .. } => (0..2).for_each(|at| self.later(80, Happening::Meet { at })),
            LinkOutput::Cancel { attempt } => drop(self.cancelled.insert((at, run, attempt))),
            LinkOutput::Close { connection, .. } => self.close(at, connection),
            LinkOutput::Up { .. } => self.ups[at] += 1,
            LinkOutput::Down { .. } => self.downs[at] += 1,
            LinkOutput::Moved { .. } | LinkOutput::Failed { .. } => {}
        }
    }

    fn close(&mut self, at: usize, connection: ConnectionId) {
        self.open[at].remove(&connection);
        self.later(80, Happening::Closed { at: 1 - at, connection });
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Knock { from, run, attempt, address } => {
                // An attempt that was given up in time leaves no trace; one that was not is accepted all the same.
                let given_up = self.cancelled.contains(&(from, run, attempt)) && self.below(2) == 0;
                if self.runs[from] != run || given_up {
                    return;
                }
                let to = 1 - from;
                let open = |sent: Option<u64>| sent.is_some_and(|sent| self.now < sent + PINHOLE);
                if self.walled && address < RELAYED && !open(self.sent[to]) {
                    return self.later(3_000, Happening::NoAnswer { to: from, run, attempt });
                }
                self.last += 1;
                let connection = ConnectionId(self.last);
                self.open[to].insert(connection);
                let place = u16::try_from(from).unwrap() + if address < RELAYED { 100 } else { address };
                let seen = Connected { connection, life: Life(run), address: place };
                let greeting = Happening::Greeting { to: from, run, attempt, connection, life: self.runs[to], address };
                self.later(80, greeting);
                self.step(to, LinkInput::Accepted { peer: name(from), connected: seen });
            }
            Happening::Greeting { to, run, attempt, connection, life, address } => {
                if self.runs[to] != run {
                    return self.later(6_000, Happening::Closed { at: 1 - to, connection });
                }
                let made = self.open[1 - to].contains(&connection) && self.runs[1 - to] == life;
                if made {
                    self.open[to].insert(connection);
                }
                let outcome = if made {
                    Ok(Connected { connection, life: Life(life), address })
                } else {
                    Err(DialFailure::Broken)
                };
                self.step(to, LinkInput::Attempted { peer: name(1 - to), attempt, outcome });
            }
            Happening::NoAnswer { to, run, attempt } => {
                if self.runs[to] == run {
                    let outcome = Err(DialFailure::NoAnswer);
                    self.step(to, LinkInput::Attempted { peer: name(1 - to), attempt, outcome });
                }
            }
            Happening::Closed { at, connection } => {
                if self.open[at].remove(&connection) {
                    self.step(at, LinkInput::Closed { peer: name(1 - at), connection });
                }
            }
            Happening::Want { at } => {
                self.step(at, LinkInput::Want { peer: name(1 - at), urgency: Urgency::Request });
            }
            Happening::Meet { at } => {
                self.step(at, LinkInput::Meet { peer: name(1 - at), addresses: vec![1, NOWHERE] });
            }
            Happening::Kill { at } => {
                if let Some(connection) = self.open[at].first().copied() {
                    self.close(at, connection);
                    self.step(at, LinkInput::Closed { peer: name(1 - at), connection });
                }
            }
            Happening::Restart { at } => self.restart(at),
        }
    }

    fn restart(&mut self, at: usize) {
        self.runs[at] += 1;
        self.ends[at] = bench(at);
        for connection in std::mem::take(&mut self.open[at]) {
            self.later(6_000, Happening::Closed { at: 1 - at, connection });
        }
    }

    /// Lets everything happen up to a moment, ticks included.
    fn run_until(&mut self, until: u64) {
        loop {
            let next = self.queue.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
            let ticks = [0, 1].map(|at| self.ends[at].links.next_deadline().map_or(u64::MAX, |deadline| deadline.0));
            let tick = ticks[0].min(ticks[1]);
            if next.min(tick) > until {
                break;
            }
            if tick < next {
                self.now = self.now.max(tick);
                self.step(usize::from(ticks[1] == tick), LinkInput::Tick);
            } else if let Some((_, happening)) = self.queue.pop_first() {
                self.now = self.now.max(next);
                self.happen(happening);
            }
        }
        self.now = until;
    }
}

fn name(at: usize) -> u32 {
    u32::try_from(at).unwrap()
}

fn bench(at: usize) -> Bench {
    let mut bench = Bench::new(name(at));
    bench.step(LinkInput::Learn { peer: name(1 - at), origin: Origin::Said, addresses: vec![NOWHERE, 1, 2, RELAYED] });
    bench
}

/// Both have the same connection, a direct one, and no other is open.
fn agree(pair: &mut Pair, seed: u64) {
    // For so long a relayed one goes on beside the direct one.
    pair.run_until(pair.now + 160_000_000);
    let links = [0, 1].map(|at| pair.ends[at].links.connection(&name(1 - at)));
    assert!(links[0].is_some() && links[0] == links[1], "seed {seed}: {links:?}");
    let only: BTreeSet<ConnectionId> = links[0].into_iter().collect();
    assert_eq!(pair.open, [only.clone(), only], "seed {seed}: nothing else is left open");
    let relayed = [0, 1].map(|at| pair.ends[at].links.runs_through_a_relay(&name(1 - at)));
    assert_eq!(relayed, [false, false], "seed {seed}");
}

/// Nothing breaks; both only dial when they like.
fn meet(seed: u64, walled: bool) {
    let mut pair = Pair::new(seed, walled);
    for _ in 0..8 {
        let at = usize::try_from(pair.below(2)).unwrap();
        pair.later(600, Happening::Want { at });
    }
    pair.run_until(20_000_000);
    agree(&mut pair, seed);
    assert_eq!((pair.ups, pair.downs), ([1, 1], [0, 0]), "seed {seed}: a link that came up stays");
}

fn survive(seed: u64, walled: bool) {
    let mut pair = Pair::new(seed, walled);
    let chaos_ms = u64::try_from(CHAOS.as_millis()).unwrap();
    for _ in 0..20 {
        let at = usize::try_from(pair.below(2)).unwrap();
        let happening = match pair.below(10) {
            0 => Happening::Restart { at },
            1 | 2 => Happening::Kill { at },
            _ => Happening::Want { at },
        };
        pair.later(chaos_ms, happening);
    }
    pair.run_until(chaos_ms * 1_000);
    // A connection of a life before may linger for as long as silence is borne.
    let calm = pair.now + 8_000_000;
    while pair.now < calm {
        (0..2).for_each(|at| pair.happen(Happening::Want { at }));
        pair.run_until(pair.now + 500_000);
    }
    pair.run_until(pair.now + 3_000_000);
    agree(&mut pair, seed);
}

// One seed alone: `meet(SEED, WALLED)`, `survive(SEED, WALLED)`.

#[test]
fn two_that_dial_each_other_have_one_link_and_never_lose_it() {
    (0..5_000).for_each(|seed| meet(seed, seed % 2 == 1));
}

#[test]
fn both_ends_agree_once_it_is_calm() {
    (0..2_000).for_each(|seed| survive(seed, seed % 2 == 1));
}
