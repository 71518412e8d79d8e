//! What the handlers of requests use.

use crate::core::CoreHandle;
use crate::exec::Shelf;
use crate::route::Router;
use crate::session::Sessions;

/// Cheap handles on the rooms that answer.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// The mesh as this node sees it.
    pub core: CoreHandle,
    /// The models on this node.
    pub shelf: Shelf,
    /// Where inferences go.
    pub router: Router,
    /// Where sessions go.
    pub sessions: Sessions,
}
