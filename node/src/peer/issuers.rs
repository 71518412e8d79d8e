//! Who issues certificates in this mesh, and where they are, as far as this node knows; also after a long time away.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::identity::Identity;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_attest::root::TrustRoot;
use hedgerow_protocol::link::Address as _;
use hedgerow_protocol::roster::Roster;

use crate::core::CoreHandle;
use crate::identity::issues;
use crate::net::Net;

/// Issuers whose keys are remembered. A mesh has a few.
const ISSUERS_MAX: usize = 64;

/// Members beside issuers that are asked why others refuse this node.
const WITNESSES_MAX: usize = 4;

/// The issuers that are known, by the transport keys that they have to prove.
#[derive(Debug, Default)]
pub(super) struct Issuers(BTreeMap<NodeId, PeerId>);

impl Issuers {
    /// Those among certificates that were kept, ended or not: who issued its own certificate has the right to issue.
    pub(super) fn of_kept<'a>(certificates: impl Iterator<Item = &'a Vec<u8>>, root: &TrustRoot) -> Self {
        let mut issuers = Self::default();
        for bytes in certificates {
            let Ok(certificate) = Certificate::from_bytes(bytes) else { continue };
            let Ok(named) = certificate.delegation.verify_threshold(root.membership()) else { continue };
            if let Ok(identity) = Identity::verify(&certificate.identity)
                && identity.node() == named.issuer
            {
                issuers.insert(identity.node(), identity.peer());
            }
        }
        issuers
    }

    /// Whom to ask, the issuer of the present certificate first.
    pub(super) fn by_preference(&mut self, own: &Member, core: &CoreHandle) -> Vec<(NodeId, PeerId)> {
        self.learn(&core.roster());
        let mut known: Vec<(NodeId, PeerId)> = self.0.iter().map(|(node, peer)| (*node, *peer)).collect();
        known.retain(|(node, _)| *node != own.node());
        known.sort_by_key(|(node, _)| *node != own.issuer());
        known
    }

    /// Who may know why others refuse this node, and where they are: issuers, and a few members more.
    pub(super) fn witnesses(
        &mut self,
        own: &Member,
        net: &Net,
        core: &CoreHandle,
    ) -> Vec<(NodeId, PeerId, Vec<SocketAddr>)> {
        let mut witnesses = self.by_preference(own, core);
        let (view, roster) = (core.view(), core.roster());
        let others = view.members.keys().filter(|node| **node != own.node());
        let others = others.filter(|node| !witnesses.iter().any(|(known, _)| known == *node)).take(WITNESSES_MAX);
        let others: Vec<_> = others.filter_map(|node| Some((*node, roster.member(node)?.peer()))).collect();
        witnesses.extend(others);
        witnesses.into_iter().map(|(node, peer)| (node, peer, self.addresses(&node, net, core))).collect()
    }

    /// Where an issuer may be dialled.
    pub(super) fn addresses(&self, issuer: &NodeId, net: &Net, core: &CoreHandle) -> Vec<SocketAddr> {
        let mut addresses = net.addresses(*issuer);
        let view = core.view();
        let contact = view.contact(issuer).into_iter().flat_map(|(_, contact)| contact.addresses.clone());
        addresses.extend(contact);
        let mut seen = Vec::new();
        addresses.retain(|address| {
            // The join lane is dialled, and not through relays.
            let is_new = !seen.contains(address) && !address.is_relayed();
            seen.push(*address);
            is_new
        });
        addresses
    }

    fn learn(&mut self, roster: &Roster) {
        self.0.retain(|issuer, _| !roster.revoked().contains(issuer));
        for member in roster.members().filter(|member| issues(member)) {
            self.insert(member.node(), member.peer());
        }
    }

    fn insert(&mut self, node: NodeId, peer: PeerId) {
        if self.0.len() < ISSUERS_MAX || self.0.contains_key(&node) {
            self.0.insert(node, peer);
        }
    }
}
