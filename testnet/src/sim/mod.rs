//! Whole meshes in virtual time: thousands of mesh cores in one process, driven exactly as a node drives its own, on
//! simulated clocks, disks and networks that fail on purpose, and judged by an oracle that nodes never see.
//!
//! - [`world`] owns everything and pops the [`queue`]; [`drive`] carries out the outputs of one core, [`handshake`] those of its links, [`network`] moves
//!   parcels over [`link`]s through the [`weather`], [`life`] starts and ends nodes.
//! - [`oracle`] notes what truly happened, measures it, and names the [`oracle::Invariant`] that was broken.
//! - [`local`] plays the crashes that `measure` brings about among processes.
//! - [`placement`] asks the choice of holders directly, without a mesh.
//! - [`scenario`] reads what is to happen from TOML and plays it; [`swarm`] makes scenarios up; [`bugs`] plants defects
//!   that have to be found.
//!
//! A run is a function of its seed, its scenario and the code. Nothing in here reads a clock but for the speed that a
//! report states.

mod bugs;
mod clock;
mod command;
mod dice;
mod disk;
mod drive;
mod followers;
mod geography;
mod hand_over;
mod handshake;
mod life;
mod link;
mod local;
mod mesh;
mod network;
mod node;
mod oracle;
mod parcel;
mod placement;
mod post;
mod queue;
mod scenario;
mod sessions;
mod shrink;
mod signer;
mod swarm;
mod time;
mod weather;
mod witness;
mod world;

pub(crate) use command::{SimCommand, run};
pub(crate) use local::local_crashes;
pub(crate) use oracle::Samples;
