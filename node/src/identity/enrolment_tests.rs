use hedgerow_attest::ticket::Ticket;

use super::super::enrolled::Enrolled;
use super::super::testing::{Door, NOW, founded, identity};
use super::*;
use crate::store::testing::{Disk, mesh_store};

#[tokio::test]
async fn a_node_that_joined_starts_from_its_own_folder() {
    let mesh = founded();
    let door = mesh.door();
    let ticket = door.ticket("eu", 1).await;
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    let node = NodeIdentity::load_or_make(folder.layout()).unwrap();
    let answer = answer(&door, &ticket, &node).await.encode().unwrap();
    let enrolment = Enrolment::accept(&ticket, &node, &answer, NOW).unwrap();
    let (store, thread) = mesh_store(&Disk::default());
    enrolment.save(&folder, &store).await.unwrap();

    let enrolled = Enrolled::load(folder.layout(), NOW).unwrap();
    assert_eq!((enrolled.member.node(), enrolled.root.mesh()), (node.node(), mesh.root().mesh()));
    assert_eq!(enrolled.geneses.len(), 2);
    assert!(enrolled.policy.is_some() && enrolled.issuer.is_none());
    let issuer = mesh.identity().node();
    assert_eq!(store.certificates().unwrap()[&issuer], mesh.member().certificate().to_bytes());
    let given = Candidate::new("192.0.2.1:4334".parse().unwrap(), Origin::Given, false);
    assert_eq!(store.addresses().unwrap()[&issuer], [given]);
    thread.close().await;
}

#[tokio::test]
async fn an_issuers_answer_is_believed_only_under_the_tickets_mesh() {
    let (mesh, other) = (founded(), founded());
    let (door, elsewhere) = (mesh.door(), other.door());
    let ticket = door.ticket("eu", 9).await;
    let (_folder, node) = identity();
    let JoinAnswer::Welcome(good) = answer(&door, &ticket, &node).await else { panic!("a welcome") };
    let their_ticket = elsewhere.ticket("eu", 9).await;
    let JoinAnswer::Welcome(theirs) = answer(&elsewhere, &their_ticket, &node).await else { panic!("a welcome") };
    let refused = |welcome: Welcome| {
        let bytes = JoinAnswer::Welcome(Box::new(welcome)).encode().unwrap();
        Enrolment::accept(&ticket, &node, &bytes, NOW).unwrap_err()
    };

    let error = refused((*theirs).clone());
    let found = other.root().mesh();
    assert!(matches!(error, EnrolmentError::OtherMesh { found: mesh, .. } if mesh == found), "{error:?}");
    let error = refused(Welcome { certificate: theirs.certificate.clone(), ..(*good).clone() });
    assert!(matches!(error, EnrolmentError::Certificate(_)), "{error:?}");
    let error = refused(Welcome { certificate: mesh.member().certificate().clone(), ..(*good).clone() });
    assert!(matches!(error, EnrolmentError::OtherNode { .. }), "{error:?}");
    let error = refused(Welcome { members: theirs.members.clone(), ..(*good).clone() });
    assert!(matches!(error, EnrolmentError::Member(_)), "{error:?}");
    let error = refused(Welcome { members: Vec::new(), ..(*good).clone() });
    assert!(matches!(error, EnrolmentError::NoIssuer { .. }), "{error:?}");
    let error = refused(Welcome { geneses: theirs.geneses.clone(), ..(*good).clone() });
    assert!(matches!(error, EnrolmentError::Genesis(_)), "{error:?}");
    let error = refused(Welcome { policy: theirs.policy.clone(), ..(*good).clone() });
    assert!(matches!(error, EnrolmentError::Policy(_)), "{error:?}");
    let error = refused(Welcome { root: b"{}".to_vec(), ..(*good).clone() });
    assert!(matches!(error, EnrolmentError::Root(_)), "{error:?}");
}

#[tokio::test]
async fn a_refusal_reaches_the_person_with_its_remedy() {
    let mesh = founded();
    let door = mesh.door();
    let ticket = door.ticket("eu", 0).await;
    let (_folder, node) = identity();
    let bytes = answer(&door, &ticket, &node).await.encode().unwrap();
    let error = Enrolment::accept(&ticket, &node, &bytes, NOW).unwrap_err();
    assert_eq!(error.to_string(), "join: every use of the ticket is taken; ask for a fresh one, or one with more uses");
}

async fn answer(door: &Door<'_>, ticket: &Ticket, node: &NodeIdentity) -> JoinAnswer {
    door.knock(&door.request(ticket, node), node, NOW).await.answer
}
