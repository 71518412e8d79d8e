//! Under what somebody leads a cell.

use hedgerow_protocol::core::MeshCore;
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::id::{Generation, Term};
use std::fmt;

/// A term of one generation of a cell; each generation counts its terms afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Reign {
    /// The recovery count of the cell.
    pub(crate) generation: Generation,
    /// The term.
    pub(crate) term: Term,
}

impl Reign {
    /// A term of the generation in which a node has its cell.
    pub(crate) fn of<D: Defects>(core: &MeshCore<D>, term: Term) -> Self {
        Self { generation: core.register_head().map_or(Generation(0), |head| head.generation), term }
    }
}

impl fmt::Display for Reign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { generation: Generation(0), term } => write!(f, "{term}"),
            Self { generation, term } => write!(f, "{term} of generation {generation}"),
        }
    }
}
