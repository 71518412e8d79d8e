use serde_json::json;

use super::*;

#[test]
fn a_mesh_agrees_when_all_are_ready_and_name_the_same() {
    assert_eq!(agreement(plan(), &[node("n1", 2, 1), node("n2", 2, 1)]), Ok(()));
}

#[test]
fn each_way_of_not_agreeing_is_named() {
    let first = || node("n1", 2, 1);

    let ended = NodeReport { running: false, ..node("n2", 2, 1) };
    assert_eq!(agreement(plan(), &[first(), ended]), Err(Disagreement::Ended(vec!["n2".to_owned()])));

    let silent = NodeReport { status: None, ..node("n2", 2, 1) };
    assert_eq!(agreement(plan(), &[first(), silent]), Err(Disagreement::NotReady(vec!["n2".to_owned()])));

    let mut starting = node("n2", 2, 1);
    starting.status.as_mut().expect("a status").state = NodeState::Starting;
    assert_eq!(agreement(plan(), &[first(), starting]), Err(Disagreement::NotReady(vec!["n2".to_owned()])));

    let lonely = Disagreement::Members { name: "n2".to_owned(), alive: 1, expected: 2 };
    assert_eq!(agreement(plan(), &[first(), node("n2", 1, 1)]), Err(lonely));

    let late = Disagreement::Aggregators { name: "n2".to_owned() };
    assert_eq!(agreement(plan(), &[first(), node("n2", 2, 4)]), Err(late));

    let mut headless = [node("n1", 2, 1), node("n2", 2, 1)];
    headless.iter_mut().for_each(|node| node.status.as_mut().expect("a status").aggregators.clear());
    assert_eq!(agreement(plan(), &headless), Err(Disagreement::Aggregators { name: "n1".to_owned() }));
}

#[test]
fn a_line_of_the_table_begins_with_the_name_of_its_node() {
    let ended = NodeReport { running: false, rest: None, status: None, ..node("n2", 2, 1) };
    let mut nodes = vec![node("n1", 2, 7), ended];
    let peer = |port| json!({ "peer": format!("127.0.0.1:{port}"), "delay_ms": 40 });
    let emulation = json!({ "firewall": "stateful", "rules": [peer(24_010), peer(24_020)] });
    let status = nodes[0].status.as_mut().expect("a status");
    status.emulation = serde_json::from_value(emulation).expect("an emulation");
    let report = MeshReport { backend: BackendKind::Local, phase: Phase::Up, ends_in_s: 61, nodes };
    assert_eq!(
        report.table(),
        "Local mesh, up; ends by itself in 2 min\n\
         NAME  REGION  STATE  ALIVE  AGGREGATES  EMULATES           NODE      REST\n\
         n1    r1      ready  2      r1@7        2 rules, firewall  id-of-n1  http://127.0.0.1:41010\n\
         n2    r1      ended  -      -           -                  -         -"
    );
}

fn plan() -> Plan {
    Plan::new(2, 1).expect("a plan")
}

fn node(name: &str, alive: u64, term: u64) -> NodeReport {
    let status = json!({
        "node": format!("id-of-{name}-and-more"), "peer": "p", "mesh": "m", "region": "r1", "cell": "c",
        "state": "ready", "reasons": [], "version": "0", "pid": 1, "uptime_ms": 0,
        "listen": { "udp": "127.0.0.1:1", "rest": "127.0.0.1:2", "admin": "a" },
        "members": { "alive": alive, "suspect": 0, "down": 0, "stopping": 0, "left": 0, "total": 2 },
        "aggregators": [{ "region": "r1", "cell": "c", "holder": "id-of-n1-and-more", "term": term }],
        "refusals": {}, "models": [], "emulation": null, "memory_rss_bytes": 0
    });
    NodeReport {
        name: name.to_owned(),
        region: "r1".to_owned(),
        running: true,
        rest: Some("http://127.0.0.1:41010".to_owned()),
        status: Some(serde_json::from_value(status).expect("a status")),
    }
}
