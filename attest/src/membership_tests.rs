use super::*;
use crate::digest::Sha256Digest;
use crate::endorsed::EndorsedError;
use crate::key::SecretKey;
use crate::testing::{ISSUER, SampleMesh};
use proptest::prelude::*;

const NODE: u32 = 5;

const DAY_S: u64 = 86_400;

fn good(mesh: &SampleMesh) -> (Membership, Certificate) {
    let keys = mesh.keys(NODE);
    let membership = mesh.membership(&keys, "eu", 9);
    let certificate = mesh.certificate(&keys, &membership);
    (membership, certificate)
}

/// The refusal of a certificate that the issuer signed with this change.
fn refused(mesh: &SampleMesh, change: impl FnOnce(&mut Membership)) -> MembershipError {
    let (mut membership, _certificate) = good(mesh);
    change(&mut membership);
    mesh.certificate(&mesh.keys(NODE), &membership).verify(mesh.root(), SampleMesh::NOW, 0).unwrap_err()
}

#[test]
fn a_certificate_says_who_where_as_what_and_until_when() {
    let mesh = SampleMesh::new(1);
    let (membership, certificate) = good(&mesh);
    let keys = mesh.keys(NODE);
    let member = certificate.verify(mesh.root(), SampleMesh::NOW, 0).unwrap();
    assert_eq!(
        (member.node(), *member.transport(), *member.statement()),
        (keys.chain.node(), keys.transport.public(), keys.statement.public())
    );
    assert_eq!((member.region().as_str(), member.class().as_str()), ("eu", "edge"));
    assert_eq!((member.serial(), member.issuer(), member.rotations()), (9, mesh.keys(ISSUER).chain.node(), 0));
    assert_eq!((member.not_before(), member.not_after()), (membership.not_before, membership.not_after));
    assert!(member.roles().contains(Role::Voter));
    assert_eq!(*member.certificate(), certificate);
    assert_eq!(Certificate::from_bytes(&certificate.to_bytes()), Ok(certificate));
}

#[test]
fn the_certificate_is_frozen() {
    let (membership, certificate) = good(&SampleMesh::new(1));
    let bytes = certificate.to_bytes();
    assert_eq!(
        certificate.membership.payload_digest().to_string(),
        "288df18526dec04bdeba74e7365ab0ab26567ed1bdee89a5a0de78c3275b4460"
    );
    assert_eq!(
        (bytes.len(), Sha256Digest::of(&bytes).to_string().as_str()),
        (783, "5bcc23a2e1fd452d8e1d12039a7ab8e6fd65a38a1f56bf6eae096df5ea312e8a")
    );
    assert_eq!(certificate.membership.peek(), Ok(membership));
}

#[test]
fn a_membership_with_a_failure_domain_is_of_version_2_and_frozen() {
    let mesh = SampleMesh::new(1);
    let (membership, certificate) = good(&mesh);
    assert_eq!((membership.version(), certificate.membership.payload()[0]), (1, 1));
    let placed = Membership { domain: Some(FailureDomain::new("rack-7").unwrap()), ..membership };
    let issued = mesh.certificate(&mesh.keys(NODE), &placed);
    let member = issued.verify(mesh.root(), SampleMesh::NOW, 0).unwrap();
    assert_eq!((placed.version(), member.domain().map(FailureDomain::as_str)), (2, Some("rack-7")));
    let end = [&certificate.membership.payload()[1..], b"\x06rack-7"].concat();
    assert_eq!(issued.membership.payload(), [&[2], end.as_slice()].concat());
    assert_eq!(Certificate::from_bytes(&issued.to_bytes()), Ok(issued));
}

/// A membership as a later release may write it.
#[derive(Serialize, Deserialize)]
struct Later(u8, Vec<u8>);

impl Domain for Later {
    const DOMAIN: &'static str = Membership::DOMAIN;
    const PAYLOAD_MAX: usize = 64;
}

#[test]
fn a_membership_of_a_later_version_is_told_from_a_broken_one() {
    let mesh = SampleMesh::new(1);
    let opened = |version| {
        let signed = Signed::sign(&Later(version, vec![9; 9]), &mesh.keys(ISSUER).statement).to_bytes();
        let membership = Signed::from_bytes(&signed).unwrap();
        Certificate { membership, ..good(&mesh).1 }.verify(mesh.root(), SampleMesh::NOW, 0).unwrap_err()
    };
    assert_eq!(opened(3), MembershipError::UnsupportedVersion(3));
    assert!(matches!(opened(2), MembershipError::Signature(VerifyError::Payload(_))));
    assert!(matches!(opened(0), MembershipError::Signature(VerifyError::Payload(_))));
}

#[test]
fn a_stolen_issuer_cannot_put_its_own_keys_beside_a_nodes_name() {
    let mesh = SampleMesh::new(1);
    let (thief, victim) = (mesh.keys(66), mesh.keys(NODE));
    let mut membership = mesh.membership(&thief, "eu", 10);
    membership.node = victim.chain.node();
    for chain in [&thief, &victim] {
        let certificate = mesh.certificate(chain, &membership);
        assert_eq!(certificate.verify(mesh.root(), SampleMesh::NOW, 0), Err(MembershipError::OtherKeys));
    }
}

#[test]
fn a_certificate_of_keys_before_a_rotation_does_not_fit_the_longer_chain() {
    let mesh = SampleMesh::new(1);
    let keys = mesh.keys(NODE);
    let certificate = mesh.certificate(&keys.rotated(), &mesh.membership(&keys, "eu", 9));
    assert_eq!(certificate.verify(mesh.root(), SampleMesh::NOW, 0), Err(MembershipError::OtherKeys));
}

#[test]
fn only_the_delegated_issuer_issues() {
    let mesh = SampleMesh::new(1);
    let (membership, mut certificate) = good(&mesh);
    let thief = SecretKey::from_seed([66; 32]);
    certificate.membership = Signed::sign(&membership, &thief);
    let (expected, claimed) = (mesh.keys(ISSUER).statement.public(), thief.public());
    assert_eq!(
        certificate.verify(mesh.root(), SampleMesh::NOW, 0),
        Err(MembershipError::Signature(VerifyError::WrongSigner { expected, claimed }))
    );
    let mut delegation = mesh.delegation().peek().unwrap();
    delegation.statement = thief.public();
    certificate.delegation = Endorsed::sign(&delegation, &[&thief]);
    assert_eq!(
        certificate.verify(mesh.root(), SampleMesh::NOW, 0),
        Err(MembershipError::Delegation(DelegationError::Endorsement(EndorsedError::Uninvited(thief.public()))))
    );
}

#[test]
fn a_member_of_another_mesh_is_a_stranger() {
    let (mesh, other) = (SampleMesh::new(1), SampleMesh::new(2));
    let (_membership, certificate) = good(&other);
    assert_eq!(
        certificate.verify(mesh.root(), SampleMesh::NOW, 0),
        Err(MembershipError::Delegation(DelegationError::Endorsement(EndorsedError::Uninvited(
            other.operator().public()
        ))))
    );
    let elsewhere = other.root().mesh();
    assert_eq!(refused(&mesh, |membership| membership.mesh = elsewhere), MembershipError::OtherMesh(elsewhere));
}

#[test]
fn what_the_issuer_signed_must_also_make_sense() {
    let mesh = SampleMesh::new(1);
    let issuer = mesh.keys(ISSUER).chain.node();
    let named = mesh.keys(7).chain.node();
    assert_eq!(
        refused(&mesh, |membership| membership.issuer = named),
        MembershipError::OtherIssuer { named, delegated: issuer }
    );
    let max_s = mesh.root().lifetimes().membership_s;
    assert_eq!(
        refused(&mesh, |membership| membership.not_after = membership.not_after.plus_s(1)),
        MembershipError::Lifetime { lifetime_s: max_s + 1, max_s }
    );
    assert_eq!(
        refused(&mesh, |membership| membership.not_after = UnixSeconds(membership.not_before.0 - 1)),
        MembershipError::Lifetime { lifetime_s: u64::MAX, max_s }
    );
    assert_eq!(refused(&mesh, |membership| membership.node = named), MembershipError::OtherKeys);
}

#[test]
fn a_certificate_holds_between_its_dates_give_or_take_the_skew() {
    let mesh = SampleMesh::new(1);
    let (membership, certificate) = good(&mesh);
    let verify = |now| certificate.verify(mesh.root(), now, 60).map(|member| member.node());
    let (not_before, not_after) = (membership.not_before, membership.not_after);
    assert_eq!(verify(not_after.plus_s(60)), Ok(membership.node));
    let now = not_after.plus_s(61);
    assert_eq!(verify(now), Err(MembershipError::Validity(ValidityError::Expired { not_after, now })));
    let now = UnixSeconds(not_before.0 - 61);
    // The sample delegation begins at the same second and is looked at first.
    assert_eq!(
        verify(now),
        Err(MembershipError::Delegation(DelegationError::Validity(ValidityError::NotYet { not_before, now })))
    );
}

#[test]
fn an_ended_certificate_still_asks_for_its_renewal() {
    let mesh = SampleMesh::new(1);
    let (membership, certificate) = good(&mesh);
    let long_after = membership.not_after.plus_s(1 << 32);
    let claim = certificate.verify_for_renewal(mesh.root(), long_after, 0).unwrap();
    assert_eq!((claim.node(), claim.peer()), (membership.node, crate::peer_id::PeerId::of(&membership.transport)));
    assert_eq!(*claim.membership(), membership);
    let (not_before, now) = (membership.not_before, UnixSeconds(membership.not_before.0 - 1));
    assert_eq!(
        certificate.verify_for_renewal(mesh.root(), now, 0),
        Err(MembershipError::Delegation(DelegationError::Validity(ValidityError::NotYet { not_before, now })))
    );
    let stolen = mesh.certificate(&mesh.keys(66), &membership);
    assert_eq!(stolen.verify_for_renewal(mesh.root(), long_after, 0), Err(MembershipError::OtherKeys));
}

#[test]
fn an_ended_certificate_still_says_what_it_said_of_keys_and_one_that_never_held_says_nothing() {
    let mesh = SampleMesh::new(1);
    let (membership, mut certificate) = good(&mesh);
    let ends = membership.not_after;
    let past = certificate.verify_past(mesh.root(), ends.plus_s(1 << 32), 300).unwrap();
    assert_eq!((past.node(), *past.statement()), (membership.node, membership.statement));
    assert_eq!([ends.plus_s(300), ends.plus_s(301)].map(|now| past.has_ended(now)), [false, true]);
    let is_past = |now| certificate.verify_past(mesh.root(), now, 300).unwrap().is_past();
    assert_eq!([ends.plus_s(300), ends.plus_s(301)].map(is_past), [false, true]);
    assert!(!certificate.verify(mesh.root(), ends, 300).unwrap().is_past());

    let mut delegation = mesh.delegation().peek().unwrap();
    delegation.not_before = ends.plus_s(DAY_S);
    delegation.not_after = ends.plus_s(2 * DAY_S);
    certificate.delegation = Endorsed::sign(&delegation, &[mesh.operator()]);
    assert_eq!(
        certificate.verify_past(mesh.root(), delegation.not_after, 300),
        Err(MembershipError::Delegation(DelegationError::Validity(ValidityError::NotYet {
            not_before: delegation.not_before,
            now: ends
        })))
    );
    delegation.not_before = UnixSeconds(membership.not_before.0 - 2 * DAY_S);
    delegation.not_after = UnixSeconds(membership.not_before.0 - DAY_S);
    certificate.delegation = Endorsed::sign(&delegation, &[mesh.operator()]);
    assert_eq!(
        certificate.verify_past(mesh.root(), ends, 300),
        Err(MembershipError::Validity(ValidityError::NotYet {
            not_before: membership.not_before,
            now: delegation.not_after
        }))
    );
}

#[test]
fn a_membership_ends_with_the_delegation_it_was_issued_under() {
    let mesh = SampleMesh::new(1);
    let (membership, mut certificate) = good(&mesh);
    let mut delegation = mesh.delegation().peek().unwrap();
    delegation.not_after = membership.not_before.plus_s(3600);
    certificate.delegation = Endorsed::sign(&delegation, &[mesh.operator()]);
    let member = certificate.verify(mesh.root(), SampleMesh::NOW, 0).unwrap();
    assert_eq!(member.not_after(), delegation.not_after);
}

#[test]
fn roles_of_later_releases_are_kept() {
    let roles: Roles = postcard::from_bytes(&[0x09]).unwrap();
    assert!(roles.contains(Role::Voter) && !roles.contains(Role::Replica) && !roles.contains(Role::Worker));
    assert_eq!(postcard::to_stdvec(&roles.with(Role::Worker)).unwrap(), [0x0d]);
    assert_eq!(Roles::default().with(Role::Voter).with(Role::Replica).with(Role::Worker), Roles::all());
}

#[test]
fn the_longest_certificate_fits_its_frame() {
    let mesh = SampleMesh::new(1);
    let mut keys = mesh.keys(NODE);
    for _ in 0..crate::inception::ROTATIONS_MAX {
        keys = keys.rotated();
    }
    let mut membership = mesh.membership(&keys, &"e".repeat(32), u64::MAX);
    membership.class = NodeClass::new(&"c".repeat(32)).unwrap();
    let certificate = mesh.certificate(&keys, &membership);
    assert!(certificate.verify(mesh.root(), SampleMesh::NOW, 0).is_ok());
    assert_eq!(Certificate::from_bytes(&certificate.to_bytes()), Ok(certificate));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_is_refused(at in any::<prop::sample::Index>(), change in 1..=u8::MAX) {
        let mesh = SampleMesh::new(1);
        let mut bytes = good(&mesh).1.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let opened = Certificate::from_bytes(&bytes)
            .map(|certificate| certificate.verify(mesh.root(), SampleMesh::NOW, 0).is_ok());
        prop_assert!(matches!(opened, Err(_) | Ok(false)), "{opened:?}");
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for input in [bytes.clone(), [&[1], bytes.as_slice()].concat()] {
            if let Ok(certificate) = Certificate::from_bytes(&input) {
                prop_assert_eq!(certificate.to_bytes(), input);
            }
        }
    }
}
