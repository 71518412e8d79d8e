use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use crate::{
    ops::{Scalar, SessionOp},
    replica::{WriteResult, harness::Mesh},
    testing::{delete, increment, path, put, session},
};

#[derive(Debug, Clone)]
enum Act {
    Write(u8, &'static str, Vec<SessionOp>),
    Deliver(usize),
    Drop(usize),
    Repeat(usize),
    Sync(u8),
    Cut(u8, u8),
    Join(u8, u8),
    Wait(u64),
}

fn op() -> impl Strategy<Value = SessionOp> {
    let place = prop_oneof![Just("/a"), Just("/a/b"), Just("/a/c"), Just("/d")];
    prop_oneof![
        4 => (place.clone(), any::<i8>()).prop_map(|(at, value)| put(at, value.into())),
        1 => place.clone().prop_map(|at| SessionOp::Put { path: path(at), value: Scalar::Text("text".into()) }),
        2 => place.prop_map(delete),
        3 => (1i64..100).prop_map(|by| increment("/count", by)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let node = 1u8..=3;
    let name = prop_oneof![Just("cart"), Just("other")];
    prop_oneof![
        6 => (node.clone(), name, proptest::collection::vec(op(), 1..4)).prop_map(|(at, name, ops)| Act::Write(at, name, ops)),
        8 => any::<usize>().prop_map(Act::Deliver),
        2 => any::<usize>().prop_map(Act::Drop),
        2 => any::<usize>().prop_map(Act::Repeat),
        6 => node.clone().prop_map(Act::Sync),
        1 => (node.clone(), node.clone()).prop_map(|(one, two)| Act::Cut(one, two)),
        1 => (node.clone(), node).prop_map(|(one, two)| Act::Join(one, two)),
        1 => (1u64..2_000).prop_map(Act::Wait),
    ]
}

/// The increments of every write that was begun, by request.
type Counted = BTreeMap<u64, (&'static str, i64)>;

fn perform(mesh: &mut Mesh, counted: &mut Counted, act: &Act) {
    let place = |mesh: &Mesh, at: usize| (!mesh.flights.is_empty()).then(|| at % mesh.flights.len());
    match act {
        Act::Write(at, name, ops) => {
            let request = mesh.write(*at, &session(name), ops, None);
            let by = |op: &SessionOp| if let SessionOp::Increment { by, .. } = op { *by } else { 0 };
            counted.insert(request, (name, ops.iter().map(by).sum()));
        }
        Act::Deliver(at) => place(mesh, *at).into_iter().for_each(|at| mesh.deliver(at)),
        Act::Drop(at) => place(mesh, *at).into_iter().for_each(|at| drop(mesh.flights.remove(at))),
        Act::Repeat(at) => {
            place(mesh, *at).into_iter().for_each(|at| mesh.flights.push_back(mesh.flights[at].clone()));
        }
        Act::Sync(at) => mesh.sync(*at),
        Act::Cut(one, two) => mesh.set_link(*one, *two, false),
        Act::Join(one, two) => mesh.set_link(*one, *two, true),
        Act::Wait(span_ms) => mesh.advance(Duration::from_millis(*span_ms)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn replicas_become_equal_whatever_the_network_does(acts in proptest::collection::vec(act(), 1..60)) {
        let (mut mesh, mut counted) = (Mesh::new(3, 2), Counted::new());
        for act in &acts {
            perform(&mut mesh, &mut counted, act);
        }
        mesh.heal();
        let state = mesh.hosts[0].state();
        prop_assert_eq!(&mesh.hosts[1].state(), &state);
        prop_assert_eq!(&mesh.hosts[2].state(), &state);
        prop_assert!(mesh.events.iter().all(|(_, event)| matches!(event, crate::replica::Event::Started { .. })), "{:?}", mesh.events);
        for name in ["cart", "other"] {
            let made = |request: &u64| matches!(mesh.writes[request], WriteResult::Done(_) | WriteResult::Pending(_));
            let expected: i64 = counted.iter().filter(|(request, (of, _))| *of == name && made(request)).map(|(_, (_, by))| by).sum();
            let shown = state.get(&session(name)).and_then(|(_, body)| body.value.get("count")?.as_i64()).unwrap_or(0);
            prop_assert_eq!(shown, expected, "increments of {}", name);
        }
    }
}
