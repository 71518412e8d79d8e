//! Node classes: what share of what is placed a kind of machine gets. An operator writes them; what is not written has a
//! share that is built in.

use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::name::NodeClass;
use hedgerow_attest::signed::Domain;
use serde::{Deserialize, Serialize};

/// Node classes that may be written.
pub const NODE_CLASSES_MAX: usize = 64;

/// The largest share of one class relative to others.
pub const WEIGHT_MAX: u16 = 1_000;

/// The shares of node classes, signed by a policy key of the root. They say who is drawn how often and forbid nothing, so that
/// of two the higher revision simply holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeClasses {
    /// Operators count up.
    pub revision: u64,
    /// The classes, by name, each name once.
    #[serde(deserialize_with = "bounded_vec::<_, _, NODE_CLASSES_MAX>")]
    pub classes: Vec<NodeClassRule>,
}

/// One kind of machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeClassRule {
    /// Its name, as certificates have it.
    pub name: NodeClass,
    /// Its share relative to others, 1 to [`WEIGHT_MAX`].
    pub weight: u16,
}

impl Domain for NodeClasses {
    const DOMAIN: &'static str = "hedgerow/node-classes/1";
    const PAYLOAD_MAX: usize = 4 * 1024;
}

impl NodeClasses {
    /// Whether every share can be kept and no class is there twice.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let sorted = self.classes.is_sorted_by(|a, b| a.name < b.name);
        sorted && self.classes.iter().all(|class| (1..=WEIGHT_MAX).contains(&class.weight))
    }

    /// A node's share by its class.
    #[must_use]
    pub fn weight(&self, class: &NodeClass) -> u32 {
        let written = self.classes.iter().find(|rule| rule.name == *class).map(|rule| u32::from(rule.weight));
        let known = || BUILT_IN.iter().find(|(name, _)| *name == class.as_str()).map(|(_, weight)| *weight);
        written.or_else(known).unwrap_or(WEIGHT)
    }
}

/// The node classes that have another share than the rest while nothing is written. Guess; capacity that nodes measure and
/// sign would settle it.
pub const BUILT_IN: [(&str, u32); 4] = [("large", 8), ("server", 8), ("small", 2), ("tiny", 1)];

/// The share of node classes of which nothing is known.
const WEIGHT: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, weight: u16) -> NodeClassRule {
        NodeClassRule { name: NodeClass::new(name).unwrap(), weight }
    }

    fn classes(classes: Vec<NodeClassRule>) -> NodeClasses {
        NodeClasses { revision: 1, classes }
    }

    #[test]
    fn what_is_written_holds_and_the_rest_has_the_share_that_is_built_in() {
        let names = ["large", "server", "edge", "small", "tiny"].map(|name| NodeClass::new(name).unwrap());
        assert_eq!(names.clone().map(|name| NodeClasses::default().weight(&name)), [8, 8, 4, 2, 1]);
        let written = classes(vec![rule("edge", 5), rule("server", 32)]);
        assert_eq!(names.map(|name| written.weight(&name)), [8, 32, 5, 2, 1]);
    }

    #[test]
    fn shares_that_cannot_be_kept_are_not_well_formed() {
        assert!(classes(vec![rule("a", 1), rule("b", WEIGHT_MAX)]).is_well_formed());
        for bad in [
            vec![rule("b", 1), rule("a", 1)],
            vec![rule("a", 1), rule("a", 1)],
            vec![rule("a", 0)],
            vec![rule("a", WEIGHT_MAX + 1)],
        ] {
            assert!(!classes(bad).is_well_formed());
        }
    }
}
