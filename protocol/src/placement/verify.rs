//! Checking a table against the rules. The same check stands before a voter's acceptance and before everybody's adoption.

use super::policies::Policies;
use super::table::{NODES_MAX, NodeList, PlacementTable};
use crate::id::PolicyVersion;
use crate::name::{ClassName, ModelRef};
use crate::roster::Roster;
use crate::session_id::GROUP_PREFIXES;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::region::Region;
use std::collections::BTreeSet;
use thiserror::Error;

/// The rule that a table breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TableFault {
    /// It keeps a policy that is not known here (yet).
    #[error("placement under policy {0}, which is not known")]
    UnknownPolicy(PolicyVersion),
    /// It names a node whose certificate is not known here (yet).
    #[error("placement on {0}, whose certificate is not known")]
    UnknownMember(NodeId),
    /// It names a node of another region than the cell's: data would leave its fence.
    #[error("placement on {0}, which stands in another region")]
    ForeignMember(NodeId),
    /// A class that the policy does not have, or not in this region.
    #[error("placement of class {0} where the policy does not allow it")]
    ForbiddenClass(ClassName),
    /// Too many nodes, none, the same one twice, or an index without a member.
    #[error("placement of class {0} on a wrong set of nodes")]
    Replicas(ClassName),
    /// The same for a model.
    #[error("placement of model {0} on a wrong set of nodes")]
    Copies(ModelRef),
    /// Members or rows that are not in order, or twice there.
    #[error("placement whose rows are not in order")]
    Disorder,
}

impl TableFault {
    /// Whether the same table may pass later, when facts that it speaks of have arrived.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        matches!(self, Self::UnknownPolicy(_) | Self::UnknownMember(_))
    }
}

/// What a table is checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) region: &'a Region,
    pub(crate) policies: &'a Policies,
    pub(crate) roster: &'a Roster,
}

/// Checks everything that follows from certificates and from the policy that the table names. Who was alive when it was
/// computed is the holder's judgement.
pub(crate) fn verify_table(table: &PlacementTable, rules: &Rules<'_>) -> Result<(), TableFault> {
    if !table.members.is_sorted_by(|a, b| a < b)
        || !table.classes.is_sorted_by(|a, b| a.class < b.class)
        || !table.models.is_sorted_by(|a, b| a.model < b.model)
    {
        return Err(TableFault::Disorder);
    }
    for node in &table.members {
        let member = rules.roster.author(node).ok_or(TableFault::UnknownMember(*node))?;
        if member.region() != rules.region {
            return Err(TableFault::ForeignMember(*node));
        }
    }
    let policy = match table.policy {
        Some(name) => Some(rules.policies.named(&name).ok_or(TableFault::UnknownPolicy(name.0))?),
        None => None,
    };
    for row in &table.classes {
        let class =
            policy.as_ref().and_then(|policy| policy.class(&row.class)).filter(|class| class.allows(rules.region));
        let class = class.ok_or_else(|| TableFault::ForbiddenClass(row.class.clone()))?;
        let whole = row.groups.len() == usize::from(GROUP_PREFIXES);
        if !whole || !row.groups.iter().all(|list| is_set(list, table.members.len(), usize::from(class.replicas))) {
            return Err(TableFault::Replicas(row.class.clone()));
        }
    }
    for row in &table.models {
        if !is_set(&row.nodes, table.members.len(), NODES_MAX) {
            return Err(TableFault::Copies(row.model.clone()));
        }
    }
    Ok(())
}

fn is_set(list: &NodeList, members: usize, most: usize) -> bool {
    let distinct: BTreeSet<u8> = list.0.iter().copied().collect();
    let within = list.0.iter().all(|&index| usize::from(index) < members);
    within && distinct.len() == list.0.len() && (1..=most).contains(&list.0.len())
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
