//! The state machines and wire types of a Hedgerow mesh.
//!
//! Everything that a node decides about the mesh is decided here: who is alive, who leads a cell, what is placed where,
//! whom to ask. Nothing is done here: no clock is read, no socket opened, nothing written, no random number drawn from
//! anywhere but the stream that comes in. The same code runs in a node and in a simulation of thousands.
//!
//! # Map
//! - [`machine`]: the shape that all state machines have, and the loop that drives one.
//! - [`core`]: [`core::MeshCore`], the one machine of a node; its inputs, outputs, commands and what it stores.
//! - [`coords`]: where nodes lie in the network, so that distances can be guessed before they are measured.
//! - [`defect`]: rules that a simulation can leave out; a node never does.
//! - [`fact`]: what is signed and travels; [`roster`]: whose signatures are believed.
//! - [`link`]: the links of a node, and how they are made and kept.
//! - [`wire`]: frames and messages; [`election`] and [`register`]: the formats of leases and of decisions.
//! - [`placement`], [`route`]: pure functions of a [`view`]; [`id`], [`name`], [`session_id`], [`time`]: words.
//!
//! # From bytes to a step
//! What a peer sends passes three doors: [`wire::decode`] bounds and reads it, [`wire::Message::verify`] checks every
//! signature in it, and only the result of that is an input. Formats are in `docs/wire.md`, the argument for the register
//! in `docs/rfd/0001-register.md`.
//!
//! ```
//! use hedgerow_attest::testing::SampleMesh;
//! use hedgerow_protocol::core::{Command, CoreConfig, Input, MeshCore, Output, Snapshot};
//! use hedgerow_protocol::id::BootId;
//! use hedgerow_protocol::machine::{Cx, Machine};
//! use hedgerow_protocol::time::{Mono, Wall};
//! use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
//!
//! let mesh = SampleMesh::new(1);
//! let (me, key) = (mesh.member(1, "eu"), mesh.keys(1).statement);
//! let config = CoreConfig::local(mesh.root().mesh(), me.node(), BootId([7; 16]), me.region().clone(), *me.statement());
//! let mut core = MeshCore::new(config, mesh.root().clone());
//!
//! let mut rng = ChaCha8Rng::seed_from_u64(1);
//! let mut inputs = vec![Input::Command { id: 1, command: Command::AddMember(me) }, Input::Start(Box::<Snapshot>::default())];
//! while let Some(input) = inputs.pop() {
//!     let mut out = Vec::new();
//!     core.step(&mut Cx { now: Mono(1), wall: Wall(1_767_225_600_000_000), rng: &mut rng, out: &mut out }, input);
//!     for output in out {
//!         match output {
//!             Output::Persist { token, .. } => inputs.push(Input::Persisted(token)), // once it is on the disk
//!             Output::Sign { token, statement } => inputs.push(Input::Signed { token, statement: statement.sign(&key) }),
//!             _ => {}
//!         }
//!     }
//! }
//! assert_eq!(core.view(Mono(1)).members.len(), 1);
//! ```
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![warn(clippy::wildcard_enum_match_arm)]

mod cell;
mod charters;
pub mod coords;
pub mod core;
pub mod defect;
pub mod election;
pub mod fact;
pub mod id;
pub mod link;
pub mod machine;
mod membership;
pub mod name;
mod node_map;
pub mod placement;
pub mod register;
pub mod roster;
pub mod route;
pub mod session_id;
mod sorted;
pub mod time;
pub mod view;
pub mod wire;

#[cfg(test)]
mod testing;
