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
