//! `sim run placement`: what jitter, a departure and an arrival move, by the choice that nodes make themselves.
//!
//! No mesh is driven: the choice is a pure function, so it is asked directly, with round trips from the simulator's
//! geography, for as many groups as a mesh of many cells has.

use super::command::{RunArguments, Said, in_parallel, printed, processors};
use super::dice::Dice as _;
use super::geography::{Geography, Place, Spot, Spread};
use super::time::{MS, Micros};
use anyhow::bail;
use comfy_table::{Table, presets};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::membership::{Role, Roles};
use hedgerow_attest::name::{FailureDomain, NodeClass};
use hedgerow_attest::region::Region;
use hedgerow_protocol::placement::{
    Availability, Choice, Fence, Field, Host, Incumbents, Note, RttBucket, Rule, TrustClass,
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use serde::Serialize;
use std::collections::BTreeSet;

/// What is typed after `sim run`.
pub(super) const NAME: &str = "placement";

/// What `sim list` says of it.
pub(super) const ABOUT: &str = "what jitter, a node that leaves and a node that joins move, by the choice itself";

const NODES: u32 = 100;
const GROUPS: usize = 1_000;
const COPIES: u8 = 3;
const SEEDS: u64 = 5;
/// Sites in each region, each of which fails as one.
const SITES: u64 = 5;
/// How often every round trip is measured again.
const ROUNDS: usize = 20;
/// How far a measurement is off, in either direction.
const JITTER_US: Micros = 2 * MS;
/// What a node that leaves may move, as a ratio to what it held.
const RATIO_MAX: f64 = 1.05;

/// Regions and where they are. Each is the home of every fifth group.
const REGIONS: [(&str, Place); 5] = [
    ("de", Place { latitude: 50.1, longitude: 8.7 }),
    ("fr", Place { latitude: 48.9, longitude: 2.4 }),
    ("uk", Place { latitude: 51.5, longitude: -0.1 }),
    ("us", Place { latitude: 40.7, longitude: -74.0 }),
    ("jp", Place { latitude: 35.7, longitude: 139.7 }),
];

/// Nodes with places, seen from each region.
struct World {
    hosts: Vec<Host>,
    /// Round trips in microseconds, by home region and node.
    rtts_us: Vec<Vec<u64>>,
    groups: usize,
}

/// Holders of all groups, and the buckets under which they were chosen, by home region and node.
struct Placed {
    choices: Vec<Choice>,
    buckets: Vec<Vec<RttBucket>>,
}

/// What one seed showed.
#[derive(Debug, Clone, Serialize)]
struct Row {
    seed: u64,
    places: usize,
    moved_by_jitter: usize,
    moved_by_jitter_drawn_afresh: usize,
    nearest_would_move: usize,
    leave_ratio_mean: f64,
    leave_ratio_max: f64,
    join_ratio: f64,
    busiest: f64,
    shared_domains: usize,
}

/// Everything that is printed.
#[derive(Debug, Clone, Serialize)]
struct Report {
    scenario: &'static str,
    about: &'static str,
    nodes: u32,
    groups: usize,
    copies: u8,
    jitter_ms: u64,
    runs: Vec<Row>,
    moved_by_jitter_max: usize,
    leave_ratio_max: f64,
    holds: bool,
}

/// Measures and reports.
pub(super) fn run(arguments: &RunArguments) -> anyhow::Result<Said> {
    let nodes = arguments.nodes.unwrap_or(NODES);
    if !(2..=1_000).contains(&nodes) {
        bail!("scenario {NAME} with {nodes} nodes: ask for 2 to 1000 with --nodes");
    }
    let seeds: Vec<u64> = (arguments.seed..arguments.seed + arguments.seeds.unwrap_or(SEEDS)).collect();
    let threads = arguments.jobs.unwrap_or_else(processors);
    let report = Report::new(nodes, GROUPS, in_parallel(&seeds, threads, |seed| measure(*seed, nodes, GROUPS)));
    Ok(Said { text: printed(arguments, &report, || report.text())?, holds: report.holds })
}

fn measure(seed: u64, nodes: u32, groups: usize) -> Row {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let world = World::new(nodes, groups, &mut rng);
    let before = world.place(&world.hosts, None, &world.buckets());
    let places = before.choices.iter().map(|choice| choice.nodes.len()).sum();
    let (mut kept, mut afresh, mut nearest) = (0, 0, 0);
    for _ in 0..ROUNDS {
        let jittered = world.jittered(&mut rng);
        let buckets = before.settle(&jittered);
        kept = kept.max(moved(&before, &world.place(&world.hosts, Some(&before), &buckets)));
        afresh = afresh.max(moved(&before, &world.place(&world.hosts, None, &buckets)));
        nearest = nearest.max(world.nearest_moved(&jittered));
    }
    let holders: Vec<&Host> = world.hosts.iter().filter(|host| before.held(&host.node) > 0).collect();
    let ratios: Vec<f64> = holders.iter().map(|host| world.leave_ratio(&before, &host.node)).collect();
    let weight: u64 = world.hosts.iter().map(|host| u64::from(host.weight)).sum();
    let load = |host: &Host| before.held(&host.node) as f64 * weight as f64 / (places as f64 * f64::from(host.weight));
    let shared = |choice: &&Choice| choice.notes.iter().any(|note| matches!(note, Note::SharedDomain { .. }));
    Row {
        seed,
        places,
        moved_by_jitter: kept,
        moved_by_jitter_drawn_afresh: afresh,
        nearest_would_move: nearest,
        leave_ratio_mean: ratios.iter().sum::<f64>() / ratios.len() as f64,
        leave_ratio_max: ratios.iter().copied().fold(0.0, f64::max),
        join_ratio: world.join_ratio(&before),
        busiest: world.hosts.iter().map(load).fold(0.0, f64::max),
        shared_domains: before.choices.iter().filter(shared).count(),
    }
}

impl World {
    fn new(nodes: u32, groups: usize, rng: &mut ChaCha8Rng) -> Self {
        let geography = Geography::new(&REGIONS.map(|(_, place)| place));
        let homes: Vec<Spot> = (0..REGIONS.len()).map(|region| Geography::spot(region, Spread::Region, rng)).collect();
        let mut hosts = Vec::new();
        let mut spots = Vec::new();
        for number in 0..nodes {
            let region = number as usize % REGIONS.len();
            spots.push(Geography::spot(region, Spread::Region, rng));
            hosts.push(host(number, REGIONS[region].0, rng));
        }
        let rtt = |home: &Spot, spot: &Spot| 2 * geography.one_way_us(home, spot);
        let rtts_us = homes.iter().map(|home| spots.iter().map(|spot| rtt(home, spot)).collect()).collect();
        Self { hosts, rtts_us, groups }
    }

    /// Every node in the bucket of what was measured first.
    fn buckets(&self) -> Vec<Vec<RttBucket>> {
        self.rtts_us.iter().map(|row| row.iter().map(|rtt_us| RttBucket::of(*rtt_us)).collect()).collect()
    }

    fn jittered(&self, rng: &mut ChaCha8Rng) -> Vec<Vec<u64>> {
        let mut measure = |rtt_us: &u64| (rtt_us + rng.within((0, 2 * JITTER_US))).saturating_sub(JITTER_US);
        self.rtts_us.iter().map(|row| row.iter().map(&mut measure).collect()).collect()
    }

    /// The holders of all groups among these hosts.
    fn place(&self, hosts: &[Host], before: Option<&Placed>, buckets: &[Vec<RttBucket>]) -> Placed {
        let rule = rule();
        let bucket = |home: usize, host: &Host| Host { bucket: buckets[home][number(&host.node)], ..host.clone() };
        let seen: Vec<Vec<Host>> =
            (0..REGIONS.len()).map(|home| hosts.iter().map(|host| bucket(home, host)).collect()).collect();
        let fields: Vec<Field<'_>> = seen.iter().map(|hosts| Field::new(&rule, hosts)).collect();
        let known = before.map_or(&[][..], |before| &before.choices);
        let established: BTreeSet<NodeId> = known.iter().flat_map(|choice| choice.nodes.iter().copied()).collect();
        let choose = |group: usize| {
            let holders = known.get(group).map_or(&[][..], |choice| &choice.nodes);
            let incumbents = Incumbents { holders, established: &established };
            fields[group % REGIONS.len()].choose(&group.to_be_bytes(), incumbents)
        };
        Placed { choices: (0..self.groups).map(choose).collect(), buckets: buckets.to_vec() }
    }

    fn leave_ratio(&self, before: &Placed, leaver: &NodeId) -> f64 {
        let rest: Vec<Host> = self.hosts.iter().filter(|host| host.node != *leaver).cloned().collect();
        let after = self.place(&rest, Some(before), &before.buckets);
        moved(before, &after) as f64 / before.held(leaver) as f64
    }

    /// What the last node to join moves, as a ratio to what it then holds.
    fn join_ratio(&self, complete: &Placed) -> f64 {
        let Some((newcomer, rest)) = self.hosts.split_last() else { return 0.0 };
        let before = self.place(rest, None, &complete.buckets);
        let after = self.place(&self.hosts, Some(&before), &complete.buckets);
        moved(&before, &after) as f64 / after.held(&newcomer.node).max(1) as f64
    }

    /// What a choice of the nearest would move between two measurements: that the jitter is felt at all.
    fn nearest_moved(&self, jittered: &[Vec<u64>]) -> usize {
        let nearest = |row: &[u64]| -> BTreeSet<usize> {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by_key(|node| (row[*node], *node));
            order.into_iter().take(usize::from(COPIES)).collect()
        };
        let homes = self.rtts_us.iter().zip(jittered).map(|(before, after)| (nearest(before), nearest(after)));
        let moved: Vec<usize> = homes.map(|(before, after)| after.difference(&before).count()).collect();
        (0..self.groups).map(|group| moved[group % moved.len()]).sum()
    }
}

impl Placed {
    fn held(&self, node: &NodeId) -> usize {
        self.choices.iter().filter(|choice| choice.nodes.contains(node)).count()
    }

    fn settle(&self, rtts_us: &[Vec<u64>]) -> Vec<Vec<RttBucket>> {
        let settle = |(bucket, rtt_us): (&RttBucket, &u64)| bucket.settle(*rtt_us);
        self.buckets.iter().zip(rtts_us).map(|(row, rtts)| row.iter().zip(rtts).map(settle).collect()).collect()
    }
}

impl Report {
    fn new(nodes: u32, groups: usize, runs: Vec<Row>) -> Self {
        let moved_by_jitter_max = runs.iter().map(|run| run.moved_by_jitter).max().unwrap_or(0);
        let leave_ratio_max = runs.iter().map(|run| run.leave_ratio_max).fold(0.0, f64::max);
        Self {
            scenario: NAME,
            about: ABOUT,
            nodes,
            groups,
            copies: COPIES,
            jitter_ms: JITTER_US / MS,
            runs,
            moved_by_jitter_max,
            leave_ratio_max,
            holds: moved_by_jitter_max == 0 && leave_ratio_max <= RATIO_MAX,
        }
    }

    fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([
            "SEED",
            "PLACES",
            "JITTER",
            "AFRESH",
            "NEAREST",
            "LEAVE MEAN",
            "LEAVE MAX",
            "JOIN",
            "BUSIEST",
        ]);
        for run in &self.runs {
            table.add_row([
                run.seed.to_string(),
                run.places.to_string(),
                run.moved_by_jitter.to_string(),
                run.moved_by_jitter_drawn_afresh.to_string(),
                run.nearest_would_move.to_string(),
                format!("{:.3}", run.leave_ratio_mean),
                format!("{:.3}", run.leave_ratio_max),
                format!("{:.3}", run.join_ratio),
                format!("{:.2}", run.busiest),
            ]);
        }
        let rows = table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n");
        let verdict = |holds: bool| if holds { "ok" } else { "MISSED" };
        format!(
            "{NAME}: {ABOUT}\n{} nodes in {} regions, {} groups of {} copies; places moved by {} ms of jitter (with \
             holders, drawn afresh, and if the nearest held), by a node that leaves and one that joins (ratio to what it \
             held or holds), load of the busiest (ratio to its weight)\n{rows}\n\
             moved by jitter: {} of 0 allowed, {}\nmoved by a node that leaves: {:.3} of {RATIO_MAX} allowed, {}",
            self.nodes,
            REGIONS.len(),
            self.groups,
            self.copies,
            self.jitter_ms,
            self.moved_by_jitter_max,
            verdict(self.moved_by_jitter_max == 0),
            self.leave_ratio_max,
            verdict(self.leave_ratio_max <= RATIO_MAX),
        )
    }
}

fn host(number: u32, region: &str, rng: &mut ChaCha8Rng) -> Host {
    let mut name = [0; 32];
    name[..4].copy_from_slice(&number.to_be_bytes());
    let (class, weight) = *rng.pick(&[("small", 2), ("edge", 4), ("server", 8)]).expect("three classes");
    Host {
        node: NodeId::from_bytes(name),
        region: Region::new(region).expect("a short name"),
        class: NodeClass::new(class).expect("a short name"),
        roles: Roles::all(),
        trust: TrustClass::SelfAsserted,
        availability: Availability::Available,
        free_mib: None,
        weight,
        bucket: RttBucket::NEAREST,
        domain: Some(FailureDomain::new(&format!("{region}-{}", rng.below(SITES))).expect("a short word")),
    }
}

fn rule() -> Rule {
    Rule {
        copies: COPIES,
        role: Role::Replica,
        regions: Fence::All,
        classes: Fence::All,
        trust: TrustClass::SelfAsserted,
        free_mib: 0,
    }
}

fn number(node: &NodeId) -> usize {
    let first = node.as_bytes().first_chunk::<4>().expect("32 bytes");
    u32::from_be_bytes(*first) as usize
}

/// Places that are in the second table and not in the first.
fn moved(before: &Placed, after: &Placed) -> usize {
    let gained = |(old, new): (&Choice, &Choice)| new.nodes.iter().filter(|node| !old.nodes.contains(node)).count();
    before.choices.iter().zip(&after.choices).map(gained).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_moves_nothing_and_a_departure_what_was_held() {
        let row = measure(1, 30, 60);
        assert_eq!((row.places, row.moved_by_jitter, row.moved_by_jitter_drawn_afresh), (180, 0, 0));
        assert_eq!((row.leave_ratio_mean, row.leave_ratio_max, row.join_ratio), (1.0, 1.0, 1.0));
        assert!(row.nearest_would_move > 0, "the jitter is felt");
        let report = Report::new(30, 60, vec![row.clone()]);
        assert!(report.holds && report.text().contains("moved by jitter: 0 of 0 allowed, ok"));
        let shaken = Report::new(30, 60, vec![row.clone(), Row { seed: 2, moved_by_jitter: 1, ..row }]);
        assert!(!shaken.holds && shaken.text().contains("moved by jitter: 1 of 0 allowed, MISSED"));
        let moved = Report::new(30, 60, vec![Row { leave_ratio_max: 1.06, ..row }]);
        assert!(!moved.holds && moved.text().contains("leaves: 1.060 of 1.05 allowed, MISSED"));
    }

    #[test]
    fn a_seed_gives_the_same_figures_again() {
        let json = |seed| serde_json::to_string(&measure(seed, 20, 20)).unwrap();
        assert_eq!(json(3), json(3));
        assert_ne!(json(3), json(4));
    }
}
