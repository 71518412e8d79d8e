//! What a recovery says, and who has to sign it.

use super::*;
use crate::id::Slot;
use crate::register::Voter;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::testing::SampleMesh;

const CELL: CellId = CellId::from_bytes([0xce; 32]);

fn voters(epoch: ConfigEpoch, seeds: &[u8]) -> Configuration {
    let voter = |n: &u8| Voter { node: NodeId::from_bytes([*n; 32]), key: SecretKey::from_seed([*n; 32]).public() };
    Configuration::majority(epoch, seeds.iter().map(voter).collect())
}

fn recovery() -> Recovery {
    let base = Head { generation: Generation(0), slot: Slot(7), digest: Sha256Digest::from_bytes([7; 32]) };
    let voters = voters(ConfigEpoch::first_of(Generation(1)), &[1, 2, 3]);
    Recovery { cell: CELL, generation: Generation(1), base, base_epoch: ConfigEpoch(4), voters }
}

#[test]
fn a_recovery_begins_a_later_generation_with_voters_of_its_own_numbers() {
    assert!(recovery().is_well_formed());
    let mut same = recovery();
    same.base.generation = Generation(1);
    assert!(!same.is_well_formed(), "the generation that it ends");
    let late = Recovery { generation: Generation(2), ..recovery() };
    assert!(!late.is_well_formed(), "voters that count from another generation's numbers");
    let far = Generation(GENERATIONS_MAX + 1);
    let far = Recovery { generation: far, voters: voters(ConfigEpoch::first_of(far), &[1]), ..recovery() };
    assert!(!far.is_well_formed());
    let mut nobody = recovery();
    nobody.voters.voters.clear();
    assert!(!nobody.is_well_formed());
}

#[test]
fn what_was_decided_after_its_base_and_before_its_generation_is_undone() {
    let recovery = recovery();
    let at = |generation, slot| recovery.undoes(Point { generation: Generation(generation), slot: Slot(slot) });
    assert_eq!([at(0, 6), at(0, 7), at(0, 8), at(0, 9)], [false, false, true, true]);
    assert_eq!([at(1, 8), at(1, 9), at(2, 1)], [false; 3]);
    assert_eq!(recovery.point(), Point { generation: Generation(1), slot: Slot(8) });
    // One that goes back behind a generation undoes all of it.
    let voters = voters(ConfigEpoch::first_of(Generation(2)), &[1]);
    let behind = Recovery { generation: Generation(2), voters, ..recovery };
    assert!(behind.is_well_formed() && behind.undoes(Point { generation: Generation(1), slot: Slot(1) }));
}

#[test]
fn the_operators_sign_it_and_nobody_else() {
    let mesh = SampleMesh::new(1);
    let open = |key: &SecretKey, recovery: &Recovery| {
        VerifiedRecovery::open(&Endorsed::sign(recovery, &[key]), mesh.root()).map(|verified| verified.head())
    };
    let digest = Endorsed::sign(&recovery(), &[]).payload_digest();
    let head = Head { generation: Generation(1), slot: Slot(8), digest };
    assert_eq!(open(mesh.operator(), &recovery()), Ok(head));
    let stranger = open(mesh.policy(), &recovery());
    assert_eq!(stranger, Err(RecoveryError::Endorsement(EndorsedError::Uninvited(mesh.policy().public()))));
    let ill_formed = Recovery { generation: Generation(2), ..recovery() };
    assert_eq!(open(mesh.operator(), &ill_formed), Err(RecoveryError::IllFormed));
}

#[test]
fn the_encoding_is_frozen_and_the_longest_fits_its_bound() {
    let bytes = postcard::to_stdvec(&recovery()).unwrap();
    let head = [vec![0xce; 32], vec![1, 0, 7], vec![7; 32], vec![4]].concat();
    let (start, rest) = bytes.split_at(head.len());
    assert_eq!(start, head);
    assert_eq!(rest[..6], [0x81, 0x80, 0x80, 0x80, 0x10, 3], "epoch 2^32 + 1, three voters");
    assert_eq!((rest.len(), rest.last()), (6 + 3 * 64 + 1, Some(&2)));
    let most = u64::MAX;
    let base = Head { generation: Generation(most), slot: Slot(most), digest: Sha256Digest::from_bytes([0xff; 32]) };
    let voters = voters(ConfigEpoch(most), &[1, 2, 3, 4, 5, 6, 7]);
    let longest = Recovery { generation: Generation(most), base, base_epoch: ConfigEpoch(most), voters, ..recovery() };
    let length = postcard::to_stdvec(&longest).unwrap().len();
    assert!(length <= Recovery::PAYLOAD_MAX, "{length}");
}
