//! What nodes say about another that they could not reach.

use crate::id::Incarnation;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::signed::{Domain, Verified};
use serde::{Deserialize, Serialize};

/// Accusers that a charge names at most: no rule asks for more.
pub const ACCUSERS_MAX: usize = 3;

/// The signed claim that a member of the accuser's cell did not answer: not over a span of seconds, and not when it was
/// asked twice more with the suspicion attached.
///
/// It revives nobody and buries nobody by itself; how many it takes, and of whom, is in `docs/rfd/0002-membership.md`. The
/// accused answers with a higher incarnation.
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

/// Accusations of one member at one incarnation by several others: what travels when a member is taken for down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    accused: NodeId,
    incarnation: Incarnation,
    /// By accuser, each once; from one to [`ACCUSERS_MAX`].
    accusations: Vec<Verified<Accusation>>,
}

impl Charge {
    /// The charge that these accusations make: the first of each accuser, and of those the [`ACCUSERS_MAX`] with the lowest
    /// names. Nothing when there is none, when they do not speak of the same, or when somebody accuses itself.
    pub fn new(mut accusations: Vec<Verified<Accusation>>) -> Option<Self> {
        accusations.sort_by_key(|accusation| accusation.accuser);
        accusations.dedup_by_key(|accusation| accusation.accuser);
        accusations.truncate(ACCUSERS_MAX);
        let first = accusations.first()?;
        let (accused, incarnation) = (first.accused, first.incarnation);
        let same = |accusation: &Verified<Accusation>| {
            (accusation.accused, accusation.incarnation) == (accused, incarnation) && accusation.accuser != accused
        };
        accusations.iter().all(same).then_some(Self { accused, incarnation, accusations })
    }

    /// Who did not answer.
    #[must_use]
    pub fn accused(&self) -> NodeId {
        self.accused
    }

    /// The incarnation that did not answer.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// What each accuser signed, by accuser.
    #[must_use]
    pub fn accusations(&self) -> &[Verified<Accusation>] {
        &self.accusations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hedgerow_attest::key::SecretKey;

    fn by(accuser: u8, accused: u8, incarnation: u64) -> Verified<Accusation> {
        let [accuser, accused] = [accuser, accused].map(|n| NodeId::from_bytes([n; 32]));
        let accusation = Accusation { accuser, accused, incarnation: Incarnation(incarnation) };
        Verified::sign_verified(&accusation, &SecretKey::from_seed([1; 32]))
    }

    fn accusers(charge: &Charge) -> Vec<NodeId> {
        charge.accusations().iter().map(|accusation| accusation.accuser).collect()
    }

    #[test]
    fn the_longest_accusation_fits_its_bound() {
        let node = NodeId::from_bytes([0xff; 32]);
        let longest = Accusation { accuser: node, accused: node, incarnation: Incarnation(u64::MAX) };
        let length = postcard::to_stdvec(&longest).map(|bytes| bytes.len());
        assert_eq!(length, Ok(74));
        assert!(length.is_ok_and(|length| length <= Accusation::PAYLOAD_MAX));
    }

    #[test]
    fn a_charge_names_each_accuser_once_and_three_at_most() {
        let charge = Charge::new(vec![by(5, 9, 2), by(4, 9, 2), by(5, 9, 2), by(3, 9, 2), by(6, 9, 2)]);
        assert_eq!(charge.as_ref().map(accusers), Some([3, 4, 5].map(|n| NodeId::from_bytes([n; 32])).to_vec()));
        assert_eq!(charge.map(|charge| charge.incarnation()), Some(Incarnation(2)));
    }

    #[test]
    fn accusations_that_do_not_belong_together_are_no_charge() {
        assert_eq!(Charge::new(vec![]), None);
        assert_eq!(Charge::new(vec![by(1, 9, 2), by(2, 9, 3)]), None);
        assert_eq!(Charge::new(vec![by(1, 8, 2), by(2, 9, 2)]), None);
        assert_eq!(Charge::new(vec![by(9, 9, 2)]), None);
    }
}
