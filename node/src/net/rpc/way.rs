//! Ways to a member: direct ones, and through the relays at which it waits.

use std::net::SocketAddr;
use std::time::Duration;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_protocol::link::{Address as _, relay_of};

use super::link::Made;
use super::link_error::LinkError;
use super::links::Links;
use crate::net::close::Close;
use crate::net::dial::{DialError, Dialled};
use crate::net::lane::LinkLane;
use crate::net::refusal::Refusal;
use crate::net::relay::{RelayError, is_place};
use crate::net::tls::Expected;

/// Why there is no connection beside a link.
#[derive(Debug, thiserror::Error)]
pub enum BesideError {
    /// There is no link.
    #[error("no link to the node")]
    Link(#[source] LinkError),
    /// There is one, and another connection was not made where it is.
    #[error("dial the node where its link is")]
    Dial(#[source] DialError),
}

impl BesideError {
    /// Whether the peer has no room for another connection.
    pub(in crate::net) fn is_of_overload(&self) -> bool {
        matches!(self, Self::Dial(DialError::RefusedByPeer { reason: Some(Refusal::Overloaded) }))
    }
}

/// For a link that is yet to be made, all of its ways.
const LINK_TIMEOUT: Duration = Duration::from_secs(8);

impl Links {
    /// One attempt of the link machine: dials an address as nodes tell it to each other.
    pub(super) async fn attempt(&self, peer: NodeId, address: SocketAddr) -> Result<Dialled, DialError> {
        let dial = |place| self.dialer().dial(place, LinkLane::Rpc, Expected::Node(peer));
        let Some(lead) = relay_of(&address) else { return dial(address).await };
        let (relay, at) = self.relay_named(lead).ok_or(DialError::Relay(RelayError::Unknown))?;
        let absences = self.relays().absences();
        let place = self.relays().place(self.dialer(), relay, &at, peer).await.map_err(DialError::Relay)?;
        tokio::select! {
            dialled = dial(place) => dialled,
            () = absences.of(relay, peer) => Err(DialError::Relay(RelayError::Absent)),
        }
    }

    /// A connection of another lane to a member, made where its link is.
    pub(in crate::net) async fn dial_beside(&self, peer: NodeId, lane: LinkLane) -> Result<Dialled, BesideError> {
        let link = self.link_within(peer, LINK_TIMEOUT).await.map_err(BesideError::Link)?;
        let dialled = self.dialer().dial(link.remote(), lane, Expected::Node(peer)).await;
        dialled.map_err(BesideError::Dial)
    }

    /// A connection with the way on which it was made; it is closed if that has ended meanwhile.
    pub(super) fn made(&self, connection: quinn::Connection, member: Member) -> Option<Made> {
        let remote = connection.remote_address();
        let relay = self.relays().relay(&remote);
        if is_place(&remote) && relay.is_none() {
            Close::Done.close(&connection);
            return None;
        }
        Some(Made { connection, member, relay })
    }

    /// Closes all relayed links, because this node stops; whether there were any.
    pub(in crate::net) fn close_relayed(&self) -> bool {
        let relayed: Vec<_> =
            self.table(|table, _| table.all_open()).into_iter().filter(|link| link.relay().is_some()).collect();
        relayed.iter().for_each(|link| Close::Shutdown.close(&link.connection));
        !relayed.is_empty()
    }

    /// Where a member may be dialled without a relay, best first.
    pub(super) fn direct_addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        let known = self.candidates(node).into_iter().map(|known| known.address);
        known.filter(|address| !address.is_relayed()).collect()
    }

    /// The member that an address names as its relay, and where it is.
    fn relay_named(&self, lead: u64) -> Option<(NodeId, Vec<SocketAddr>)> {
        let named =
            |table: &super::table::Table| table.machine.known().map(|(node, _)| node).find(|node| node.lead() == lead);
        let relay = self.table(|table, _| named(table))?;
        let linked = self.live_link(&relay).filter(|link| link.relay().is_none()).map(|link| link.remote());
        Some((relay, linked.map_or_else(|| self.direct_addresses(relay), |remote| vec![remote])))
    }
}
