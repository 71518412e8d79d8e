//! Invitations and their redemption, counted exactly.

use hedgerow_attest::id::NodeId;
use hedgerow_attest::invite::{InviteId, InviteSecret};
use hedgerow_attest::membership::Roles;
use hedgerow_attest::name::FailureDomain;
use hedgerow_attest::region::Region;
use hedgerow_attest::time::UnixSeconds;
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::committer::{Completion, Sync};
use super::mesh::{FILE, MeshStore, read_failed};
use super::open::LoadError;

/// What an operator promised with a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Shared with the ticket; who proves to know it may join.
    pub secret: InviteSecret,
    /// How many more nodes may join with it.
    pub uses_left: u32,
    /// Last second at which it may be redeemed.
    pub not_after: UnixSeconds,
    /// The region that certificates issued for it name.
    pub region: Region,
    /// The roles that they name.
    pub roles: Roles,
    /// The failure domain that they name, if any.
    pub domain: Option<FailureDomain>,
}

/// A use of an invitation that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redemption {
    /// Serial for the certificate to issue; never given out twice.
    pub serial: u64,
    /// How many more nodes may join with the invitation.
    pub uses_left: u32,
    /// The same node had redeemed it before, as after an answer that was lost; no further use was counted.
    pub again: bool,
}

/// Why an invitation was not redeemed. Nothing was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedeemRefusal {
    /// It was never made here, or was forgotten after it had expired; ask for a fresh ticket.
    #[error("redeem the invitation: this node knows none with its id; ask for a fresh ticket")]
    Unknown,
    /// Its time is over; ask for a fresh ticket.
    #[error("redeem the invitation: it expired at {not_after}; ask for a fresh ticket")]
    Expired {
        /// Last second at which it could be redeemed.
        not_after: UnixSeconds,
    },
    /// As many nodes have joined with it as were to; ask for a ticket with more uses.
    #[error("redeem the invitation: all its uses are taken; ask for a fresh ticket")]
    UsedUp,
}

impl MeshStore {
    /// Keeps an invitation before its ticket is shown; forgets those that expired before `now`.
    pub async fn add_invite(&self, id: InviteId, invite: Invite, now: UnixSeconds) -> Completion {
        let value = StoredInvite::V2(invite).encode();
        self.committer
            .submit(Sync::Durable, move |transaction| {
                forget_expired(transaction, now)?;
                transaction.open_table(INVITES)?.insert(&id.0, value.as_slice())?;
                Ok(())
            })
            .await
    }

    /// The invitation with this id. Blocks on the disk.
    pub fn invite(&self, id: InviteId) -> Result<Option<Invite>, LoadError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(INVITES)?;
            Ok(table.get(&id.0)?.map(|value| value.value().to_vec()))
        };
        match read().map_err(read_failed)? {
            None => Ok(None),
            Some(value) => match StoredInvite::decode(&value) {
                Some(invite) => Ok(Some(invite)),
                None => Err(LoadError::Row { file: FILE, table: "invites" }),
            },
        }
    }

    /// Counts a use of an invitation by a node and takes a serial above that one for its certificate, durably and in one step: of any
    /// number of nodes that race for the last use, one gets it. A node that redeems again gets a serial and costs no use.
    pub async fn redeem(
        &self,
        id: InviteId,
        node: NodeId,
        above: u64,
        now: UnixSeconds,
    ) -> Completion<Result<Redemption, RedeemRefusal>> {
        self.committer.submit(Sync::Durable, move |transaction| redeem(transaction, id, node, above, now)).await
    }

    /// Takes a serial for a certificate that follows one of that serial, whoever issued it; nothing where no higher one is left.
    pub async fn serial_above(&self, before: u64) -> Completion<Option<u64>> {
        self.committer.submit(Sync::Durable, move |transaction| take_serial_above(transaction, before)).await
    }
}

/// The row of an invitation; the variant's number is its version.
#[derive(Serialize, Deserialize)]
enum StoredInvite {
    V1(InviteV1),
    V2(Invite),
}

/// An invitation before there were failure domains.
#[derive(Serialize, Deserialize)]
struct InviteV1 {
    secret: InviteSecret,
    uses_left: u32,
    not_after: UnixSeconds,
    region: Region,
    roles: Roles,
}

impl StoredInvite {
    fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("an invitation encodes into memory")
    }

    fn decode(bytes: &[u8]) -> Option<Invite> {
        Some(match postcard::from_bytes(bytes).ok()? {
            Self::V1(InviteV1 { secret, uses_left, not_after, region, roles }) => {
                Invite { secret, uses_left, not_after, region, roles, domain: None }
            }
            Self::V2(invite) => invite,
        })
    }
}

fn redeem(
    transaction: &WriteTransaction,
    id: InviteId,
    node: NodeId,
    above: u64,
    now: UnixSeconds,
) -> Result<Result<Redemption, RedeemRefusal>, redb::Error> {
    let mut invites = transaction.open_table(INVITES)?;
    let Some(mut invite) = invites.get(&id.0)?.map(|value| stored(value.value())).transpose()? else {
        return Ok(Err(RedeemRefusal::Unknown));
    };
    if now > invite.not_after {
        return Ok(Err(RedeemRefusal::Expired { not_after: invite.not_after }));
    }
    let mut redemptions = transaction.open_table(REDEMPTIONS)?;
    let again = redemptions.get((&id.0, node.as_bytes()))?.is_some();
    if !again {
        let Some(left) = invite.uses_left.checked_sub(1) else { return Ok(Err(RedeemRefusal::UsedUp)) };
        invite.uses_left = left;
    }
    let uses_left = invite.uses_left;
    let exhausted = || redb::Error::Corrupted("there is no serial after the last one".to_owned());
    let serial = take_serial_above(transaction, above)?.ok_or_else(exhausted)?;
    redemptions.insert((&id.0, node.as_bytes()), serial)?;
    invites.insert(&id.0, StoredInvite::V2(invite).encode().as_slice())?;
    Ok(Ok(Redemption { serial, uses_left, again }))
}

fn take_serial_above(transaction: &WriteTransaction, before: u64) -> Result<Option<u64>, redb::Error> {
    let mut issuer = transaction.open_table(ISSUER)?;
    let last = issuer.get("serial")?.map_or(0, |last| last.value());
    let Some(serial) = last.max(before).checked_add(1) else { return Ok(None) };
    issuer.insert("serial", serial)?;
    Ok(Some(serial))
}

fn forget_expired(transaction: &WriteTransaction, now: UnixSeconds) -> Result<(), redb::Error> {
    let mut invites = transaction.open_table(INVITES)?;
    let mut expired = Vec::new();
    for entry in invites.iter()? {
        let (id, value) = entry?;
        let invite = stored(value.value())?;
        if invite.not_after < now {
            expired.push(*id.value());
        }
    }
    let mut redemptions = transaction.open_table(REDEMPTIONS)?;
    for id in &expired {
        invites.remove(id)?;
        redemptions.retain_in((id, &[0; 32])..=(id, &[0xff; 32]), |_, _| false)?;
    }
    Ok(())
}

fn stored(value: &[u8]) -> Result<Invite, redb::Error> {
    StoredInvite::decode(value).ok_or_else(|| redb::Error::Corrupted("an invitation does not decode".to_owned()))
}

pub(super) fn make_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(INVITES)?;
    transaction.open_table(REDEMPTIONS)?;
    transaction.open_table(ISSUER)?;
    Ok(())
}

const INVITES: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("invites");
/// Which node redeemed which invitation, with the serial of the latest certificate for it.
const REDEMPTIONS: TableDefinition<'_, (&[u8; 16], &[u8; 32]), u64> = TableDefinition::new("redemptions");
const ISSUER: TableDefinition<'_, &str, u64> = TableDefinition::new("issuer");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::testing::{Disk, mesh_store};
    use super::*;

    const ID: InviteId = InviteId([7; 16]);
    const NOW: UnixSeconds = UnixSeconds(1_000);

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn racing_nodes_get_exactly_the_uses_that_there_are() {
        let disk = Disk::default();
        let (mesh, thread) = mesh_store(&disk);
        mesh.add_invite(ID, invite(5), NOW).await.await.unwrap();
        let mut racing = tokio::task::JoinSet::new();
        for number in 0..64 {
            let mesh = mesh.clone();
            racing.spawn(async move { mesh.redeem(ID, node(number), 0, NOW).await.await.unwrap() });
        }
        let outcomes = racing.join_all().await;
        let redeemed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.ok()).collect();
        let serials: BTreeSet<u64> = redeemed.iter().map(|redemption| redemption.serial).collect();
        let left: BTreeSet<u32> = redeemed.iter().map(|redemption| redemption.uses_left).collect();
        assert_eq!(redeemed.len(), 5);
        assert_eq!((serials, left), ((1..=5).collect(), (0..=4).collect()));
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(RedeemRefusal::UsedUp)).count(), 59);
        thread.close().await;

        let (mesh, thread) = mesh_store(&disk.crashed(0));
        assert_eq!(
            mesh.redeem(ID, node(99), 0, NOW).await.await.unwrap(),
            Err(RedeemRefusal::UsedUp),
            "counted for good"
        );
        let mut serials = Vec::new();
        for before in [0, 3, 40, 7, u64::MAX, u64::MAX - 1, 0] {
            serials.push(mesh.serial_above(before).await.await.unwrap());
        }
        let taken = [Some(6), Some(7), Some(41), Some(42), None, Some(u64::MAX), None];
        assert_eq!(serials, taken, "above what others gave out, and never twice");
        thread.close().await;
    }

    #[tokio::test]
    async fn a_node_whose_answer_was_lost_redeems_again_for_nothing() {
        let (mesh, thread) = mesh_store(&Disk::default());
        mesh.add_invite(ID, invite(1), NOW).await.await.unwrap();
        let first = mesh.redeem(ID, node(1), 0, NOW).await.await.unwrap();
        assert_eq!(first, Ok(Redemption { serial: 1, uses_left: 0, again: false }));
        let second = mesh.redeem(ID, node(1), 0, NOW).await.await.unwrap();
        assert_eq!(second, Ok(Redemption { serial: 2, uses_left: 0, again: true }));
        assert_eq!(mesh.redeem(ID, node(2), 0, NOW).await.await.unwrap(), Err(RedeemRefusal::UsedUp));
        thread.close().await;
    }

    #[tokio::test]
    async fn an_invitation_ends_with_its_last_second_and_is_then_forgotten() {
        let (mesh, thread) = mesh_store(&Disk::default());
        mesh.add_invite(ID, invite(9), NOW).await.await.unwrap();
        let end = UnixSeconds(2_000);
        assert!(mesh.redeem(ID, node(1), 0, end).await.await.unwrap().is_ok());
        let late = mesh.redeem(ID, node(1), 0, UnixSeconds(2_001)).await.await.unwrap();
        assert_eq!(late, Err(RedeemRefusal::Expired { not_after: end }), "also for one who has redeemed it");
        assert_eq!(mesh.invite(ID).unwrap().unwrap().uses_left, 8);

        mesh.add_invite(InviteId([8; 16]), invite(1), UnixSeconds(2_001)).await.await.unwrap();
        assert_eq!(mesh.invite(ID).unwrap(), None);
        let unknown = mesh.redeem(ID, node(1), 0, end).await.await.unwrap();
        assert_eq!(unknown, Err(RedeemRefusal::Unknown));
        thread.close().await;
    }

    #[test]
    fn the_stored_form_is_frozen_and_the_secret_is_not_shown() {
        let one = Invite { domain: Some("rack-7".parse().unwrap()), ..invite(3) };
        let stored = StoredInvite::V2(one.clone()).encode();
        let first = format!("{}03d00f02657507", "2a".repeat(16));
        assert_eq!(data_encoding::HEXLOWER.encode(&stored), format!("01{first}01067261636b2d37"));
        assert_eq!(StoredInvite::decode(&stored), Some(one));
        let before = data_encoding::HEXLOWER.decode(format!("00{first}").as_bytes()).unwrap();
        assert_eq!(StoredInvite::decode(&before), Some(invite(3)), "kept before there were failure domains");
        assert!(!format!("{:?}", invite(3)).contains("42"), "{:?}", invite(3));
    }

    fn invite(uses_left: u32) -> Invite {
        let region = "eu".parse().unwrap();
        Invite {
            secret: InviteSecret::from_bytes([42; 16]),
            uses_left,
            not_after: UnixSeconds(2_000),
            region,
            roles: Roles::all(),
            domain: None,
        }
    }

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }
}
