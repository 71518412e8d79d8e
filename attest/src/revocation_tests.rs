use super::*;
use crate::digest::Sha256Digest;
use crate::key::SecretKey;
use crate::testing::{ISSUER, SampleMesh};

#[test]
fn revocation_keys_put_out_any_node_and_nobody_else_does() {
    let mesh = SampleMesh::new(1);
    let endorsed = mesh.revoking(5, 7);
    let revocation = Revocation::open(&endorsed, mesh.root()).unwrap();
    let node = mesh.keys(5).chain.node();
    assert_eq!((revocation.node(), revocation.by()), (node, RevokedBy::Operators { holds_up_to: 7 }));
    assert_eq!((revocation.at(), revocation.reason().to_string().as_str()), (SampleMesh::NOW, "lost"));

    let said = endorsed.peek().unwrap();
    let thief = SecretKey::from_seed([66; 32]);
    let open = |said: &Revocation, key: &SecretKey| Revocation::open(&Endorsed::sign(said, &[key]), mesh.root());
    assert_eq!(open(&said, &thief), Err(RevocationError::Endorsement(EndorsedError::Uninvited(thief.public()))));
    assert_eq!(
        Revocation::open(&Endorsed::sign(&said, &[]), mesh.root()),
        Err(RevocationError::Endorsement(EndorsedError::BelowThreshold { valid: 0, threshold: 1 }))
    );
    let later = Revocation { version: 2, ..said.clone() };
    assert_eq!(open(&later, mesh.operator()), Err(RevocationError::UnsupportedVersion(2)));
    let elsewhere = SampleMesh::new(2).root().mesh();
    let foreign = Revocation { mesh: elsewhere, ..said };
    assert_eq!(open(&foreign, mesh.operator()), Err(RevocationError::OtherMesh(elsewhere)));
}

#[test]
fn an_issuer_puts_out_whom_it_issued_to_and_nobody_else() {
    let mesh = SampleMesh::new(1);
    let (issuer, node) = (mesh.keys(ISSUER).chain.node(), mesh.keys(5).chain.node());
    let proven = mesh.withdrawing(5, 3, 8);
    let withdrawn = proven.open(mesh.root()).unwrap();
    assert_eq!((withdrawn.node(), withdrawn.by()), (node, RevokedBy::Issuer { issuer, serial: 8 }));

    let refused = |change: &dyn Fn(&mut ProvenWithdrawal)| {
        let mut changed = proven.clone();
        change(&mut changed);
        changed.open(mesh.root()).unwrap_err()
    };
    let other = mesh.keys(6).chain.node();
    assert_eq!(
        refused(&|proven| proven.issued = mesh.withdrawing(6, 3, 8).issued),
        RevocationError::NotIssued { withdrawn: node, issued: other }
    );
    let statement = &mesh.keys(ISSUER).statement;
    let said = proven.withdrawal.peek().unwrap();
    let named = mesh.keys(7).chain.node();
    assert_eq!(
        refused(&|proven| proven.withdrawal = Signed::sign(&Withdrawal { issuer: named, ..said.clone() }, statement)),
        RevocationError::OtherIssuer { named, delegated: issuer }
    );
    let thief = SecretKey::from_seed([66; 32]);
    let wrong = VerifyError::WrongSigner { expected: statement.public(), claimed: thief.public() };
    assert_eq!(
        refused(&|proven| proven.withdrawal = Signed::sign(&said, &thief)),
        RevocationError::Signature(wrong.clone())
    );
    let issued = proven.issued.peek().unwrap();
    assert_eq!(
        refused(&|proven| proven.issued = Signed::sign(&issued, &thief)),
        RevocationError::Signature(wrong),
        "a certificate that it did not issue"
    );
    assert_eq!(
        refused(&|proven| proven.delegation = SampleMesh::new(2).delegation().clone()),
        RevocationError::Delegation(DelegationError::Endorsement(EndorsedError::Uninvited(
            SampleMesh::new(2).operator().public()
        )))
    );
}

#[test]
fn both_forms_are_frozen() {
    let mesh = SampleMesh::new(1);
    let revocation = mesh.revoking(5, 300).to_bytes();
    let withdrawal = postcard::to_stdvec(&mesh.withdrawing(5, 3, 300)).unwrap();
    let seen = [revocation, withdrawal].map(|bytes| (bytes.len(), Sha256Digest::of(&bytes).to_string()));
    assert_eq!(seen.each_ref().map(|(length, digest)| (*length, digest.as_str())), FROZEN);
}

#[test]
fn the_longest_of_both_fit_their_payload() {
    let reason: Reason = "r".repeat(crate::reason::REASON_MAX).parse().unwrap();
    let (mesh, node, most) = (MeshId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]), u64::MAX);
    let at = UnixSeconds(most);
    let key = SecretKey::from_seed([1; 32]);
    let revocation = Revocation { version: VERSION, mesh, node, holds_up_to: most, at, reason: reason.clone() };
    let bytes = Endorsed::sign(&revocation, &[&key]).to_bytes();
    assert!(Endorsed::<Revocation>::from_bytes(&bytes).is_ok());
    let withdrawal = Withdrawal { version: VERSION, mesh, issuer: node, serial: most, node, at, reason };
    assert!(Signed::<Withdrawal>::from_bytes(&Signed::sign(&withdrawal, &key).to_bytes()).is_ok());
}

const FROZEN: [(usize, &str); 2] = [
    (176, "0f250b39e1abad4aa6fd12fd73ce2eeb94ce8870877d4a6cc14fbfac6691bde5"),
    (694, "204ba4aa36ae2907e2769caa2204a87bf45d0fbf92795640568a34dfac81adc1"),
];
