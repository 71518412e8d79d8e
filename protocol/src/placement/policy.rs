//! Data classes: how many copies, where, and for how long. An operator writes them, the mesh obeys.

use crate::id::PolicyVersion;
use crate::name::ClassName;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::region::Region;
use hedgerow_attest::signed::Domain;
use serde::{Deserialize, Serialize};

/// Classes that a policy may have.
pub const CLASSES_MAX: usize = 32;

/// Regions that one rule may name.
pub const REGIONS_MAX: usize = 16;

/// The rules of a mesh for its data, signed by a policy key of the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Of two policies the higher version holds.
    pub version: PolicyVersion,
    /// The payload digest of the policy that it replaces; nothing for the first.
    pub parent: Option<Sha256Digest>,
    /// The classes, by name, each name once.
    #[serde(deserialize_with = "bounded_vec::<_, _, CLASSES_MAX>")]
    pub classes: Vec<DataClass>,
}

impl Domain for Policy {
    const DOMAIN: &'static str = "hedgerow/policy/1";
    const PAYLOAD_MAX: usize = 24 * 1024;
}

impl Policy {
    /// The rule of that name.
    #[must_use]
    pub fn class(&self, name: &ClassName) -> Option<&DataClass> {
        self.classes.iter().find(|class| &class.name == name)
    }

    /// Whether every rule can be kept and none is there twice.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let sorted = self.classes.is_sorted_by(|a, b| a.name < b.name);
        sorted && self.classes.iter().all(DataClass::is_well_formed)
    }
}

/// One rule for sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataClass {
    /// Its name, part of every session's identifier.
    pub name: ClassName,
    /// Replicas in the home cell, 1 to 7.
    pub replicas: u8,
    /// Replicas on which a write must be durable before it counts as done, 1 to `replicas`.
    pub write_quorum: u8,
    /// Regions in which its data may be, in transit and in hand-off too; all when empty.
    #[serde(deserialize_with = "bounded_vec::<_, _, REGIONS_MAX>")]
    pub regions: Vec<Region>,
    /// Whether the data speaks about people. Such a class must name its regions.
    pub personal: bool,
    /// Seconds after its last write at which a session may be forgotten; never when 0.
    pub ttl_s: u64,
}

/// Replicas that a class may ask for.
pub const REPLICAS_MAX: u8 = 7;

impl DataClass {
    /// Whether data of this class may be in that region.
    #[must_use]
    pub fn allows(&self, region: &Region) -> bool {
        self.regions.is_empty() || self.regions.contains(region)
    }

    fn is_well_formed(&self) -> bool {
        let counts = (1..=REPLICAS_MAX).contains(&self.replicas) && (1..=self.replicas).contains(&self.write_quorum);
        counts && !(self.personal && self.regions.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str) -> DataClass {
        DataClass {
            name: ClassName::new(name).unwrap(),
            replicas: 3,
            write_quorum: 2,
            regions: vec![],
            personal: false,
            ttl_s: 0,
        }
    }

    fn policy(classes: Vec<DataClass>) -> Policy {
        Policy { version: PolicyVersion(1), parent: None, classes }
    }

    #[test]
    fn rules_that_cannot_be_kept_are_not_well_formed() {
        assert!(policy(vec![class("a"), class("b")]).is_well_formed());
        assert!(!policy(vec![class("b"), class("a")]).is_well_formed());
        assert!(!policy(vec![class("a"), class("a")]).is_well_formed());
        assert!(!policy(vec![DataClass { write_quorum: 4, ..class("a") }]).is_well_formed());
        assert!(!policy(vec![DataClass { replicas: 0, write_quorum: 0, ..class("a") }]).is_well_formed());
        assert!(!policy(vec![DataClass { personal: true, ..class("a") }]).is_well_formed());
        let fenced = DataClass { personal: true, regions: vec![Region::new("eu").unwrap()], ..class("a") };
        assert!(policy(vec![fenced.clone()]).is_well_formed());
        assert!(!fenced.allows(&Region::new("us").unwrap()));
        assert!(class("a").allows(&Region::new("us").unwrap()));
    }
}
