//! Tests of the task with a store that takes no writes.

use std::time::Duration;

use hedgerow_protocol::fact::VerifiedFact;
use hedgerow_protocol::id::BootId;

use super::*;
use crate::identity::{Enrolled, Founding, MEMBERSHIP_S, found};
use crate::net::testing::lonely_net;
use crate::store::DataFolder;
use crate::store::testing::{Disk, mesh_store};

#[tokio::test]
async fn a_command_that_cannot_become_durable_is_answered_and_the_node_says_why() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(temporary.path()).unwrap();
    let (name, region, class) = ("oaks".parse().unwrap(), "home".parse().unwrap(), "edge".parse().unwrap());
    found(&folder, &Founding { name, region, class, domain: None, membership_s: MEMBERSHIP_S }, wall().unix_seconds())
        .unwrap();
    let enrolled = Enrolled::load(folder.layout(), wall().unix_seconds()).unwrap();
    let (store, thread) = mesh_store(&Disk::default());
    let net = lonely_net(enrolled.identity.node());
    let conditions = Conditions::default();
    let (task, core, _inbox) = CoreTask::new(parts(&enrolled, store, &net, &conditions)).unwrap();
    let stop = CancellationToken::new();
    let run = tokio::spawn(task.run(stop.clone()));

    core.command(Command::SetAddresses(vec![])).await.unwrap();
    assert_eq!(conditions.standing().len(), 0);
    thread.close().await;
    let announce = Command::Announce(Box::new(VerifiedFact::member(enrolled.member.clone())));
    let answer = tokio::time::timeout(Duration::from_secs(10), core.command(announce)).await;
    let answer = answer.expect("whoever waits is told");
    assert!(matches!(answer, Err(CommandError::Storage)), "{answer:?}");
    assert_eq!(conditions.standing().into_iter().collect::<Vec<_>>(), [Condition::MeshStorage]);

    stop.cancel();
    run.await.unwrap();
    net.shutdown().await;
}

fn parts(enrolled: &Enrolled, store: MeshStore, net: &Net, conditions: &Conditions) -> CoreParts {
    let statement = enrolled.identity.statement().clone();
    let (node, region) = (enrolled.member.node(), enrolled.member.region().clone());
    CoreParts {
        config: CoreConfig::local(enrolled.root.mesh(), node, BootId([1; 16]), region, statement.public()),
        root: enrolled.root.clone(),
        statement,
        store,
        net: net.clone(),
        facts: vec![],
        counters: Counters::default(),
        conditions: conditions.clone(),
        events: EventLog::default(),
        seed: [3; 32],
    }
}
