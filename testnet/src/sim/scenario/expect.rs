//! What must come of a case: a measure and its bound.

use crate::sim::oracle::{Measures, Samples, Tally};
use crate::sim::time::{DAY, Micros, S};
use serde::Deserialize;

/// A bound on something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// What is measured.
    pub(crate) measure: Measure,
    /// The most that it may be.
    pub(crate) at_most: f64,
    /// Samples without which it says nothing.
    #[serde(default)]
    pub(crate) samples: usize,
}

/// Something that is measured, in the unit that its name ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    /// Median time until a crash is known in the whole cell.
    CrashKnownP50S,
    /// The same, 99th percentile.
    CrashKnownP99S,
    /// 99th percentile of the time until all who talk to a crashed node route around it.
    RoutedAroundP99S,
    /// The same where a request is in flight.
    RoutedAroundInFlightP99S,
    /// Longest time until all see a node alive that came back.
    ReturnKnownMaxS,
    /// Median time from the crash of a holder to its successor.
    FailoverP50S,
    /// The same, 99th percentile.
    FailoverP99S,
    /// Longest time from a holder's announcement to its successor.
    HandoverMaxS,
    /// Longest time from the end of a cut to equal views.
    HealedMaxS,
    /// Members taken for down by mistake.
    FalseDowns,
    /// The same per node and day.
    FalseDownsPerNodeDay,
    /// Changes of the holder for no reason, per cell and day.
    FlapsPerCellDay,
    /// Departed or dead members that are not seen as such after ten minutes.
    Ghosts,
    /// Running members that are not seen alive after the network has healed.
    Forgotten,
    /// UDP payload sent per node and second.
    SentBytesPerS,
    /// Cells that were split, in the run in which most were.
    Splits,
    /// Cells that another took in, likewise.
    Mergers,
    /// Cells that operators had go on in another generation, likewise.
    Recoveries,
}

impl Measure {
    /// Its value, and how many samples or how much time (in the words that follow) stand behind it.
    pub(crate) fn of(self, measures: &Measures) -> (Option<f64>, usize, String) {
        let samples = |samples: &Samples, percent| {
            let value = samples.percentile(percent).map(seconds);
            (value, samples.len(), format!("{} samples", samples.len()))
        };
        match self {
            Self::CrashKnownP50S => samples(&measures.crash_known, 50),
            Self::CrashKnownP99S => samples(&measures.crash_known, 99),
            Self::RoutedAroundP99S => samples(&measures.routed_around, 99),
            Self::RoutedAroundInFlightP99S => samples(&measures.routed_around_in_flight, 99),
            Self::ReturnKnownMaxS => samples(&measures.return_known, 100),
            Self::FailoverP50S => samples(&measures.failover, 50),
            Self::FailoverP99S => samples(&measures.failover, 99),
            Self::HandoverMaxS => samples(&measures.handover, 100),
            Self::HealedMaxS => samples(&measures.healed, 100),
            Self::FalseDowns => over(measures.false_downs, 1.0, node_days(measures)),
            Self::FalseDownsPerNodeDay => over(measures.false_downs, days(measures.node_us), node_days(measures)),
            Self::FlapsPerCellDay => {
                let cell_days = format!("{:.1} cell-days", days(measures.cell_us));
                over(measures.flaps, days(measures.cell_us), cell_days)
            }
            Self::Ghosts => among(measures.ghosts, measures.buried, "departures"),
            Self::Forgotten => among(measures.forgotten, measures.healed.len() as u64, "healings"),
            Self::Splits => most(measures.splits),
            Self::Mergers => most(measures.mergers),
            Self::Recoveries => most(measures.recoveries),
            Self::SentBytesPerS => {
                let node_s = measures.counted_us as f64 / S as f64;
                over(measures.sent_bytes, node_s, format!("{node_s:.0} node-seconds"))
            }
        }
    }

    /// What it is called in a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::CrashKnownP50S => "crash known in the cell, p50 s",
            Self::CrashKnownP99S => "crash known in the cell, p99 s",
            Self::RoutedAroundP99S => "routed around by its talkers, p99 s",
            Self::RoutedAroundInFlightP99S => "routed around, request in flight, p99 s",
            Self::ReturnKnownMaxS => "return known in the cell, max s",
            Self::FailoverP50S => "failover, p50 s",
            Self::FailoverP99S => "failover, p99 s",
            Self::HandoverMaxS => "hand-over, max s",
            Self::HealedMaxS => "views equal after a cut, max s",
            Self::FalseDowns => "false downs",
            Self::FalseDownsPerNodeDay => "false downs per node-day",
            Self::FlapsPerCellDay => "flaps per cell-day",
            Self::Ghosts => "ghosts after 10 minutes",
            Self::Forgotten => "forgotten live members",
            Self::Splits => "cells split, most in a run",
            Self::Mergers => "cells merged, most in a run",
            Self::Recoveries => "cells recovered, most in a run",
            Self::SentBytesPerS => "UDP payload sent, B/s per node",
        }
    }
}

fn seconds(span: Micros) -> f64 {
    span as f64 / S as f64
}

fn days(span: Micros) -> f64 {
    span as f64 / DAY as f64
}

fn node_days(measures: &Measures) -> String {
    format!("{:.1} node-days", days(measures.node_us))
}

/// What was found in so many looks.
fn among(found: u64, looks: u64, word: &str) -> (Option<f64>, usize, String) {
    (Some(found as f64), usize::try_from(looks).unwrap_or(usize::MAX), format!("{looks} {word}"))
}

fn most(tally: Tally) -> (Option<f64>, usize, String) {
    (Some(tally.most as f64), usize::try_from(tally.total).unwrap_or(usize::MAX), format!("{} in all", tally.total))
}

fn over(count: u64, whole: f64, behind: String) -> (Option<f64>, usize, String) {
    let value = (whole > 0.0).then(|| count as f64 / whole);
    (value, usize::try_from(count).unwrap_or(usize::MAX), behind)
}
