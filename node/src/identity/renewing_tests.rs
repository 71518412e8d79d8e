use hedgerow_attest::renewal::RenewalProof;
use hedgerow_attest::signed::Signed;

use super::super::keys::NodeIdentity;
use super::super::testing::{Door, EXPORTER, FoundedMesh, NOW, founded, identity};
use super::*;

const DAY_S: u64 = 86_400;

/// A node of region `eu` that joined at [`NOW`].
struct Joined {
    identity: NodeIdentity,
    member: Member,
    _folder: tempfile::TempDir,
}

async fn joined(door: &Door<'_>) -> Joined {
    let ticket = door.ticket("eu", 1).await;
    let (folder, identity) = identity();
    let (member, _birth) = door.knock(&door.request(&ticket, &identity), &identity, NOW).await.fresh.unwrap();
    Joined { identity, member, _folder: folder }
}

/// What a node asks at that moment.
fn request(member: &Member, at: UnixSeconds) -> RenewalRequest {
    RenewalRequest { certificate: member.certificate().clone(), at }
}

/// The answer to a member that asks over its link, and of which nothing is known beside.
async fn over_link(door: &Door<'_>, member: &Member, at: UnixSeconds) -> Result<Member, RenewalRefusal> {
    let asker = Asker::Member(member.node());
    answered(door, asker, &request(member, at).encode(), Standing::default(), at).await
}

async fn answered(
    door: &Door<'_>,
    asker: Asker<'_>,
    body: &[u8],
    standing: Standing,
    now: UnixSeconds,
) -> Result<Member, RenewalRefusal> {
    let answer = door.admission.renew(asker, body, |_node| standing.clone(), now).await;
    match RenewalAnswer::decode(&answer.encode()).expect("it reads back") {
        RenewalAnswer::Renewed(certificate) => {
            Ok(certificate.verify(&door.mesh.root(), now, 0).expect("it holds from now on"))
        }
        RenewalAnswer::Refused(refusal) => Err(refusal),
    }
}

/// The answer to whoever holds that key on the one connection of these tests.
async fn on_join_lane(
    door: &Door<'_>,
    proven: &ProvenRenewal,
    holder: &NodeIdentity,
    now: UnixSeconds,
) -> Result<Member, RenewalRefusal> {
    let transport = holder.transport().public();
    let asker = Asker::Holder { transport: &transport, exporter: &EXPORTER };
    answered(door, asker, &proven.encode(), Standing::default(), now).await
}

#[tokio::test]
async fn a_certificate_is_renewed_from_half_of_its_life_on_and_says_the_same() {
    let mesh = founded();
    let door = mesh.door();
    let node = joined(&door).await;
    let half = NOW.plus_s(15 * DAY_S);
    let early = UnixSeconds(half.0 - 301);
    assert_eq!(over_link(&door, &node.member, early).await, Err(RenewalRefusal::TooSoon { from: half }));

    let renewed = over_link(&door, &node.member, half).await.unwrap();
    assert!(renewed.supersedes(&node.member));
    assert_eq!((renewed.node(), renewed.serial(), renewed.issuer()), (node.identity.node(), 2, mesh.identity().node()));
    assert_eq!((renewed.not_before(), renewed.not_after()), (half, half.plus_s(30 * DAY_S)));
    let said = |member: &Member| (member.region().clone(), member.class().clone(), member.roles(), member.peer());
    assert_eq!(said(&renewed), said(&node.member));
    assert_eq!(door.store.certificates().unwrap()[&node.identity.node()], renewed.certificate().to_bytes());

    let again = over_link(&door, &node.member, half.plus_s(60)).await.unwrap();
    assert_eq!(again, renewed, "an answer that was lost is given again");
    let next = over_link(&door, &renewed, half.plus_s(15 * DAY_S)).await.unwrap();
    assert_eq!((next.serial(), next.not_after()), (3, half.plus_s(45 * DAY_S)));
}

#[tokio::test]
async fn what_the_mesh_knows_of_a_node_counts_beside_what_it_shows() {
    let mesh = founded();
    let (door, other) = (mesh.door(), mesh.door());
    let node = joined(&door).await;
    let half = NOW.plus_s(15 * DAY_S);
    let renewed = over_link(&door, &node.member, half).await.unwrap();
    // An issuer with a store of its own, as another one has it, gives what was given elsewhere, and counts on from there.
    let asker = Asker::Member(node.identity.node());
    let knows = Standing { member: Some(renewed.clone()), ..Standing::default() };
    let body = request(&node.member, half).encode();
    assert_eq!(answered(&other, asker, &body, knows.clone(), half).await, Ok(renewed.clone()));
    let later = half.plus_s(20 * DAY_S);
    let body = request(&node.member, later).encode();
    let next = answered(&other, asker, &body, knows, later).await.unwrap();
    assert_eq!((next.serial(), next.supersedes(&renewed)), (3, true));

    let left = Standing { has_left: true, ..Standing::default() };
    let body = request(&node.member, half).encode();
    assert_eq!(answered(&door, asker, &body, left, half).await, Err(RenewalRefusal::Left));
    let void = Standing { is_void: true, ..Standing::default() };
    let body = request(&node.member, half).encode();
    assert_eq!(answered(&door, asker, &body, void, half).await, Err(RenewalRefusal::NotAMember));
    let mut membership = renewed.certificate().membership.peek().unwrap();
    membership.region = "us".parse().unwrap();
    membership.serial = 99;
    let moved = resigned(&mesh, &renewed, &membership);
    let moved = Standing { member: Some(moved.verify(&mesh.root(), half, 0).unwrap()), ..Standing::default() };
    let known = "us".parse().unwrap();
    assert_eq!(answered(&door, asker, &body, moved, half).await, Err(RenewalRefusal::WrongRegion { known }));
}

/// The certificate of a member with something else in it.
fn resigned(mesh: &FoundedMesh, member: &Member, said: &hedgerow_attest::membership::Membership) -> Certificate {
    let membership = Signed::sign(said, mesh.identity().statement());
    Certificate { membership, ..member.certificate().clone() }
}

#[tokio::test]
async fn an_ended_certificate_is_renewed_by_proof_of_its_keys_on_one_connection() {
    let mesh = founded();
    let door = mesh.door();
    let (node, thief) = (joined(&door).await, joined(&door).await);
    let late = NOW.plus_s(90 * DAY_S);
    let proven = ProvenRenewal::new(request(&node.member, late), &node.identity, &EXPORTER).unwrap();
    let renewed = on_join_lane(&door, &proven, &node.identity, late).await.unwrap();
    assert_eq!((renewed.node(), renewed.not_before()), (node.identity.node(), late));

    let bad_proof = Err(RenewalRefusal::BadProof);
    let overheard = ProvenRenewal::new(request(&node.member, late), &node.identity, &[6; 32]).unwrap();
    assert_eq!(on_join_lane(&door, &overheard, &node.identity, late).await, bad_proof, "made for another connection");
    assert_eq!(on_join_lane(&door, &proven, &thief.identity, late).await, bad_proof, "of another node's key");
    let serial = node.member.serial();
    let (mesh_id, named) = (mesh.root().mesh(), node.identity.node());
    let proof = RenewalProof::sign(mesh_id, named, serial, &EXPORTER, thief.identity.statement());
    let forged = ProvenRenewal { proof, ..proven.clone() };
    assert_eq!(on_join_lane(&door, &forged, &node.identity, late).await, bad_proof, "a stolen transport key alone");
    let body = request(&node.member, late).encode();
    let transport = node.identity.transport().public();
    let asker = Asker::Holder { transport: &transport, exporter: &EXPORTER };
    let unproven = answered(&door, asker, &body, Standing::default(), late).await;
    assert_eq!(unproven, Err(RenewalRefusal::UnsupportedVersion { version: 1 }));
}

#[tokio::test]
async fn each_fault_of_a_request_has_its_refusal_and_takes_no_serial() {
    let mesh = founded();
    let door = mesh.door();
    let (node, other) = (joined(&door).await, joined(&door).await);
    let half = NOW.plus_s(15 * DAY_S);
    let refused = async |asker, body: &[u8], now| answered(&door, asker, body, Standing::default(), now).await;

    let body = request(&node.member, half).encode();
    let of_another = refused(Asker::Member(other.identity.node()), &body, half).await;
    assert_eq!(of_another, Err(RenewalRefusal::OtherNode));
    let asker = Asker::Member(node.identity.node());
    for off_s in [7_200, 301] {
        let asking = UnixSeconds(half.0 - off_s);
        let skew = Err(RenewalRefusal::ClockSkew { issuer: half, asking });
        assert_eq!(refused(asker, &request(&node.member, asking).encode(), half).await, skew);
    }
    let elsewhere = founded();
    let stranger = joined(&elsewhere.door()).await;
    let foreign =
        refused(Asker::Member(stranger.identity.node()), &request(&stranger.member, half).encode(), half).await;
    assert_eq!(foreign, Err(RenewalRefusal::NotAMember));
    assert_eq!(refused(asker, &[], half).await, Err(RenewalRefusal::Malformed));
    assert_eq!(refused(asker, &body[..body.len() - 1], half).await, Err(RenewalRefusal::Malformed));
    assert_eq!(refused(asker, &[9], half).await, Err(RenewalRefusal::UnsupportedVersion { version: 9 }));

    let renewed = over_link(&door, &node.member, half).await.unwrap();
    assert_eq!(renewed.serial(), 3, "the two that joined took one and two, nobody else any");
}

#[tokio::test]
async fn an_issuer_whose_own_right_ends_gives_nothing_that_ends_no_later() {
    let mesh = founded();
    let door = mesh.door();
    let node = joined(&door).await;
    let ends = NOW.plus_s(365 * DAY_S);
    let mut member = node.member.clone();
    while member.not_after() < ends {
        member = over_link(&door, &member, UnixSeconds(member.not_after().0 - 12 * DAY_S)).await.unwrap();
    }
    let late = UnixSeconds(ends.0 - 3_600);
    assert_eq!(over_link(&door, &member, late).await, Err(RenewalRefusal::RightEnds { not_after: ends }));
}
