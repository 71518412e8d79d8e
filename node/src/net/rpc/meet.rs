//! Meetings: both ends of a relayed link tell each other over it where they may be seen, and dial each other at one moment.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hedgerow_protocol::link::{Address as _, LinkInput};
use tokio::time::{Instant, sleep, timeout};

use super::frame::{Protocol, RemoteError};
use super::link::Link;
use super::links::Links;
use super::request::exchange;
use crate::net::limits::MEET_TIMEOUT;
use crate::net::relay::{read_places, write_places};

/// Places that relays tell, of those that are told to a peer: several mean a port for each flow, and none of them is worth much.
const SEEN_MOST: usize = 3;

/// Body and answer are places. The asker dials when it has the answer, the other half a round trip after it gave it.
pub(super) const MEET: Protocol = Protocol::new("link/meet/1");

impl Links {
    /// Agrees with the peer of a relayed link to dial each other, and does.
    pub(super) async fn ask_to_meet(self, link: Arc<Link>) {
        let body = write_places(&self.places());
        let asked = timeout(MEET_TIMEOUT, exchange(&link, &MEET, &body, Instant::now() + MEET_TIMEOUT)).await;
        let peer = link.member.node();
        match asked {
            Ok(Ok(Ok(answer))) => match read_places(&answer) {
                Some(addresses) => self.step(LinkInput::Meet { peer, addresses }),
                None => tracing::debug!(node = %peer.short(), "a malformed answer to a request to meet"),
            },
            Ok(Ok(Err(error))) => tracing::debug!(node = %peer.short(), %error, "does not agree to meet"),
            Ok(Err(error)) => tracing::debug!(node = %peer.short(), %error, "the request to meet was lost"),
            Err(_elapsed) => tracing::debug!(node = %peer.short(), "no answer to a request to meet"),
        }
    }

    /// Answers a request to meet.
    pub(super) fn agree_to_meet(&self, link: &Arc<Link>, body: &[u8]) -> Result<Bytes, RemoteError> {
        let addresses = read_places(body).ok_or(RemoteError::Refused)?;
        if !link.may_meet() {
            return Err(RemoteError::Overloaded);
        }
        let (links, peer, travels) = (self.clone(), link.member.node(), link.connection.rtt() / 2);
        self.tasks().spawn(async move {
            sleep(travels.min(MEET_TIMEOUT)).await;
            links.step(LinkInput::Meet { peer, addresses });
        });
        Ok(write_places(&self.places()))
    }

    /// Where this node may be seen: as its relays see it, then by its own word.
    fn places(&self) -> Vec<SocketAddr> {
        let mut places = self.relays().seen();
        places.truncate(SEEN_MOST);
        for own in self.dialer().reached.own() {
            if !own.is_relayed() && !own.ip().is_loopback() && !places.contains(&own) {
                places.push(own);
            }
        }
        places
    }
}
