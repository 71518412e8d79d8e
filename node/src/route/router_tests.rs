//! Tests of what the router decides without a network.

use hedgerow_protocol::view::MemberState;

use super::*;
use crate::core::testing::{node, view};

#[test]
fn a_candidate_is_asked_alone_for_long_enough_and_never_for_all_the_time() {
    let ms = Duration::from_millis;
    assert_eq!(alone(ms(10), ms(10_000)), ms(780));
    assert_eq!(alone(ms(10), ms(400)), ms(200));
    assert_eq!(alone(Duration::MAX, ms(1_000)), ms(500));
}

#[test]
fn a_model_that_nobody_deployed_is_unknown_and_one_that_nobody_has_warm_says_why() {
    let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
    view.members.get_mut(&node(3)).unwrap().state = MemberState::Down;
    let model = ModelName::new("digits").unwrap();
    let query = RankQuery { model: model.clone(), version: None, deadline_us: None };
    let ranking = rank(&view, &query);
    assert!(matches!(no_candidate(&view, &ranking, model.clone()), InferError::Unknown { .. }));

    let deployment = hedgerow_protocol::placement::Deployment {
        model: model.clone(),
        version: ModelVersion::new("1").unwrap(),
        revision: 1,
        manifest: Sha256Digest::of(b"m"),
        replicas: 1,
        regions: vec![],
    };
    view.deployments.push(hedgerow_protocol::view::DeploymentView { deployment, mine: false, warm: vec![] });
    let error = no_candidate(&view, &ranking, model);
    assert_eq!(
        error.to_string(),
        format!("find a node that answers for digits: 1 {}, 2 without the model", MemberState::Down)
    );
}

#[test]
fn only_faults_of_the_request_end_the_search() {
    assert!(blames_request(&RunError::MissingInput { input: "x".to_owned() }));
    assert!(!blames_request(&RunError::Panicked { node: "x".to_owned() }));
}
