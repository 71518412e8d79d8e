//! What the rooms of a node are made of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use hedgerow_attest::membership::Certificate;
use hedgerow_attest::revoked::Revoked;
use hedgerow_protocol::core::CoreConfig;
use hedgerow_protocol::fact::SignedFact;
use hedgerow_protocol::id::BootId;
use hedgerow_protocol::roster::Roster;
use tokio::sync::watch;

use super::start::PeerStartError;
use crate::admin::About;
use crate::core::CoreParts;
use crate::identity::Enrolled;
use crate::net::{Net, Trust};
use crate::observe::{Conditions, Counters, EventLog};
use crate::session::GroupsParts;
use crate::store::{DataFolder, LoadError, MeshStore, Store};

/// Where every room tells what it has to tell: how often, what stands, and what happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) counters: Counters,
    pub(super) conditions: Conditions,
    pub(super) events: EventLog,
}

pub(super) fn trust(enrolled: &Enrolled, revoked: Revoked) -> Trust {
    Trust {
        node: enrolled.identity.node(),
        transport: enrolled.identity.transport().clone(),
        root: Some(enrolled.root.clone()),
        own: Some(enrolled.member.certificate().clone()),
        revoked,
    }
}

pub(super) fn about(
    enrolled: &Enrolled,
    folder: &DataFolder,
    rest: SocketAddr,
    advertised: &[SocketAddr],
    started: Instant,
) -> About {
    About {
        peer: enrolled.identity.peer(),
        region: enrolled.member.region().clone(),
        rest,
        admin: folder.layout().admin_socket(),
        advertised: advertised.to_vec(),
        started,
    }
}

pub(super) fn core_parts(
    enrolled: &Enrolled,
    store: &Store,
    net: &Net,
    boot: BootId,
    told: &Told,
) -> Result<CoreParts, PeerStartError> {
    let member = &enrolled.member;
    let statement = enrolled.identity.statement().clone();
    let config =
        CoreConfig::local(enrolled.root.mesh(), member.node(), boot, member.region().clone(), statement.public());
    let known =
        store.mesh.certificates()?.into_iter().filter_map(|(node, bytes)| match Certificate::from_bytes(&bytes) {
            Ok(certificate) => Some(SignedFact::Member(Box::new(certificate))),
            Err(error) => {
                tracing::warn!(%node, %error, "a stored certificate does not read back");
                None
            }
        });
    Ok(CoreParts {
        config,
        root: enrolled.root.clone(),
        statement,
        facts: known.chain(enrolled.facts()).collect(),
        store: store.mesh.clone(),
        net: net.clone(),
        counters: told.counters.clone(),
        conditions: told.conditions.clone(),
        events: told.events.clone(),
        seed: random()?,
    })
}

pub(super) fn groups_parts(
    enrolled: &Enrolled,
    store: &Store,
    net: &Net,
    boot: BootId,
    roster: watch::Receiver<Arc<Roster>>,
    told: &Told,
) -> Result<GroupsParts, PeerStartError> {
    Ok(GroupsParts {
        me: enrolled.identity.node(),
        boot,
        statement: enrolled.identity.statement().clone(),
        log: store.sessions.clone(),
        net: net.clone(),
        roster,
        counters: told.counters.clone(),
        conditions: told.conditions.clone(),
        seed: random()?,
    })
}

/// Whom this node knew before it stopped, or was told of when it joined.
pub(super) fn dial_known(net: &Net, store: &MeshStore) -> Result<(), LoadError> {
    for (node, addresses) in store.addresses()? {
        net.recall(node, addresses);
        net.connect(node);
    }
    Ok(())
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], PeerStartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(PeerStartError::Random)?;
    Ok(bytes)
}
