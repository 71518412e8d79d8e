use hedgerow_attest::key::SecretKey;
use hedgerow_attest::ticket::Ticket;

use super::super::enrolment::Enrolment;
use super::super::keys::NodeIdentity;
use super::super::testing::{Door, EXPORTER, NOW, founded, identity};
use super::*;

#[tokio::test]
async fn a_ticket_makes_a_member_and_the_first_of_a_region_its_voter() {
    let mesh = founded();
    let door = mesh.door();
    let ticket = door.ticket("eu", 2).await;
    let (_one, one) = identity();
    let (_two, two) = identity();

    let first = door.knock(&door.request(&ticket, &one), &one, NOW).await;
    let (member, birth) = first.fresh.unwrap();
    assert_eq!((member.node(), member.region().as_str(), member.serial()), (one.node(), "eu", 1));
    let birth = birth.expect("the region's first member brings its cell");
    assert_eq!((birth.genesis().voter, birth.genesis().voter_statement), (one.node(), one.statement().public()));
    let enrolment = Enrolment::accept(&ticket, &one, &first.answer.encode().unwrap(), NOW).unwrap();
    assert_eq!(enrolment.member(), &member);
    assert_eq!(door.store.certificates().unwrap()[&one.node()], member.certificate().to_bytes());

    let second = door.knock(&door.request(&ticket, &two), &two, NOW).await;
    let (member, again) = second.fresh.unwrap();
    assert_eq!((member.node(), member.serial(), again), (two.node(), 2, None), "a region is born once");
    let JoinAnswer::Welcome(welcome) = second.answer else { panic!("a welcome") };
    assert_eq!(welcome.geneses[0], *birth.genesis().envelope());
    assert_eq!(welcome.geneses.len(), 2, "and the one of the issuer's own region");
    assert_eq!(welcome.members[0].certificate, *mesh.member().certificate());
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again_for_nothing() {
    let mesh = founded();
    let door = mesh.door();
    let ticket = door.ticket("eu", 1).await;
    let (_folder, node) = identity();
    let first = door.knock(&door.request(&ticket, &node), &node, NOW).await.fresh.unwrap();
    let again = door.knock(&door.request(&ticket, &node), &node, NOW).await;
    Enrolment::accept(&ticket, &node, &again.answer.encode().unwrap(), NOW).unwrap();
    let (member, birth) = again.fresh.unwrap();
    assert!(member.supersedes(&first.0) && birth.is_none());
    let JoinAnswer::Welcome(welcome) = again.answer else { panic!("a welcome") };
    assert_eq!(Some(&welcome.geneses[0]), first.1.as_ref().map(|birth| birth.genesis().envelope()));
}

#[tokio::test]
async fn each_fault_has_its_refusal_and_costs_no_use() {
    let mesh = founded();
    let door = mesh.door();
    let ticket = door.ticket("eu", 1).await;
    let (_folder, node) = identity();
    let (_other_folder, other) = identity();
    let good = door.request(&ticket, &node);

    let stranger = JoinRequest { invite: hedgerow_attest::invite::InviteId([1; 16]), ..good.clone() };
    assert_eq!(refusal(&door, &stranger, &node, NOW).await, JoinRefusal::UnknownInvite);
    let guessed = JoinRequest { proof: ticket.proof(&[6; 32]), ..good.clone() };
    assert_eq!(refusal(&door, &guessed, &node, NOW).await, JoinRefusal::BadProof, "a proof for another connection");
    let elsewhere = JoinRequest { region: "us".parse().unwrap(), ..good.clone() };
    let invited = "eu".parse().unwrap();
    assert_eq!(refusal(&door, &elsewhere, &node, NOW).await, JoinRefusal::WrongRegion { invited });
    let behind = JoinRequest { at: UnixSeconds(NOW.0 - 301), ..good.clone() };
    let skew = JoinRefusal::ClockSkew { issuer: NOW, joining: behind.at };
    assert_eq!(refusal(&door, &behind, &node, NOW).await, skew);
    assert_eq!(refusal(&door, &good, &other, NOW).await, JoinRefusal::Identity, "the connection is another node's");
    let aged = JoinRequest { at: NOW.plus_s(601), ..good.clone() };
    let expired = JoinRefusal::Expired { not_after: NOW.plus_s(600) };
    assert_eq!(refusal(&door, &aged, &node, NOW.plus_s(601)).await, expired);

    assert!(door.knock(&good, &node, NOW).await.fresh.is_some(), "none of them counted");
    let late = door.request(&ticket, &other);
    assert_eq!(refusal(&door, &late, &other, NOW).await, JoinRefusal::UsedUp);
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let mesh = founded();
    let door = mesh.door();
    let transport = SecretKey::from_seed([1; 32]).public();
    for (body, expected) in [
        (&b""[..], JoinRefusal::Malformed),
        (&[1, 2, 3], JoinRefusal::Malformed),
        (&[7], JoinRefusal::UnsupportedVersion { version: 7 }),
    ] {
        let outcome = door.admission.answer(body, &transport, &EXPORTER, Surroundings::default(), NOW).await;
        assert_eq!(outcome.answer, JoinAnswer::Refused(expected));
    }
}

#[tokio::test]
async fn nothing_is_issued_when_the_delegation_has_ended() {
    let mesh = founded();
    let door = mesh.door();
    let over = NOW.plus_s(366 * 86_400);
    let (id, mut invite, ticket) = mesh
        .issuer()
        .invite(&super::super::InviteTerms {
            addresses: Vec::new(),
            region: "eu".parse().unwrap(),
            roles: hedgerow_attest::membership::Roles::all(),
            domain: None,
            uses: 1,
            not_after: over,
        })
        .unwrap();
    invite.uses_left = 1;
    door.store.add_invite(id, invite, NOW).await.await.unwrap();
    let (_folder, node) = identity();
    let request = JoinRequest { at: over, ..door.request(&ticket, &node) };
    assert_eq!(refusal(&door, &request, &node, over).await, JoinRefusal::NotIssuing);
}

#[tokio::test]
async fn a_store_that_fails_admits_nobody() {
    let mesh = founded();
    let disk = crate::store::testing::Disk::default();
    let (store, _thread) = crate::store::testing::mesh_store(&disk);
    let door = Door { mesh: &mesh, admission: mesh.admission(store.clone()), store };
    let ticket: Ticket = door.ticket("eu", 1).await;
    let (_folder, node) = identity();
    disk.fail();
    assert_eq!(refusal(&door, &door.request(&ticket, &node), &node, NOW).await, JoinRefusal::Unavailable);
}

async fn refusal(door: &Door<'_>, request: &JoinRequest, node: &NodeIdentity, now: UnixSeconds) -> JoinRefusal {
    let outcome = door.knock(request, node, now).await;
    assert!(outcome.fresh.is_none());
    match outcome.answer {
        JoinAnswer::Refused(refusal) => refusal,
        JoinAnswer::Welcome(_) => panic!("was admitted"),
    }
}
