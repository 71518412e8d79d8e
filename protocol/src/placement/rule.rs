//! What a class of data or a model demands of those who hold it, and why a node may not.

use super::bucket::RttBucket;
use super::deployment::Deployment;
use super::fence::Fence;
use super::policy::DataClass;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::membership::{Role, Roles};
use hedgerow_attest::name::{FailureDomain, NodeClass};
use hedgerow_attest::region::Region;
use thiserror::Error;

/// Whose word stands for what a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TrustClass {
    /// A certificate of the mesh and the node's own word.
    #[default]
    SelfAsserted,
    /// Hardware vouches for what runs on it.
    Attested,
}

/// Whether a node may be given anything at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Availability {
    /// It may.
    #[default]
    Available,
    /// It came, or came back, too recently to be relied on.
    Settling,
    /// It leaves, and hands over what it holds.
    Draining,
    /// It is gone for so long that what it held is repaired elsewhere.
    Down,
}

/// What placement knows about a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// The node.
    pub node: NodeId,
    /// Its region, by its certificate.
    pub region: Region,
    /// What kind of machine it is, by its certificate.
    pub class: NodeClass,
    /// What it may be asked to do, by its certificate.
    pub roles: Roles,
    /// Whose word stands for it.
    pub trust: TrustClass,
    /// Whether it may be given anything.
    pub availability: Availability,
    /// Memory that it could still take, in MiB, where it says so.
    pub free_mib: Option<u32>,
    /// Its share relative to others.
    pub weight: u32,
    /// How far it is from the home cell.
    pub bucket: RttBucket,
    /// What it would fail together with: a site, an operator, a network. One that names nothing fails alone.
    pub domain: Option<FailureDomain>,
}

/// What is demanded of the nodes of one group or model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// How many should hold it; at most [`super::NODES_MAX`] do.
    pub copies: u8,
    /// What they must be permitted to do.
    pub role: Role,
    /// Where they must stand.
    pub regions: Fence<Region>,
    /// What machines they must be.
    pub classes: Fence<NodeClass>,
    /// Whose word must stand for them.
    pub trust: TrustClass,
    /// Memory that they must have left, in MiB, before they are given it. Who holds it already need not.
    pub free_mib: u32,
}

/// The rule that keeps a node from holding something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Refusal {
    /// Data must not be there.
    #[error("region {0} is not allowed")]
    Region(Region),
    /// Its certificate does not permit it.
    #[error("its certificate does not give it the role")]
    Role,
    /// It is another kind of machine.
    #[error("node class {0} is not allowed")]
    Class(NodeClass),
    /// Nobody but itself says what it is.
    #[error("its word alone is not enough")]
    Trust,
    /// It has no room.
    #[error("{free_mib} MiB free of {needed_mib}")]
    Capacity {
        /// What it has left.
        free_mib: u32,
        /// What it would need.
        needed_mib: u32,
    },
    /// It came too recently.
    #[error("it has not settled")]
    Settling,
    /// It leaves.
    #[error("it is draining")]
    Draining,
    /// It is gone.
    #[error("it is down")]
    Down,
}

impl Refusal {
    /// Whether the data must not be there: such a node serves nothing of it from the moment at which it hears of the rule,
    /// before anybody else holds a copy.
    #[must_use]
    pub const fn forbids(&self) -> bool {
        matches!(self, Self::Region(_) | Self::Role | Self::Class(_) | Self::Trust)
    }

    /// Whether it also ends what is held. Lack of room and a recent return keep a node from getting something, and are no
    /// reason to move what it has.
    #[must_use]
    pub const fn evicts(&self) -> bool {
        !matches!(self, Self::Capacity { .. } | Self::Settling)
    }
}

impl Rule {
    /// The rule for the groups of a class.
    #[must_use]
    pub fn of_class(class: &DataClass) -> Self {
        Self {
            copies: class.replicas,
            role: Role::Replica,
            regions: Fence::of_list(&class.regions),
            classes: Fence::All,
            trust: TrustClass::SelfAsserted,
            free_mib: 0,
        }
    }

    /// The rule for a model.
    #[must_use]
    pub fn of_deployment(deployment: &Deployment) -> Self {
        Self {
            copies: deployment.replicas,
            role: Role::Worker,
            regions: Fence::of_list(&deployment.regions),
            classes: Fence::All,
            trust: TrustClass::SelfAsserted,
            free_mib: 0,
        }
    }

    /// Every demand that a node does not meet, in the order of [`Refusal`].
    #[must_use]
    pub fn refusals(&self, host: &Host) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut demand = |met: bool, refusal: Refusal| {
            if !met {
                refusals.push(refusal);
            }
        };
        demand(self.regions.allows(&host.region), Refusal::Region(host.region.clone()));
        demand(host.roles.contains(self.role), Refusal::Role);
        demand(self.classes.allows(&host.class), Refusal::Class(host.class.clone()));
        demand(host.trust >= self.trust, Refusal::Trust);
        // A node that does not say how much it has left is given the benefit of the doubt.
        let free_mib = host.free_mib.unwrap_or(u32::MAX);
        demand(free_mib >= self.free_mib, Refusal::Capacity { free_mib, needed_mib: self.free_mib });
        match host.availability {
            Availability::Available => {}
            Availability::Settling => refusals.push(Refusal::Settling),
            Availability::Draining => refusals.push(Refusal::Draining),
            Availability::Down => refusals.push(Refusal::Down),
        }
        refusals
    }

    /// Whether it demands the same of every node; how many there should be aside.
    #[must_use]
    pub fn demands_like(&self, other: &Self) -> bool {
        Self { copies: 0, ..self.clone() } == Self { copies: 0, ..other.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            node: NodeId::from_bytes([1; 32]),
            region: Region::new("eu").unwrap(),
            class: NodeClass::new("edge").unwrap(),
            roles: Roles::default().with(Role::Replica),
            trust: TrustClass::SelfAsserted,
            availability: Availability::Available,
            free_mib: Some(100),
            weight: 1,
            bucket: RttBucket::NEAREST,
            domain: None,
        }
    }

    fn rule() -> Rule {
        Rule {
            copies: 1,
            role: Role::Replica,
            regions: Fence::of_list(&[Region::new("eu").unwrap()]),
            classes: Fence::of_list(&[NodeClass::new("edge").unwrap()]),
            trust: TrustClass::SelfAsserted,
            free_mib: 100,
        }
    }

    #[test]
    fn each_demand_that_is_not_met_is_named() {
        let us = Region::new("us").unwrap();
        let tiny = NodeClass::new("tiny").unwrap();
        assert_eq!(rule().refusals(&host()), []);
        let one = |change: fn(&mut Host)| {
            let mut host = host();
            change(&mut host);
            rule().refusals(&host)
        };
        assert_eq!(one(|host| host.region = Region::new("us").unwrap()), [Refusal::Region(us.clone())]);
        assert_eq!(one(|host| host.roles = Roles::default().with(Role::Worker)), [Refusal::Role]);
        assert_eq!(one(|host| host.class = NodeClass::new("tiny").unwrap()), [Refusal::Class(tiny)]);
        let full = Refusal::Capacity { free_mib: 99, needed_mib: 100 };
        assert_eq!(one(|host| host.free_mib = Some(99)), std::slice::from_ref(&full));
        assert_eq!(one(|host| host.free_mib = None), []);
        assert_eq!(one(|host| host.availability = Availability::Settling), [Refusal::Settling]);
        assert_eq!(one(|host| host.availability = Availability::Draining), [Refusal::Draining]);
        assert_eq!(one(|host| host.availability = Availability::Down), [Refusal::Down]);
        let strict = Rule { trust: TrustClass::Attested, ..rule() };
        assert_eq!(strict.refusals(&host()), [Refusal::Trust]);
        assert_eq!(strict.refusals(&Host { trust: TrustClass::Attested, ..host() }), []);
        let several = Host { region: us.clone(), availability: Availability::Down, free_mib: Some(99), ..host() };
        assert_eq!(rule().refusals(&several), [Refusal::Region(us), full, Refusal::Down]);
    }

    #[test]
    fn only_lack_of_room_and_a_recent_return_move_nothing() {
        let region = Refusal::Region(Region::new("us").unwrap());
        let class = Refusal::Class(NodeClass::new("tiny").unwrap());
        let capacity = Refusal::Capacity { free_mib: 0, needed_mib: 1 };
        let all = [
            region,
            Refusal::Role,
            class,
            Refusal::Trust,
            capacity,
            Refusal::Settling,
            Refusal::Draining,
            Refusal::Down,
        ];
        assert_eq!(all.clone().map(|refusal| refusal.evicts()), [true, true, true, true, false, false, true, true]);
        assert_eq!(all.map(|refusal| refusal.forbids()), [true, true, true, true, false, false, false, false]);
    }
}
