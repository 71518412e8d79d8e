//! The figures, and whether they are as they should be.

use std::ops::RangeInclusive;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::sim::Samples;

/// What was measured of processes, and what the simulator says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Nodes in the one region.
    pub(super) nodes: u16,
    /// Of the choice of victims, and of the simulation.
    pub(super) seed: u64,
    /// UDP payload that nodes sent while nothing happened.
    pub(super) idle: Idle,
    /// Seconds from a kill until the last other node saw it down.
    pub(super) crash_known_s: Seconds,
    /// How much sooner than stated a crash may have been known, at most: looks are apart, and answers take time.
    pub(super) uncertain_s_max: f64,
    /// The same as `crash_known_s`, in the simulator.
    pub(super) simulated_crash_known_s: Seconds,
    /// Median of the processes over the median of the simulator.
    pub(super) median_ratio: f64,
}

/// What idle nodes send.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Idle {
    /// For how long it was counted.
    pub(super) counted_s: f64,
    /// Over all nodes.
    pub(super) bytes_per_s_mean: f64,
    /// Of the node that sent most.
    pub(super) bytes_per_s_max: f64,
    /// Of each, the loudest first.
    pub(super) nodes: Vec<IdleNode>,
}

/// What one idle node sends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct IdleNode {
    /// `n1` and so on.
    pub(super) name: String,
    /// UDP payload.
    pub(super) bytes_per_s: f64,
    /// Whether it holds the lease of the cell.
    pub(super) is_holder: bool,
}

/// Durations, summed up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Seconds {
    n: usize,
    median: f64,
    p90: f64,
    largest: f64,
}

impl Figures {
    /// Both sides by side; nothing where one of them has no crash.
    pub(super) fn new(nodes: u16, seed: u64, idle: Idle, seen: &Seen, simulated: &Samples) -> Option<Self> {
        let crash_known_s = Seconds::of(&seen.known)?;
        let simulated_crash_known_s = Seconds::of(simulated)?;
        let median_ratio = crash_known_s.median / simulated_crash_known_s.median;
        let uncertain_s_max = seen.uncertain_s_max;
        Some(Self { nodes, seed, idle, crash_known_s, uncertain_s_max, simulated_crash_known_s, median_ratio })
    }

    /// What is out of its bounds, in words.
    pub(super) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if !RATIO.contains(&self.median_ratio) {
            let (least, most) = (RATIO.start(), RATIO.end());
            missed.push(format!("the medians' ratio is {:.3}, not within {least} and {most}", self.median_ratio));
        }
        if self.idle.bytes_per_s_max > IDLE_BYTES_PER_S_MAX {
            let most = self.idle.bytes_per_s_max;
            missed.push(format!("an idle node sent {most:.0} B/s, more than {IDLE_BYTES_PER_S_MAX:.0}"));
        }
        missed
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["CRASH KNOWN, S", "N", "MEDIAN", "P90", "LARGEST"]);
        table.add_row(self.crash_known_s.row("processes"));
        table.add_row(self.simulated_crash_known_s.row("simulator"));
        let rows = table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n");
        let Self { nodes, seed, idle, median_ratio, uncertain_s_max, .. } = self;
        format!(
            "{nodes} nodes in one region, seed {seed}\n{rows}\n\
             ratio of the medians: {median_ratio:.3}; known at most {uncertain_s_max:.3} s sooner than seen\n\
             UDP payload sent per idle node in {:.0} s: mean {:.0} B/s, largest {}",
            idle.counted_s,
            idle.bytes_per_s_mean,
            idle.nodes.iter().take(LOUDEST).map(IdleNode::text).collect::<Vec<_>>().join(", ")
        )
    }
}

/// What was seen of the crashes of processes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// One per crash.
    pub(super) known: Samples,
    /// How much sooner one of them may have been known, at most.
    pub(super) uncertain_s_max: f64,
}

impl Idle {
    /// Of each node; nothing without nodes.
    pub(super) fn of(counted_s: f64, mut nodes: Vec<IdleNode>) -> Option<Self> {
        nodes.sort_by(|a, b| b.bytes_per_s.total_cmp(&a.bytes_per_s));
        let bytes_per_s_max = nodes.first()?.bytes_per_s;
        let bytes_per_s_mean = nodes.iter().map(|node| node.bytes_per_s).sum::<f64>() / nodes.len() as f64;
        Some(Self { counted_s, bytes_per_s_mean, bytes_per_s_max, nodes })
    }
}

impl IdleNode {
    fn text(&self) -> String {
        let holds = if self.is_holder { ", holder of the lease" } else { "" };
        format!("{:.0} B/s ({}{holds})", self.bytes_per_s, self.name)
    }
}

impl Seconds {
    /// Nothing without samples.
    fn of(samples: &Samples) -> Option<Self> {
        let seconds = |percent: u64| Some(samples.percentile(percent)? as f64 / 1e6);
        Some(Self { n: samples.len(), median: seconds(50)?, p90: seconds(90)?, largest: seconds(100)? })
    }

    fn row(&self, of: &str) -> [String; 5] {
        let [median, p90, largest] = [self.median, self.p90, self.largest].map(|value| format!("{value:.3}"));
        [of.to_owned(), self.n.to_string(), median, p90, largest]
    }
}

/// Nodes that are named because they send most.
const LOUDEST: usize = 3;

/// How far a mesh of processes may be from its simulation.
const RATIO: RangeInclusive<f64> = 0.8..=1.2;

/// What a node may send that has nothing to do.
const IDLE_BYTES_PER_S_MAX: f64 = 2000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_compared_and_what_is_out_of_bounds_is_named() {
        let idle = Idle::of(30.0, vec![node("n1", 900.0), IdleNode { is_holder: true, ..node("n2", 1100.0) }])
            .expect("two nodes");
        let seen = Seen { known: samples(&[4500, 3000, 3750, 3250]), uncertain_s_max: 0.125 };
        let simulated = samples(&[3000, 2500, 3500]);
        let figures = Figures::new(5, 1, idle.clone(), &seen, &simulated).expect("crashes on both sides");
        assert_eq!(figures.missed(), [""; 0]);
        assert_eq!(
            figures.text(),
            "5 nodes in one region, seed 1\n\
             CRASH KNOWN, S  N  MEDIAN  P90    LARGEST\n\
             processes       4  3.250   4.500  4.500\n\
             simulator       3  3.000   3.500  3.500\n\
             ratio of the medians: 1.083; known at most 0.125 s sooner than seen\n\
             UDP payload sent per idle node in 30 s: mean 1000 B/s, largest 1100 B/s (n2, holder of the lease), 900 B/s (n1)"
        );
        let loud = Idle { bytes_per_s_max: 2001.0, ..idle };
        let far = Figures::new(5, 1, loud, &seen, &samples(&[2000])).expect("crashes on both sides");
        assert_eq!(
            far.missed(),
            ["the medians' ratio is 1.625, not within 0.8 and 1.2", "an idle node sent 2001 B/s, more than 2000",]
        );
    }

    #[test]
    fn without_a_crash_there_is_nothing_to_compare() {
        let idle = Idle::of(30.0, vec![node("n1", 900.0)]).expect("a node");
        assert_eq!(Figures::new(5, 1, idle, &Seen::default(), &samples(&[3000])), None);
        assert_eq!(Idle::of(30.0, Vec::new()), None);
    }

    fn samples(ms: &[u64]) -> Samples {
        let mut samples = Samples::default();
        ms.iter().for_each(|ms| samples.take(ms * 1_000));
        samples
    }

    fn node(name: &str, bytes_per_s: f64) -> IdleNode {
        IdleNode { name: name.to_owned(), bytes_per_s, is_holder: false }
    }
}
