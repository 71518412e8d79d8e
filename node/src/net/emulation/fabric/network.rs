//! The handles: a fabric and its realms.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::path::{DropReason, PathSettings};
use super::nat::Nat;
use super::socket::FabricSocket;
use super::world::{Place, RealmId, World};
use crate::net::tasks::until;

/// A network in memory; clones share it, and it lives as long as any of them, a realm or a socket.
#[derive(Clone, Debug)]
pub struct Fabric(Arc<Shared>);

/// Addresses that reach each other; clones are of one realm.
#[derive(Clone, Debug)]
pub struct Realm {
    shared: Arc<Shared>,
    id: RealmId,
}

/// What a fabric did since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FabricCounts {
    /// Datagrams that reached a socket.
    pub delivered_datagrams: u64,
    /// Their payload.
    pub delivered_bytes: u64,
    /// Datagrams that did not, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
}

/// Why an address cannot be taken; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FabricError {
    /// A socket is bound there: drop that one first.
    #[error("{address} is bound already")]
    PortTaken {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A translator or a socket has the address: take another.
    #[error("{address} belongs to another")]
    AddressTaken {
        /// The address asked for.
        address: IpAddr,
    },
    /// A fabric has no interfaces of which any would do: name an address.
    #[error("an unspecified address cannot be bound, name one")]
    Unspecified,
    /// All ports that are given out are bound: name another.
    #[error("no free port of {address} is left")]
    NoPort {
        /// The address asked for.
        address: IpAddr,
    },
}

impl Fabric {
    /// An empty network whose paths do nothing to a datagram.
    ///
    /// # Panics
    /// Outside of a tokio runtime: a task of it delivers what is due.
    pub fn new(seed: u64) -> Self {
        let core = Arc::new(Core { world: Mutex::new(World::new(Instant::now(), seed)), earlier: Notify::new() });
        let mut driver = JoinSet::new();
        driver.spawn(core.clone().drive());
        Self(Arc::new(Shared { core, _driver: driver }))
    }

    /// The internet.
    pub fn public(&self) -> Realm {
        Realm { shared: self.0.clone(), id: RealmId::PUBLIC }
    }

    /// Sets what every path does for which nothing else was set. What is on its way keeps its time, and a path whose settings
    /// change begins with an empty queue.
    pub fn set_default(&self, settings: PathSettings) {
        self.0.core.at_present(|world| world.default = settings);
    }

    /// Sets what one direction between two places does, whether sockets are there or not.
    pub fn set_path(&self, from: Place, to: Place, settings: PathSettings) {
        self.0.core.at_present(|world| world.chosen.insert((from, to), settings));
    }

    /// Has one direction between two places do what is the default again.
    pub fn clear_path(&self, from: Place, to: Place) {
        self.0.core.at_present(|world| world.chosen.remove(&(from, to)));
    }

    /// Sets the largest datagram that any path carries, headers of IP and UDP included; it is 1,500 bytes at first. A larger one is
    /// dropped without a word, so that path MTU discovery has to find out.
    pub fn set_mtu(&self, bytes: usize) {
        self.0.core.at_present(|world| world.mtu_bytes = bytes);
    }

    /// What it did since it was made.
    pub fn counts(&self) -> FabricCounts {
        self.0.core.at_present(|world| world.counts.clone())
    }
}

impl Realm {
    /// Binds a socket; port 0 picks a free port. The address is free again when the socket is dropped.
    ///
    /// # Errors
    /// [`FabricError`].
    pub fn bind(&self, address: SocketAddr) -> Result<Arc<FabricSocket>, FabricError> {
        let place = self.shared.core.at_present(|world| world.bind(self.id, address))?;
        Ok(Arc::new(FabricSocket::new(self.shared.clone(), place)))
    }

    /// Makes a realm whose sockets reach this one through a translator that has the address `outer` here. Behind another
    /// translator this is what a customer of a carrier-grade NAT has.
    ///
    /// # Errors
    /// [`FabricError`].
    pub fn behind_nat(&self, outer: IpAddr, nat: Nat) -> Result<Self, FabricError> {
        let id = self.shared.core.at_present(|world| world.add_realm(self.id, outer, nat))?;
        Ok(Self { shared: self.shared.clone(), id })
    }

    /// An address of this realm, for [`Fabric::set_path`].
    pub const fn place(&self, address: SocketAddr) -> Place {
        Place { realm: self.id, address }
    }
}

/// Ends the delivery with the last handle.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) core: Arc<Core>,
    _driver: JoinSet<()>,
}

/// The state, and the signal that something became due earlier than all before.
#[derive(Debug)]
pub(super) struct Core {
    world: Mutex<World>,
    earlier: Notify,
}

impl Core {
    /// Changes the state at the present moment, once all that is due has arrived.
    pub(super) fn at_present<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world();
        let earliest = world.next_due();
        world.advance(Instant::now());
        let result = act(&mut world);
        let next = world.next_due();
        drop(world);
        // The task sleeps until the earliest at most; only what is due before that has to wake it.
        if next.is_some_and(|next| earliest.is_none_or(|earliest| next < earliest)) {
            self.earlier.notify_one();
        }
        result
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no holder of the lock panics")
    }

    async fn drive(self: Arc<Self>) {
        loop {
            let due = self.world().next_due();
            tokio::select! {
                () = until(due) => self.at_present(|_world| ()),
                () = self.earlier.notified() => {}
            }
        }
    }
}
