//! What a node says about another that it could not reach.

use crate::id::Incarnation;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::signed::Domain;
use serde::{Deserialize, Serialize};

/// The signed claim that a member of the accuser's cell did not answer: not directly, not through others, not when it was
/// asked twice more with the suspicion attached.
///
/// It revives nobody and buries nobody by itself: who hears it asks the accused directly before agreeing, and the accused
/// answers with a higher incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accusation {
    /// Who could not reach the accused, and who signs.
    pub accuser: NodeId,
    /// Who did not answer.
    pub accused: NodeId,
    /// The incarnation that did not answer; a higher one is innocent.
    pub incarnation: Incarnation,
}

impl Domain for Accusation {
    const DOMAIN: &'static str = "hedgerow/accusation/1";
    const PAYLOAD_MAX: usize = 128;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_accusation_fits_its_bound() {
        let node = NodeId::from_bytes([0xff; 32]);
        let longest = Accusation { accuser: node, accused: node, incarnation: Incarnation(u64::MAX) };
        let length = postcard::to_stdvec(&longest).map(|bytes| bytes.len());
        assert_eq!(length, Ok(74));
        assert!(length.is_ok_and(|length| length <= Accusation::PAYLOAD_MAX));
    }
}
