//! A network in memory, for tests and benchmarks: sockets in realms, address translators between them, and between any two
//! sockets a path with delay, jitter, loss, rate, queue or a cut, all changeable while it runs.
//!
//! A [`Realm`] is a set of addresses that reach each other: [`Fabric::public`] is the internet, [`Realm::behind_nat`] makes a
//! private one whose sockets reach the outer realm through a port-translating [`Nat`]. Two private realms may use equal addresses.
//! [`Realm::bind`] gives a [`FabricSocket`], which is a [`quinn::AsyncUdpSocket`]: an endpoint or a whole
//! [`Net`](crate::net::Net) runs over it (`Socket::Given`).
//!
//! Time is tokio's, so that a test may pause it; timers of tokio have a resolution of one millisecond, and a datagram may arrive that
//! much late where nothing else happens meanwhile. All randomness follows from the seed: fates are equal in two runs in which the
//! same datagrams are sent in the same order.
//!
//! ```
//! use std::time::Duration;
//! use hedgerow::net::PathSettings;
//! use hedgerow::net::fabric::{Fabric, Nat};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), hedgerow::net::fabric::FabricError> {
//! let fabric = Fabric::new(1);
//! let server = fabric.public().bind("203.0.113.1:4334".parse().unwrap())?;
//! let home = fabric.public().behind_nat("198.51.100.1".parse().unwrap(), Nat::HOME)?;
//! let client = home.bind("192.168.1.2:4334".parse().unwrap())?;
//! fabric.set_default(PathSettings::delayed(Duration::from_millis(20)));
//! let slow = PathSettings { rate_kbps: 1_000, ..PathSettings::CLEAR };
//! fabric.set_path(client.place(), server.place(), slow);
//! # Ok(())
//! # }
//! ```
//!
//! What a path is told concerns the whole way between two sockets, whatever translators are in between. Translators and firewalls
//! judge a datagram when it arrives, so that one that was sent before its hole was punched may still get through.

mod nat;
mod network;
mod socket;
mod world;

pub use nat::{Filtering, Mapping, Nat};
pub use network::{Fabric, FabricCounts, FabricError, Realm};
pub use socket::FabricSocket;
pub use world::Place;
