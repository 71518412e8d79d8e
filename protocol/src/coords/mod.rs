//! Where nodes lie in the network: a coordinate per node, such that the distance between two coordinates predicts the
//! round trip between two nodes that never met.
//!
//! Vivaldi (Dabek, Cox, Kaashoek, Morris, "Vivaldi: a decentralized network coordinate system", SIGCOMM 2004) in the form
//! that Serf made known: eight dimensions and a height (section 5.4 there), a median filter per peer and gravity towards
//! the origin (Ledlie, Gardner, Seltzer, "Network coordinates in the wild", NSDI 2007), and an adjustment per node for
//! what no embedding expresses (Lee, Zhang, Sahu, Saha, "On suitability of Euclidean embedding for host-based network
//! coordinate systems", IEEE/ACM Transactions on Networking 18(1), 2010). Where Serf and the papers part, this follows the
//! papers: heights share a push as in section 5.4, and adjustments correct estimates without entering into forces.
//!
//! # Whom it believes
//! Distances are measured by the node itself; only the place of the other end is hearsay. A [`Coordinate`] can hold
//! nothing but bounded integers, so what arrives is valid or is not there. Whatever a peer says, and however long it waits
//! to say it, one observation moves a node by no more than [`MOVE_MAX_US`], and, gravity aside, by no more than a quarter of
//! the round trip that is usual for that node, which a minority cannot change. So whoever lies is outvoted by those who do
//! not, one observation each. Estimates are for shortlists: whoever is shortlisted is measured.
//!
//! # The same on every machine
//! Sums, products, quotients and square roots of `f64` are rounded correctly wherever IEEE 754 holds (section 5.4.1), so
//! two targets that do the same operations in the same order get the same bits. Exponentials, logarithms, powers and
//! trigonometric functions are not specified so, and a fused multiplication and addition rounds once where two operations
//! round twice: none of them is used here. Estimates between coordinates are computed in integers altogether.

mod adjustment;
mod coordinate;
mod latency;
mod machine;
mod position;
mod typical;

pub use coordinate::{
    ADJUSTMENT_MAX, COMPONENT_MAX, Coordinate, CoordinateFault, CoordinateWire, DIMENSIONS, ERROR_MAX, ERROR_MIN,
    HEIGHT_MAX, HEIGHT_MIN, UNIT_US,
};
pub use latency::LATENCY_PEERS_MAX;
pub use machine::{Coordinates, MOVE_MAX_US, Observation, RTT_MAX_US, SampleRefusal};

#[cfg(test)]
mod network_tests;
