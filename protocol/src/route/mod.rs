//! Which node should answer a request: a pure function of one view.

mod rank;

pub use rank::{Candidate, RankQuery, Ranking, RefusalReason, RouteReason, rank};
