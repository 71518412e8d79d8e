//! Why there are no figures.

use std::fmt;
use std::io;
use std::time::Duration;

use hedgerow::admin::ClientError;
use hedgerow::runner::{FleetError, LogTail};

use crate::report::Disagreement;

/// Why a measurement broke off. The nodes are down; whoever named a folder with `--state` finds their logs there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasureError {
    /// The nodes did not agree in time, or one of them ended.
    #[error("see all nodes agree within {within:?}: {why}{logs}")]
    Disagree {
        /// How long was waited.
        within: Duration,
        /// What was missing last.
        why: Disagreement,
        /// Of the nodes in the way.
        logs: Logs,
    },
    /// A crash did not get around in time.
    #[error("see the crash of {node} known to every other node within {within:?}: {} had not heard{logs}", ignorant.join(", "))]
    NotKnown {
        /// Who was killed.
        node: String,
        /// How long was waited.
        within: Duration,
        /// Who did not see it down.
        ignorant: Vec<String>,
        /// Of the first of those.
        logs: Logs,
    },
    /// A node does not say what it sent.
    #[error("read what {node} sent{logs}")]
    Silent {
        /// The node.
        node: String,
        /// Its log.
        logs: Logs,
        /// What its socket said.
        #[source]
        source: ClientError,
    },
    /// A node ran anew while its bytes were counted.
    #[error("count what {node} sends: it started again meanwhile{logs}")]
    Reset {
        /// The node.
        node: String,
        /// Its log.
        logs: Logs,
    },
    /// A process could not be started or ended.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The system does not tell about a process.
    #[error("watch the nodes")]
    Watch(#[source] io::Error),
    /// Somebody wants it to end.
    #[error("measure: interrupted; every node is down again")]
    Interrupted,
    /// There are figures, and they are not as they should be.
    #[error("find what was expected: {}", missed.join("; "))]
    Missed {
        /// What is out of its bounds.
        missed: Vec<String>,
    },
}

/// The ends of some logs, each on lines of its own under a message.
#[derive(Debug)]
pub(crate) struct Logs(pub(crate) Vec<LogTail>);

impl fmt::Display for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|tail| write!(f, "\n{tail}"))
    }
}
