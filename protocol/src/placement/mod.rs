//! What is held where. Operators write rules for data, publishers sign deployments, the holder of a cell's lease computes
//! one table for the cell, and everybody checks the table against the rules before following it.
//!
//! The table is a value of the cell's register, so two holders cannot both install one. Who was fit to hold anything when
//! it was computed is the holder's judgement (it is sticky), which is why one computes and all verify.

mod bucket;
mod choose;
mod deployment;
mod fence;
mod field;
mod ground;
mod lineage;
mod meet;
mod node_class;
mod plan;
mod policies;
mod policy;
mod preview;
mod rendezvous;
mod replica_set;
mod rule;
mod settled;
mod table;
mod tenure;
mod verify;
mod whereabouts;

pub use bucket::RttBucket;
pub(crate) use choose::{Inputs, choose};
pub use deployment::Deployment;
pub use fence::Fence;
pub use field::{Choice, Field, Incumbents, Note};
pub use ground::{Ground, Holdings};
pub use lineage::{Heirs, Lineage};
pub use node_class::{BUILT_IN, NODE_CLASSES_MAX, NodeClassRule, NodeClasses, WEIGHT_MAX};
pub use plan::{Change, ClassFate, ClassPlan, ModelPlan, Move, Plan, plan};
pub(crate) use policies::Policies;
pub use policies::{PolicyName, parent_of};
pub use policy::{CLASSES_MAX, DataClass, Policy, REGIONS_MAX, REPLICAS_MAX};
pub use preview::{CellUnknown, Proposal, preview};
pub(crate) use rendezvous::draw;
pub(crate) use replica_set::same_nodes;
pub use replica_set::{ReplicaSet, Retained};
pub use rule::{Availability, Host, Refusal, Rule, TrustClass};
pub use settled::Settled;
pub use table::{ClassRow, MODELS_MAX, ModelRow, NODES_MAX, NodeList, PlacementTable};
pub use tenure::{Duty, Former, Tenure, duty, tenure};
pub(crate) use tenure::{inherited, still_counts};
pub use verify::TableFault;
pub(crate) use verify::{Rules, verify_table};
pub use whereabouts::{
    Explanation, PlacementError, PlacementReason, class_rule, explain, group_set, group_set_with, replica_set,
};
