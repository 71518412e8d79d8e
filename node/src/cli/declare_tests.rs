//! What people read of differences and plans.

use super::*;
use crate::admin::wire::PolicyHead;

fn class(name: &str, replicas: u8, regions: &[&str]) -> DataClassRow {
    DataClassRow {
        name: name.to_owned(),
        replicas,
        write_quorum: 1,
        regions: regions.iter().map(|region| (*region).to_owned()).collect(),
        personal: false,
        ttl_s: 0,
    }
}

fn proposal(now: Vec<DataClassRow>, classes: Vec<DataClassRow>) -> Proposal {
    let heads = vec![PolicyHead { version: 1, digest: "00".repeat(32) }];
    let shares = NodeClassReport { revision: 0, written: vec![], classes: vec![] };
    Proposal { now: PolicyReport { heads, classes: now }, classes, shares, node_classes: vec![] }
}

#[test]
fn a_difference_says_what_counts_at_once_and_what_waits() {
    let now = vec![class("cart", 3, &["eu", "us"]), class("log", 1, &[]), class("old", 1, &[])];
    let then =
        vec![class("cart", 3, &["eu"]), DataClassRow { ttl_s: 86_400, ..class("log", 2, &[]) }, class("neu", 1, &[])];
    let rows = proposal(now.clone(), then).differences();
    assert_eq!(
        differences(&rows),
        "CLASS  FIELD        NOW       FILE     COUNTS\n\
         cart   regions      eu,us     eu       at once\n\
         log    replicas     1         2        with the next placement\n\
         log    ttl          never     1d       with the next placement\n\
         neu    replicas     -         1        with the next placement\n\
         neu    writeQuorum  -         1        with the next placement\n\
         neu    regions      -         all      with the next placement\n\
         neu    personal     -         false    with the next placement\n\
         neu    ttl          -         never    with the next placement\n\
         old    class        in force  removed  at once"
    );
    assert_eq!(differences(&proposal(now.clone(), now).differences()), "nothing differs from what is in force");
}

#[test]
fn a_share_differs_from_what_is_written_or_built_in() {
    let row = |name: &str, weight| NodeClassRow { name: name.to_owned(), weight, nodes: 0 };
    let share = |name: &str, weight| NodeClassShare { name: name.to_owned(), weight };
    let shares = NodeClassReport {
        revision: 1,
        written: vec![share("edge", 4), share("old", 9), share("same", 2)],
        classes: vec![row("edge", 4), row("old", 9), row("same", 2), row("server", 8)],
    };
    let node_classes = vec![share("edge", 5), share("neu", 1), share("same", 2), share("server", 8)];
    let rows = Proposal { shares, node_classes, ..proposal(vec![], vec![]) }.differences();
    assert_eq!(
        differences(&rows),
        "CLASS   FIELD   NOW  FILE      COUNTS\n\
         edge    weight  4    5         for what is placed from then on\n\
         neu     weight  -    1         for what is placed from then on\n\
         server  weight  8    8         for what is placed from then on\n\
         old     weight  9    built in  for what is placed from then on"
    );
}

#[test]
fn each_way_of_loosening_a_rule_waits() {
    let now = DataClassRow { write_quorum: 2, personal: true, ttl_s: 60, ..class("cart", 3, &["eu"]) };
    let looser = [
        DataClassRow { replicas: 2, ..now.clone() },
        DataClassRow { write_quorum: 1, ..now.clone() },
        DataClassRow { regions: vec![], ..now.clone() },
        DataClassRow { regions: vec!["eu".to_owned(), "us".to_owned()], ..now.clone() },
        DataClassRow { personal: false, ..now.clone() },
        DataClassRow { ttl_s: 59, ..now.clone() },
    ];
    assert!(looser.iter().all(|then| !tightens(&now, then) && tightens(then, &now)));
    assert!(tightens(&now, &DataClassRow { ttl_s: 0, ..now.clone() }));
}

fn moved(what: &str, to: &str) -> PlannedMove {
    PlannedMove {
        what: what.to_owned(),
        from: vec!["aaaaaaaaaaaa".to_owned()],
        to: vec![to.to_owned()],
        stops: vec![],
        waits: vec![],
        bytes: None,
        notes: vec![],
    }
}

#[test]
fn a_plan_shows_moves_and_refusals() {
    let refusal = PlannedRefusal {
        node: "cccccccccccc".to_owned(),
        rules: vec!["it is draining".to_owned(), "its word alone is not enough".to_owned()],
    };
    let kept =
        PlannedMove { bytes: Some(10), notes: vec!["1 of 2 copies".to_owned()], ..moved("cart.0", "bbbbbbbbbbbb") };
    let stopped = PlannedMove { stops: vec!["aaaaaaaaaaaa".to_owned()], to: vec![], ..moved("old.1", "") };
    let planned_class = |class: &str, fate: &str, moves, refusals| PlannedClass {
        class: class.to_owned(),
        fate: fate.to_owned(),
        groups: 16,
        moves,
        refusals,
    };
    let report = PlanReport {
        cell: "zzzzzzzzzzzz".to_owned(),
        region: "eu".to_owned(),
        copies: 2,
        bytes: 10,
        copies_of_unknown_size: 1,
        classes: vec![
            planned_class("cart", "placed", vec![kept], vec![refusal]),
            planned_class("old", "removed", vec![stopped], vec![]),
        ],
        models: vec![moved("digits@1", "dddddddddddd")],
    };
    assert_eq!(
        planned(&report, false),
        "cell zzzzzzzz of region eu: 2 copies to make, 10 bytes and 1 of unknown size\n\
         class old is removed: nothing of it is read or written, and nothing is deleted\n\
         MOVE      FROM      TO        BYTES  NOTE\n\
         cart.0    aaaaaaaa  bbbbbbbb  10     1 of 2 copies\n\
         old.1     aaaaaaaa  -         -      stops at once: aaaaaaaa\n\
         digits@1  aaaaaaaa  dddddddd  -\n\
         REFUSED  NODE      RULES\n\
         cart     cccccccc  it is draining; its word alone is not enough"
    );
    let nothing =
        PlanReport { copies: 0, bytes: 0, copies_of_unknown_size: 0, classes: vec![], models: vec![], ..report };
    assert_eq!(planned(&nothing, false), "cell zzzzzzzz of region eu: 0 copies to make");
    let groups = |class: &str| (0..3).map(|n| moved(&format!("{class}.{n}"), "b")).collect();
    let alike =
        vec![planned_class("a-1", "placed", groups("a-1"), vec![]), planned_class("b", "placed", groups("b"), vec![])];
    let alike = PlanReport { classes: alike, ..nothing.clone() };
    let rows = "MOVE     FROM      TO  BYTES  NOTE\na-1.0-2  aaaaaaaa  b   -\nb.0-2    aaaaaaaa  b   -";
    assert_eq!(planned(&alike, false), format!("cell zzzzzzzz of region eu: 0 copies to make\n{rows}"));
    let many = PlanReport { models: (0..25).map(|n| moved(&n.to_string(), "b")).collect(), ..nothing };
    assert!(
        planned(&many, false).ends_with("\nand 5 more: -o wide shows all") && planned(&many, true).contains("\n24 ")
    );
}
