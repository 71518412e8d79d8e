use hedgerow_attest::delegation;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::membership::Roles;
use hedgerow_attest::secretfile::SecretPurpose;

use super::super::issuer::CertificateTerms;
use super::super::secrets::load_secrets;
use super::super::testing::{FoundedMesh, NOW, founded, identity};
use super::*;
use crate::store::DataFolder;

const YEAR_S: u64 = 365 * 86_400;

/// A mesh, and a member that the founder admitted, in a folder of its own.
struct Joined {
    mesh: FoundedMesh,
    folder: DataFolder,
    enrolled: Enrolled,
    _temporary: tempfile::TempDir,
}

impl Joined {
    fn at_home() -> Self {
        let mesh = founded();
        let temporary = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(temporary.path()).unwrap();
        let identity = NodeIdentity::load_or_make(folder.layout()).unwrap();
        let (region, class) = ("home".parse().unwrap(), "edge".parse().unwrap());
        let terms = CertificateTerms { region: &region, class: &class, roles: Roles::all(), domain: None };
        let member = mesh.issuer().issue(identity.chain(), terms, 1, NOW).unwrap();
        let layout = folder.layout();
        std::fs::copy(mesh.layout().root_json(), layout.root_json()).unwrap();
        std::fs::write(layout.membership(), member.certificate().to_bytes()).unwrap();
        let enrolled = Enrolled::load(layout, NOW).unwrap();
        Self { mesh, folder, enrolled, _temporary: temporary }
    }

    fn appointments(&self) -> Arc<Appointments> {
        Arc::new(self.enrolled.appointments(watch::channel(self.enrolled.member.clone()).1))
    }

    /// The right to issue for a year, as an operator signs it.
    fn right(&self) -> Delegation {
        Delegation {
            version: delegation::VERSION,
            mesh: self.mesh.root().mesh(),
            issuer: self.enrolled.identity.node(),
            statement: self.enrolled.identity.statement().public(),
            not_before: NOW,
            not_after: NOW.plus_s(YEAR_S),
            serial: 1,
        }
    }

    fn signed(&self, delegation: &Delegation) -> Bytes {
        let operators = load_secrets(&self.mesh.layout().operator_key()).unwrap();
        Endorsed::sign(delegation, &[&operators.key(SecretPurpose::Membership).unwrap()]).to_bytes().into()
    }
}

#[tokio::test]
async fn a_member_that_operators_delegate_to_issues_from_then_on_and_after_a_restart() {
    let node = Joined::at_home();
    let appointments = node.appointments();
    let issuing = appointments.issuing();
    assert!(issuing.borrow().is_none());
    let until = NOW.plus_s(YEAR_S);
    let taken = AppointmentAnswer::Taken { until };
    assert_eq!(appointments.answer(node.signed(&node.right()), NOW).await, taken);
    let issuer = issuing.borrow().clone().expect("the node may issue");
    assert_eq!((issuer.until(), issuer.life_s()), (until, YEAR_S));

    // What it issues to itself tells every member of it.
    let own = issuer.renew(&node.enrolled.member, 2, NOW).unwrap();
    assert_eq!((issues(&own), delegations_to(&own), delegations_to(&node.enrolled.member)), (true, 1, 0));
    assert!(own.supersedes(&node.enrolled.member));

    let again = Enrolled::load(node.folder.layout(), NOW).unwrap();
    assert_eq!(again.issuer.map(|issuer| issuer.until()), Some(until));
    assert_eq!(appointments.answer(node.signed(&node.right()), NOW).await, taken, "told twice");
}

#[tokio::test]
async fn each_fault_has_its_refusal_and_changes_nothing() {
    let node = Joined::at_home();
    let appointments = node.appointments();
    let elsewhere = founded();
    let (other_folder, other) = identity();
    let right = node.right();
    let end = node.enrolled.member.not_after();
    let (mesh, stranger) = (elsewhere.root().mesh(), other.node());
    let later = NOW.plus_s(86_400);
    let refused = [
        (Delegation { version: 2, ..right.clone() }, AppointmentRefusal::UnsupportedVersion { version: 2 }),
        (Delegation { mesh, ..right.clone() }, AppointmentRefusal::OtherMesh { mesh }),
        (Delegation { issuer: stranger, ..right.clone() }, AppointmentRefusal::OtherNode { node: stranger }),
        (Delegation { statement: other.statement().public(), ..right.clone() }, AppointmentRefusal::OtherKey),
        (
            Delegation { not_after: NOW.plus_s(YEAR_S + 1), ..right.clone() },
            AppointmentRefusal::TooLong { max_s: YEAR_S },
        ),
        (Delegation { not_before: later, ..right.clone() }, AppointmentRefusal::NotNow { now: NOW }),
        (
            Delegation { not_after: UnixSeconds(end.0 - 1), ..right.clone() },
            AppointmentRefusal::BeforeCertificate { until: end },
        ),
    ];
    for (delegation, refusal) in refused {
        let answer = appointments.answer(node.signed(&delegation), NOW).await;
        assert_eq!(answer, AppointmentAnswer::Refused(refusal));
    }
    let thief = Endorsed::sign(&right, &[&SecretKey::from_seed([66; 32])]).to_bytes();
    assert_eq!(appointments.answer(thief.into(), NOW).await, AppointmentAnswer::Refused(AppointmentRefusal::NotSigned));
    for garbage in [&b""[..], &[1; 40], &[0; 4096]] {
        let answer = appointments.answer(Bytes::from_static(garbage), NOW).await;
        assert_eq!(answer, AppointmentAnswer::Refused(AppointmentRefusal::Malformed));
    }
    assert!(appointments.issuing().borrow().is_none());
    assert!(!node.folder.layout().delegation().exists(), "nothing was written");
    drop(other_folder);
}

#[tokio::test]
async fn a_right_is_lengthened_and_never_shortened() {
    let mesh = founded();
    let appointments = Arc::new(mesh.appointments());
    let operators = load_secrets(&mesh.layout().operator_key()).unwrap();
    let key = operators.key(SecretPurpose::Membership).unwrap();
    let given = mesh.delegation().peek().unwrap();
    let until = given.not_after;
    let shorter = Delegation { not_after: UnixSeconds(until.0 - 1), serial: 2, ..given.clone() };
    let answer = appointments.answer(Endorsed::sign(&shorter, &[&key]).to_bytes().into(), NOW).await;
    assert_eq!(answer, AppointmentAnswer::Refused(AppointmentRefusal::NoLater { until }));

    // It ended a week ago, which stopped no start of the node.
    let now = until.plus_s(7 * 86_400);
    let enrolled = Enrolled::load(mesh.layout(), now).unwrap();
    assert_eq!(enrolled.issuer.as_ref().map(Issuer::until), Some(until));
    let appointments = Arc::new(enrolled.appointments(mesh.own()));
    let again = Delegation { not_before: now, not_after: now.plus_s(YEAR_S), serial: 2, ..given };
    let answer = appointments.answer(Endorsed::sign(&again, &[&key]).to_bytes().into(), now).await;
    assert_eq!(answer, AppointmentAnswer::Taken { until: now.plus_s(YEAR_S) });
    let issuer = appointments.issuing().borrow().clone().unwrap();
    assert_eq!([now, now.plus_s(YEAR_S * 11 / 12)].map(|now| right_ends_soon(&issuer, now)), [false, true]);
}

#[test]
fn the_answers_are_frozen() {
    let (now, mesh) = (UnixSeconds(1), founded());
    let (id, node) = (mesh.root().mesh(), mesh.identity().node());
    let named = |tag: u8, id: &[u8]| [&[tag], id].concat();
    let frozen: [(AppointmentRefusal, Vec<u8>); 11] = [
        (AppointmentRefusal::Malformed, vec![0]),
        (AppointmentRefusal::UnsupportedVersion { version: 9 }, vec![1, 9]),
        (AppointmentRefusal::NotSigned, vec![2]),
        (AppointmentRefusal::OtherMesh { mesh: id }, named(3, &postcard::to_stdvec(&id).unwrap())),
        (AppointmentRefusal::OtherNode { node }, named(4, &postcard::to_stdvec(&node).unwrap())),
        (AppointmentRefusal::OtherKey, vec![5]),
        (AppointmentRefusal::TooLong { max_s: 7 }, vec![6, 7]),
        (AppointmentRefusal::NotNow { now }, vec![7, 1]),
        (AppointmentRefusal::NoLater { until: now }, vec![8, 1]),
        (AppointmentRefusal::BeforeCertificate { until: now }, vec![9, 1]),
        (AppointmentRefusal::Unavailable, vec![10]),
    ];
    for (refusal, bytes) in frozen {
        let answer = AppointmentAnswer::Refused(refusal);
        assert_eq!(answer.encode(), [&[1, 1], &bytes[..]].concat());
        assert_eq!(AppointmentAnswer::decode(&answer.encode()), Some(answer));
    }
    let taken = AppointmentAnswer::Taken { until: UnixSeconds(300) };
    assert_eq!(taken.encode(), [1, 0, 0xac, 0x02]);
    assert_eq!(AppointmentAnswer::decode(&taken.encode()), Some(taken));
    for garbage in [&[][..], &[2, 0, 1], &[1, 2, 1], &[1, 0, 1, 0]] {
        assert_eq!(AppointmentAnswer::decode(garbage), None);
    }
}
