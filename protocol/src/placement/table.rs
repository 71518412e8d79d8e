//! The placement of one cell: which nodes hold which groups and which models. A value of the cell's register.

use super::policy::CLASSES_MAX;
use crate::fact::CELL_MEMBERS_MAX;
use crate::id::{ConfigEpoch, PlacementEpoch, PolicyVersion};
use crate::name::{ClassName, ModelRef};
use crate::session_id::GROUP_PREFIXES;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use serde::{Deserialize, Serialize};

/// Models that one cell may hold.
pub const MODELS_MAX: usize = 256;

const GROUPS_MAX: usize = GROUP_PREFIXES as usize;
/// Nodes that one group or one model may have in one cell.
pub const NODES_MAX: usize = 16;

/// One placement epoch of one cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlacementTable {
    /// Numbers the tables of the cell.
    pub epoch: PlacementEpoch,
    /// The voter set under which it was computed.
    pub config_epoch: ConfigEpoch,
    /// The policy it keeps, by version and payload digest; nothing while the mesh has none.
    pub policy: Option<(PolicyVersion, Sha256Digest)>,
    /// The members among whom was chosen, ascending; the rows below are indices into this list.
    #[serde(deserialize_with = "bounded_vec::<_, _, CELL_MEMBERS_MAX>")]
    pub members: Vec<NodeId>,
    /// The groups of each class, by name.
    #[serde(deserialize_with = "bounded_vec::<_, _, CLASSES_MAX>")]
    pub classes: Vec<ClassRow>,
    /// The nodes of each model, by name and version.
    #[serde(deserialize_with = "bounded_vec::<_, _, MODELS_MAX>")]
    pub models: Vec<ModelRow>,
}

/// The groups of one class.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClassRow {
    /// The class.
    pub class: ClassName,
    /// One entry per hash prefix.
    #[serde(deserialize_with = "bounded_vec::<_, _, GROUPS_MAX>")]
    pub groups: Vec<NodeList>,
}

/// The nodes of one model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelRow {
    /// The model and its version.
    pub model: ModelRef,
    /// The digest of its manifest.
    pub manifest: Sha256Digest,
    /// Who should hold it warm.
    pub nodes: NodeList,
}

/// Indices into the members of a table, best first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct NodeList(#[serde(deserialize_with = "bounded_vec::<_, _, NODES_MAX>")] pub Vec<u8>);

impl PlacementTable {
    /// The nodes behind a list, best first; indices without a member are skipped, and refused by verification.
    pub fn nodes<'a>(&'a self, list: &'a NodeList) -> impl Iterator<Item = NodeId> + 'a {
        list.0.iter().filter_map(|&index| self.members.get(usize::from(index)).copied())
    }

    /// The nodes of one group, best first.
    #[must_use]
    pub fn group(&self, class: &ClassName, prefix: u8) -> Option<Vec<NodeId>> {
        let row = self.classes.iter().find(|row| &row.class == class)?;
        Some(self.nodes(row.groups.get(usize::from(prefix))?).collect())
    }

    /// The nodes of one model, best first.
    #[must_use]
    pub fn model(&self, model: &ModelRef) -> Option<Vec<NodeId>> {
        let row = self.models.iter().find(|row| &row.model == model)?;
        Some(self.nodes(&row.nodes).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{ModelName, ModelVersion};

    #[test]
    fn the_bytes_of_a_table_are_frozen() {
        let class = ClassName::new("cart").unwrap();
        let model = ModelRef { model: ModelName::new("digits").unwrap(), version: ModelVersion::new("1").unwrap() };
        let groups = vec![NodeList(vec![1, 0]), NodeList(vec![0])];
        let table = PlacementTable {
            epoch: PlacementEpoch(300),
            config_epoch: ConfigEpoch(2),
            policy: Some((PolicyVersion(7), Sha256Digest::from_bytes([8; 32]))),
            members: vec![NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32])],
            classes: vec![ClassRow { class, groups }],
            models: vec![ModelRow { model, manifest: Sha256Digest::from_bytes([9; 32]), nodes: NodeList(vec![1]) }],
        };
        let bytes = postcard::to_stdvec(&table).unwrap();
        let frozen = [
            &[0xac, 0x02, 2, 1, 7],
            &[8; 32][..],
            &[2],
            &[1; 32],
            &[2; 32],
            b"\x01\x04cart\x02\x02\x01\x00\x01\x00",
            b"\x01\x06digits\x011",
            &[9; 32],
            &[1, 1],
        ];
        assert_eq!(bytes, frozen.concat());
        assert_eq!(postcard::from_bytes(&bytes), Ok(table.clone()));
        assert_eq!(table.group(&ClassName::new("cart").unwrap(), 0), Some(vec![table.members[1], table.members[0]]));
    }
}
