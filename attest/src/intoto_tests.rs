use super::*;
use serde_json::json;

const CLAIM: &str = "https://example.com/claim/v1";

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn statement() -> Statement {
    Statement::new(vec![Subject::of("digits", b"weights")], CLAIM, json!({"version": "1.0.0"})).unwrap()
}

fn open(payload_type: &str, payload: &[u8]) -> Result<VerifiedStatement, StatementError> {
    let envelope = Envelope::sign(payload_type, payload.to_vec(), &[&key(1)]);
    Statement::open(&envelope, &KeySet::sole(key(1).public()))
}

#[test]
fn a_signed_statement_opens_for_those_who_trust_its_signer() {
    let envelope = statement().sign(&[&key(1)]);
    let opened = Statement::open(&envelope, &KeySet::sole(key(1).public())).unwrap();
    assert_eq!(*opened.statement(), statement());
    assert_eq!(opened.signers().iter().collect::<Vec<_>>(), [&KeyId::of(&key(1).public())]);
    let refused = Statement::open(&envelope, &KeySet::sole(key(2).public())).unwrap_err();
    assert!(matches!(refused, StatementError::Signature(DsseError::BelowThreshold { valid: 0, threshold: 1 })));
}

#[test]
fn the_statement_is_frozen() {
    assert_eq!(
        serde_json::to_string(&statement()).unwrap(),
        r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"digits","digest":{"sha256":"9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c","blake3":"3edc5c4a5df8c79ef4f8dbdc373cd21ca041ccf39fe5693250d004092094dc4a"}}],"predicateType":"https://example.com/claim/v1","predicate":{"version":"1.0.0"}}"#
    );
}

#[test]
fn signed_payloads_that_are_no_statement_are_refused_by_kind() {
    let good = serde_json::to_value(statement()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut json = good.clone();
        change(&mut json);
        open(PAYLOAD_TYPE, json.to_string().as_bytes())
    };
    assert!(changed(&|_same| ()).is_ok());
    assert!(changed(&|json| json["subject"][0]["digest"]["md5"] = json!("00")).is_ok());
    assert!(matches!(
        open("text/plain", good.to_string().as_bytes()),
        Err(StatementError::PayloadType(kind)) if kind == "text/plain"
    ));
    assert!(matches!(open(PAYLOAD_TYPE, b"{}"), Err(StatementError::Malformed(_))));
    let old = "https://in-toto.io/Statement/v0.1";
    assert!(matches!(
        changed(&|json| json["_type"] = json!(old)),
        Err(StatementError::UnsupportedVersion(kind)) if kind == old
    ));
    for algorithm in ["sha256", "blake3"] {
        let one_digest = changed(&|json| {
            json["subject"][0]["digest"].as_object_mut().unwrap().remove(algorithm);
        });
        assert!(matches!(one_digest, Err(StatementError::Malformed(_))), "{algorithm}");
    }
    assert!(matches!(changed(&|json| json["subject"] = json!([])), Err(StatementError::Subjects(0))));
    let subject = &good["subject"][0];
    let many = json!(vec![subject; SUBJECTS_MAX + 1]);
    assert!(matches!(changed(&|json| json["subject"] = many.clone()), Err(StatementError::Subjects(257))));
}
