//! The form of a scenario file.

use super::expect::Expectation;
use super::fault::FaultKind;
use super::step::Step;
use crate::sim::bugs::Planted;
use crate::sim::geography::{Place, Spread};
use crate::sim::mesh::RegionPlan;
use crate::sim::oracle::Invariant;
use crate::sim::parcel::WireMode;
use crate::sim::time::{MINUTE, Micros};
use hedgerow_protocol::core::DivisionConfig;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::time::Duration;

/// A scenario: cases that share a purpose.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it shows.
    pub(crate) about: String,
    /// Its cases, each run with every seed.
    #[serde(rename = "case")]
    pub(crate) cases: Vec<Case>,
}

/// One mesh and what happens to it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Names it within its scenario.
    pub(crate) name: String,
    /// Runs, with consecutive seeds.
    #[serde(default = "one")]
    pub(crate) seeds: u64,
    /// How long it runs after the mesh has formed, and after its steps.
    #[serde(rename = "for", deserialize_with = "span", serialize_with = "write_span")]
    pub(crate) span: Micros,
    /// How long the formed mesh is left alone first, so that it has all its voters.
    #[serde(default = "minute", deserialize_with = "span", serialize_with = "write_span")]
    pub(crate) settle: Micros,
    /// How long after the last fault everything has to be well again; not looked at when absent.
    #[serde(
        default,
        deserialize_with = "maybe_span",
        serialize_with = "write_maybe_span",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) calm: Option<Micros>,
    /// How messages are handed over.
    #[serde(default)]
    pub(crate) wire: WireMode,
    /// Which settings the nodes have.
    #[serde(default)]
    pub(crate) preset: Preset,
    /// Whether bytes are counted.
    #[serde(default)]
    pub(crate) metered: bool,
    /// Whether nodes keep anything on their disks; nobody can be restarted where they do not.
    #[serde(default = "yes")]
    pub(crate) disks: bool,
    /// Whether every seed is run twice and must leave the same digest.
    #[serde(default)]
    pub(crate) twice: bool,
    /// Clients in each region that write to sessions and read them.
    #[serde(default)]
    pub(crate) clients: u32,
    /// When cells split and merge, if other than on nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) division: Option<DivisionSpec>,
    /// Talkers per node that are measured when it crashes.
    #[serde(default)]
    pub(crate) talkers: u32,
    /// The mesh.
    pub(crate) mesh: MeshSpec,
    /// The network.
    #[serde(default)]
    pub(crate) weather: WeatherSpec,
    /// What goes wrong.
    #[serde(default, rename = "fault")]
    pub(crate) faults: Vec<Fault>,
    /// What is done, one after the other, from the moment at which the mesh has settled.
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    /// Rules without which nodes break a promise in this very case, and the promise.
    #[serde(default, skip_serializing)]
    pub(crate) convicts: BTreeMap<Planted, Invariant>,
    /// What must come of it.
    #[serde(default, rename = "expect", skip_serializing)]
    pub(crate) expectations: Vec<Expectation>,
}

/// The mesh of a case: so many regions with so many nodes each, spread over the globe.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeshSpec {
    /// Regions, each one cell.
    #[serde(default = "one_region")]
    pub(crate) regions: u32,
    /// Nodes in each.
    pub(crate) nodes: u32,
    /// Of these, so many that have never run before and wait for a flash join.
    #[serde(default)]
    pub(crate) joiners: u32,
    /// How far the nodes of a region stand apart: `region`, or `none` for processes of one machine.
    #[serde(default)]
    pub(crate) spread: Spread,
}

/// When cells split and merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DivisionSpec {
    /// Members above which a cell is to be split.
    pub(crate) split_above: usize,
    /// For how long it must have had so many.
    #[serde(deserialize_with = "span", serialize_with = "write_span")]
    pub(crate) split_after: Micros,
    /// Members below which a cell is to be merged.
    pub(crate) merge_below: usize,
    /// For how long it must have had so few.
    #[serde(deserialize_with = "span", serialize_with = "write_span")]
    pub(crate) merge_after: Micros,
}

impl DivisionSpec {
    /// As nodes have it.
    pub(crate) fn config(self) -> DivisionConfig {
        DivisionConfig {
            split_above: self.split_above,
            split_after: Duration::from_micros(self.split_after),
            merge_below: self.merge_below,
            merge_after: Duration::from_micros(self.merge_after),
        }
    }
}

/// The network of a case.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WeatherSpec {
    /// Packets lost in each direction, in percent.
    pub(crate) loss_percent: f64,
    /// Packets that arrive twice, in percent.
    pub(crate) duplicate_percent: f64,
    /// Packets that arrive after later ones, in percent.
    pub(crate) late_percent: f64,
    /// Frames of which a bit is flipped, in percent; in byte mode only.
    pub(crate) flip_percent: f64,
    /// Longest random addition to a delay, in milliseconds.
    pub(crate) jitter_ms: u64,
}

impl Default for WeatherSpec {
    fn default() -> Self {
        Self { loss_percent: 0.0, duplicate_percent: 0.0, late_percent: 0.0, flip_percent: 0.0, jitter_ms: 3 }
    }
}

/// Settings of the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preset {
    /// Those of a node.
    #[default]
    Local,
    /// Members are probed in random order instead of by their ring.
    RandomProbing,
    /// Those for meshes of very many cells: no detail of other cells is kept.
    ManyCells,
}

/// Something that goes wrong, once or again and again.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// What.
    pub(crate) kind: FaultKind,
    /// To whom.
    #[serde(default)]
    pub(crate) who: Who,
    /// First time after the mesh has formed.
    #[serde(default, deserialize_with = "span", serialize_with = "write_span")]
    pub(crate) at: Micros,
    /// Mean time until it happens again in each region; once when absent.
    #[serde(
        default,
        deserialize_with = "maybe_span",
        serialize_with = "write_maybe_span",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) every: Option<Micros>,
    /// How long it lasts: an outage, a cut, a pause. For good when absent.
    #[serde(
        default,
        rename = "for",
        deserialize_with = "maybe_span",
        serialize_with = "write_maybe_span",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) span: Option<Micros>,
    /// The longest that it lasts, where that is random.
    #[serde(
        default,
        deserialize_with = "maybe_span",
        serialize_with = "write_maybe_span",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) up_to: Option<Micros>,
    /// Of a drift: by how many millionths clocks are wrong at most.
    #[serde(default)]
    pub(crate) ppm: u32,
}

/// Whom a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Who {
    /// One node of the region.
    #[default]
    One,
    /// The holder of the lease.
    Holder,
    /// A third of the region.
    Third,
    /// Nine of ten.
    Most,
    /// The whole region.
    All,
}

/// Centres of regions: places with many machines, in the order in which they are used; after the last comes the first,
/// moved by some hundred kilometres.
const PLACES: [(f64, f64); 19] = [
    (50.1, 8.7),
    (40.7, -74.0),
    (35.7, 139.7),
    (51.5, -0.1),
    (37.4, -122.1),
    (1.3, 103.8),
    (-23.5, -46.6),
    (-33.9, 151.2),
    (19.1, 72.9),
    (52.4, 4.9),
    (48.9, 2.4),
    (59.3, 18.1),
    (43.7, -79.4),
    (41.9, -87.6),
    (-26.2, 28.0),
    (40.4, -3.7),
    (32.8, -96.8),
    (22.3, 114.2),
    (52.2, 21.0),
];

impl Case {
    /// Each rule without which this case, the one in that place, must break a promise.
    pub(crate) fn trials(&self, place: usize) -> impl Iterator<Item = (usize, Planted, Invariant)> + '_ {
        self.convicts.iter().map(move |(planted, breaks)| (place, *planted, *breaks))
    }
}

impl MeshSpec {
    /// The same cells, as many as hold so many nodes; nothing when they do not come out even.
    pub(crate) fn with_nodes(self, nodes: u32) -> Option<Self> {
        let even = nodes > 0 && nodes.is_multiple_of(self.nodes);
        even.then_some(Self { regions: nodes / self.nodes, ..self })
    }

    /// The regions with names and places.
    pub(crate) fn regions(&self) -> Vec<RegionPlan> {
        let region = |at: u32| {
            let round = f64::from(at / PLACES.len() as u32);
            let (latitude, longitude) = PLACES[at as usize % PLACES.len()];
            let place = Place { latitude: latitude + round * 1.5, longitude: longitude + round * 2.0 };
            RegionPlan { name: format!("r{}", at + 1), nodes: self.nodes, place, spread: self.spread }
        };
        (0..self.regions).map(region).collect()
    }
}

fn minute() -> Micros {
    MINUTE
}

fn one() -> u64 {
    1
}

fn one_region() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// Reads `90s`, `10m`, `1h 30m`.
pub(super) fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
    let text = String::deserialize(deserializer)?;
    let span: SignedDuration = text.parse().map_err(serde::de::Error::custom)?;
    Micros::try_from(span.as_micros()).map_err(|_negative| serde::de::Error::custom("a span cannot be negative"))
}

pub(super) fn maybe_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Micros>, D::Error> {
    span(deserializer).map(Some)
}

/// Writes whole microseconds, which reads back exactly.
pub(super) fn write_span<S: Serializer>(span: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{span}us"))
}

#[expect(clippy::ref_option, reason = "serde asks for this form")]
pub(super) fn write_maybe_span<S: Serializer>(span: &Option<Micros>, serializer: S) -> Result<S::Ok, S::Error> {
    write_span(&span.unwrap_or(0), serializer)
}
