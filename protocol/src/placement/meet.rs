//! The intersection of rules. What either forbids is forbidden, what either promises is promised.

use super::fence::Fence;
use super::policy::{DataClass, Policy};
use hedgerow_attest::region::Region;

impl DataClass {
    /// The widest rule that keeps both; nothing where no region keeps both. More copies, a larger quorum and a longer life
    /// are promises, so the larger number holds.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let fence = |class: &Self| Fence::<Region>::of_list(&class.regions);
        let regions = match fence(self).meet(&fence(other)) {
            Fence::All => vec![],
            Fence::Only(regions) if regions.is_empty() => return None,
            Fence::Only(regions) => regions.into_iter().collect(),
        };
        Some(Self {
            name: self.name.clone(),
            replicas: self.replicas.max(other.replicas),
            write_quorum: self.write_quorum.max(other.write_quorum),
            regions,
            personal: self.personal || other.personal,
            ttl_s: if self.ttl_s == 0 || other.ttl_s == 0 { 0 } else { self.ttl_s.max(other.ttl_s) },
        })
    }

    /// Whether it allows nothing that the other forbids, and promises all that the other promises.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let canonical = |class: &Self| class.meet(class);
        self.meet(other) == canonical(self)
    }
}

impl Policy {
    /// The widest policy that keeps both: a class that one of them does not have is in neither. It was signed by nobody; its
    /// version is the higher one, and it names no parent.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let classes = self.classes.iter().filter_map(|class| class.meet(other.class(&class.name)?));
        Self { version: self.version.max(other.version), parent: None, classes: classes.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PolicyVersion;
    use crate::name::ClassName;
    use proptest::prelude::*;

    fn class(name: &str, replicas: u8, write_quorum: u8, regions: &[&str], ttl_s: u64) -> DataClass {
        let regions = regions.iter().map(|region| Region::new(region).unwrap()).collect();
        DataClass { name: ClassName::new(name).unwrap(), replicas, write_quorum, regions, personal: false, ttl_s }
    }

    #[test]
    fn the_narrower_fence_and_the_larger_promise_hold() {
        let one = class("cart", 3, 3, &["eu", "us"], 60);
        let two = DataClass { personal: true, ..class("cart", 5, 2, &["ap", "eu"], 30) };
        let both = DataClass { personal: true, ..class("cart", 5, 3, &["eu"], 60) };
        assert_eq!(one.meet(&two), Some(both.clone()));
        assert!(both.is_within(&one) && both.is_within(&two) && !one.is_within(&two) && !two.is_within(&one));
        assert_eq!(one.meet(&class("cart", 3, 3, &["ap"], 60)), None);
        assert_eq!(one.meet(&class("cart", 1, 1, &[], 0)), Some(class("cart", 3, 3, &["eu", "us"], 0)));
    }

    #[test]
    fn a_class_that_one_policy_does_not_have_is_in_neither() {
        let policy = |version, classes| Policy { version: PolicyVersion(version), parent: None, classes };
        let open = |name| class(name, 1, 1, &[], 0);
        let eu = |name| class(name, 1, 1, &["eu"], 0);
        let us = class("c", 1, 1, &["us"], 0);
        let one = policy(3, vec![open("a"), eu("b"), eu("c")]);
        let two = policy(2, vec![open("b"), us, open("d")]);
        assert_eq!(one.meet(&two), policy(3, vec![eu("b")]));
    }

    fn any_class() -> impl Strategy<Value = DataClass> {
        let fence = proptest::collection::btree_set(0_usize..4, 0..4);
        (1_u8..8, 1_u8..8, fence, any::<bool>(), 0_u64..3).prop_map(|(replicas, quorum, fence, personal, ttl_s)| {
            let fence: Vec<&str> = fence.into_iter().map(|at| ["ap", "eu", "sa", "us"][at]).collect();
            let personal = personal && !fence.is_empty();
            DataClass { personal, ..class("cart", replicas, quorum.min(replicas), &fence, ttl_s) }
        })
    }

    proptest! {
        #[test]
        fn a_meet_is_a_meet(a in any_class(), b in any_class(), c in any_class()) {
            let policy = |class: Option<DataClass>| Policy {
                version: PolicyVersion(1),
                parent: None,
                classes: class.into_iter().collect(),
            };
            let (a, b, c) = (policy(Some(a)), policy(Some(b)), policy(Some(c)));
            let met = a.meet(&b);
            prop_assert!(met.is_well_formed());
            prop_assert_eq!(&a.meet(&a), &a);
            prop_assert_eq!(&met, &b.meet(&a));
            prop_assert_eq!(met.meet(&c), a.meet(&b.meet(&c)));
            for class in &met.classes {
                prop_assert!(class.is_within(&a.classes[0]) && class.is_within(&b.classes[0]));
                for region in ["ap", "eu", "sa", "us", "xx"].map(|region| Region::new(region).unwrap()) {
                    prop_assert_eq!(class.allows(&region), a.classes[0].allows(&region) && b.classes[0].allows(&region));
                }
            }
        }
    }
}
