//! What one node believes at one moment: an immutable snapshot for routing, sessions and people.

mod state;
mod types;

pub use state::MemberState;
pub use types::{
    AggregatorView, CellView, DeploymentView, MemberView, MeshView, ModelPlacement, Need, Needed, PlacementView,
};
