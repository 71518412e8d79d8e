//! Which nodes a mesh has and in which regions they are.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What runs the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackendKind {
    /// Processes of this machine.
    Local,
    /// Containers, through docker compose.
    Compose,
}

/// The shape of a mesh. Names, addresses and ports follow from it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    nodes: u16,
    regions: u16,
    networks: Option<u16>,
}

/// A node of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedNode {
    /// From 1.
    pub(crate) number: u16,
    /// `n1` and so on.
    pub(crate) name: String,
    /// The number of its region, from 1.
    pub(crate) region: u16,
    /// The number of the one network that it is in, from 1, where the nodes are in several and only the founder is in all.
    pub(crate) network: Option<u16>,
}

/// Why there is no such mesh.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    /// Every region needs a node, and one machine carries only so many.
    #[error("plan {nodes} nodes: ask for 1 to {NODES_MAX}")]
    Nodes {
        /// What was asked for.
        nodes: u16,
    },
    /// A region without a node does not exist.
    #[error("plan {regions} regions of {nodes} nodes: ask for 1 to {}", nodes.min(&REGIONS_MAX))]
    Regions {
        /// Regions asked for.
        regions: u16,
        /// Nodes asked for.
        nodes: u16,
    },
    /// Networks that nobody but the founder is in, or more than there is room for.
    #[error("plan {networks} networks of {nodes} nodes: ask for 1 to {}", (nodes - 1).clamp(1, REGIONS_MAX))]
    Networks {
        /// Networks asked for.
        networks: u16,
        /// Nodes asked for.
        nodes: u16,
    },
}

impl Plan {
    /// A mesh of `nodes` in `regions`, each region with at least one node.
    pub(crate) const fn new(nodes: u16, regions: u16) -> Result<Self, PlanError> {
        if nodes == 0 || nodes > NODES_MAX {
            return Err(PlanError::Nodes { nodes });
        }
        if regions == 0 || regions > nodes || regions > REGIONS_MAX {
            return Err(PlanError::Regions { regions, nodes });
        }
        Ok(Self { nodes, regions, networks: None })
    }

    /// The same with the nodes in so many networks in turn, and the founder in all of them.
    pub(crate) const fn over(self, networks: u16) -> Result<Self, PlanError> {
        if networks == 0 || networks >= self.nodes || networks > REGIONS_MAX {
            return Err(PlanError::Networks { networks, nodes: self.nodes });
        }
        Ok(Self { networks: Some(networks), ..self })
    }

    /// The networks' numbers in order; nothing where one network has all nodes.
    pub(crate) fn networks(self) -> Option<impl Iterator<Item = u16>> {
        self.networks.map(|networks| 1..=networks)
    }

    /// How many nodes there are.
    pub(crate) const fn node_count(self) -> u16 {
        self.nodes
    }

    /// How many regions there are.
    pub(crate) const fn region_count(self) -> u16 {
        self.regions
    }

    /// The nodes in order; regions are runs of them whose lengths differ by at most one.
    pub(crate) fn nodes(self) -> impl Iterator<Item = PlannedNode> {
        (1..=self.nodes).map(move |number| PlannedNode {
            number,
            name: format!("n{number}"),
            region: (number - 1) * self.regions / self.nodes + 1,
            network: self.networks.map(|networks| (number - 1) % networks + 1),
        })
    }

    /// The regions' numbers in order.
    pub(crate) fn regions(self) -> impl Iterator<Item = u16> {
        1..=self.regions
    }

    /// How often the ticket of a region has to serve: as often as the largest region has nodes.
    pub(crate) const fn ticket_uses(self) -> u16 {
        self.nodes.div_ceil(self.regions)
    }
}

impl PlannedNode {
    /// Whether it founds the mesh; the others join by its tickets.
    pub(crate) const fn is_founder(&self) -> bool {
        self.number == 1
    }

    /// The first of the ten ports that belong to this node.
    pub(crate) const fn port(&self, port_base: u16) -> u16 {
        port_base + 10 * self.number
    }
}

/// The name of a region.
pub(crate) fn region_name(region: u16) -> String {
    format!("r{region}")
}

/// What the addresses of the compose file and blocks of ten ports leave room for, and more than a laptop carries.
pub(crate) const NODES_MAX: u16 = 60;

/// Docker makes about thirty networks out of its default address pools; with the backbone this stays well below.
const REGIONS_MAX: u16 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_fill_the_regions_in_order_and_evenly() {
        let of = |nodes, regions| {
            let plan = Plan::new(nodes, regions).expect("a plan");
            plan.nodes().map(|node| (node.name, node.region)).collect::<Vec<_>>()
        };
        let named = |list: &[(&str, u16)]| list.iter().map(|&(n, r)| (n.to_owned(), r)).collect::<Vec<_>>();
        assert_eq!(of(6, 2), named(&[("n1", 1), ("n2", 1), ("n3", 1), ("n4", 2), ("n5", 2), ("n6", 2)]));
        assert_eq!(of(5, 3), named(&[("n1", 1), ("n2", 1), ("n3", 2), ("n4", 2), ("n5", 3)]));
        assert_eq!(of(1, 1), named(&[("n1", 1)]));
    }

    #[test]
    fn a_ticket_serves_the_largest_region() {
        for (nodes, regions) in (1..=NODES_MAX).flat_map(|n| (1..=n.min(REGIONS_MAX)).map(move |r| (n, r))) {
            let plan = Plan::new(nodes, regions).expect("a plan");
            let largest = plan.regions().map(|region| plan.nodes().filter(|node| node.region == region).count()).max();
            assert_eq!(largest, Some(usize::from(plan.ticket_uses())), "{nodes} nodes, {regions} regions");
        }
    }

    #[test]
    fn networks_get_the_nodes_in_turn() {
        let plan = Plan::new(5, 1).and_then(|plan| plan.over(2)).expect("a plan");
        let networks: Vec<_> = plan.nodes().map(|node| node.network).collect();
        assert_eq!(networks, [1, 2, 1, 2, 1].map(Some));
        assert_eq!(Plan::new(3, 1).map(|plan| plan.over(3)), Ok(Err(PlanError::Networks { networks: 3, nodes: 3 })));
        let error = PlanError::Networks { networks: 3, nodes: 3 };
        assert_eq!(error.to_string(), "plan 3 networks of 3 nodes: ask for 1 to 2");
    }

    #[test]
    fn a_plan_is_bounded() {
        assert_eq!(Plan::new(0, 1), Err(PlanError::Nodes { nodes: 0 }));
        assert_eq!(Plan::new(NODES_MAX + 1, 1), Err(PlanError::Nodes { nodes: NODES_MAX + 1 }));
        assert_eq!(Plan::new(3, 4), Err(PlanError::Regions { regions: 4, nodes: 3 }));
        assert_eq!(
            PlanError::Regions { regions: 4, nodes: 3 }.to_string(),
            "plan 4 regions of 3 nodes: ask for 1 to 3"
        );
        assert_eq!(Plan::new(40, 17), Err(PlanError::Regions { regions: 17, nodes: 40 }));
    }
}
