//! The form of a directed case: steps that are done one after the other, on nodes that were given names.

use super::spec::{maybe_span, span, write_maybe_span, write_span};
use crate::sim::post::Kind;
use crate::sim::time::{Micros, S};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// One step. No time passes between two of them but in those that wait.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Step {
    /// Gives nodes of the first region names, by what they are now.
    Cast(BTreeMap<String, Part>),
    /// Remembers which registers, placements and promises nodes have: conditions compare with the last time.
    Mark,
    /// Cuts the network between two groups.
    Cut(Sides),
    /// One group does not hear the other, but is heard.
    Deafen(Sides),
    /// All cuts heal.
    Heal,
    /// Letters of some kinds wait from here on.
    Hold(Letters),
    /// They are lost from here on.
    Lose(Letters),
    /// Letters travel again, and those that waited arrive.
    Release,
    /// The power of nodes goes.
    Crash(Names),
    /// Processes end in order and come back later.
    Stop(Names),
    /// Nodes announce that they take no more work.
    Drain(Names),
    /// Nodes leave for good.
    Leave(Names),
    /// Processes start from what is on their disks.
    Start(Names),
    /// A process stands still; its clocks go on.
    Pause(Standstill),
    /// A machine stands still, its monotonic clock with it.
    Suspend(Standstill),
    /// Writes of a node take so long; 0 makes the disk well again.
    SlowDisk(SlowDisk),
    /// A policy that asks for another placement than the last is announced at a node.
    Policy(Names),
    /// Operators ask the members of the first region, and have its cell go on if no quorum of its voters is left.
    Recover,
    /// A copy of what is on a node's disk is put aside.
    CopyDisk(Names),
    /// The disk of a node that does not run holds what the copy holds.
    RestoreDisk(Names),
    /// Time passes.
    #[serde(deserialize_with = "span", serialize_with = "write_span")]
    Wait(Micros),
    /// Time passes until something is so, event by event; if it does not come to that, the sequence was not reached.
    Until(Condition),
    /// It has to be so now.
    Check(Condition),
    /// For a while it must not become so, looked at after every event.
    Never(Condition),
}

/// What a node has to be to get a name. Names are given in alphabetical order, the holder first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// It holds the lease.
    Holder,
    /// It votes and has no name yet; of several the one whose turn to lead comes first.
    Voter,
    /// It runs, does not vote and has no name yet.
    Member,
    /// A change of voters that somebody accepted, and does not know to be decided, adds it; it has no name yet.
    Newcomer,
    /// It has never run and has no name yet.
    Joiner,
}

/// Names, with blanks between them; `all` are those with a name, `others` those of the first region without, and `everybody`
/// is everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(text.split_whitespace().map(str::to_owned).collect()))
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.join(" "))
    }
}

/// Two groups.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sides {
    /// One; of those that do not hear the other.
    pub(crate) from: Names,
    /// The other.
    pub(crate) to: Names,
}

/// Letters of some kinds from some nodes to others.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Letters {
    /// Who sends them.
    pub(crate) from: Names,
    /// Who would get them.
    pub(crate) to: Names,
    /// Which.
    pub(crate) kinds: Vec<Kind>,
}

/// How long a node stands still.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standstill {
    /// Which.
    pub(crate) node: Names,
    /// How long.
    #[serde(rename = "for", deserialize_with = "span", serialize_with = "write_span")]
    pub(crate) span: Micros,
}

/// How slow a disk is.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlowDisk {
    /// Of which nodes.
    pub(crate) node: Names,
    /// How many times longer than usual writes take.
    pub(crate) times: u64,
}

/// What may be so. Of what is given here all has to be so at once.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Condition {
    /// One of them truly holds the lease; `nobody` where nobody may.
    pub(crate) leads: Option<Names>,
    /// The lease that runs ends within that.
    #[serde(
        default,
        deserialize_with = "maybe_span",
        serialize_with = "write_maybe_span",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) lease_below: Option<Micros>,
    /// So many vote, as all know who run and have a name.
    pub(crate) voters: Option<usize>,
    /// These vote, as all know who run and have a name.
    pub(crate) votes: Option<Names>,
    /// These have accepted one value, which they do not know to be decided.
    pub(crate) accepted: Option<Names>,
    /// These have accepted different values, which they do not know to be decided.
    pub(crate) at_odds: Option<Names>,
    /// These have accepted nothing that they do not know to be decided.
    pub(crate) not_accepted: Option<Names>,
    /// These know of a slot that was decided after the mark.
    pub(crate) decided: Option<Names>,
    /// These do not.
    pub(crate) undecided: Option<Names>,
    /// The registers of these end alike, and they follow one placement.
    pub(crate) alike: Option<Names>,
    /// The placement that these follow is that of the mark.
    pub(crate) unmoved: Option<Names>,
    /// These have promised a higher term than at the mark.
    pub(crate) promised: Option<Names>,
    /// No promise of these to anybody binds any more.
    pub(crate) free: Option<Names>,
    /// These have writes that are not durable.
    pub(crate) unsynced: Option<Names>,
    /// All that these wrote is durable.
    pub(crate) synced: Option<Names>,
    /// All others who run and have a name see these down.
    pub(crate) down: Option<Names>,
    /// All others who run and have a name see these alive.
    pub(crate) alive: Option<Names>,
    /// So many letters wait.
    pub(crate) held: Option<usize>,
    /// That path was taken since the mark, or since the first step without one.
    pub(crate) sometimes: Option<String>,
    /// How long it may take, or has to be looked at.
    #[serde(default = "soon", deserialize_with = "span", serialize_with = "write_span")]
    pub(crate) within: Micros,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = toml::Value::try_from(self).map_err(|_unwritable| fmt::Error)?;
        write!(f, "{table}")
    }
}

fn soon() -> Micros {
    10 * S
}
