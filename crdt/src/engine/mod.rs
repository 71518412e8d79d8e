//! The document engine behind one trait, and the one engine there is: Automerge.
//!
//! A session's document has a skeleton of three maps, made by the same change on every replica: `kv` holds one key per value (its JSON Pointer),
//! `cells` one key per counter and node (sixteen hexadecimal digits of the node's cell id and the counter's pointer), `meta` is reserved. The
//! layout is frozen by `docs/sessions.md`.

mod author;
mod automerge_doc;
mod doc_engine;
mod edit;
mod view;

pub use author::{ActorId, Author};
pub use automerge_doc::AutomergeDoc;
pub use doc_engine::{ChangeBytes, DocEngine, EditRefusal, EngineRefusal};
pub use view::{Body, CONFLICTS_SHOWN_MAX, Conflict};

pub(crate) use author::CELL_ID_LENGTH;
pub(crate) use automerge_doc::SKELETON_MAPS;
