//! The only caller of the mesh core: one task that owns it, its clock, its signer and the view that it publishes.

mod durability;
mod handle;
mod inbox;
mod outputs;
mod pace;
mod rows;
mod task;
#[cfg(test)]
pub(crate) mod testing;

pub use handle::{CommandError, CoreHandle};
pub use inbox::CoreInbox;
pub use outputs::MESH_TOPIC;
pub use rows::{aggregators, member_counts, member_rows};
pub use task::{CoreParts, CoreStartError, CoreTask, Fate, fate, revoked};
