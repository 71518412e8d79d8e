//! Tests of which replica is asked when.

use hedgerow_protocol::view::MemberState;

use super::*;
use crate::core::testing::{node, view};

#[test]
fn the_nearest_comes_first_and_the_silent_last() {
    let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![]), (4, vec![]), (5, vec![])]);
    for (number, rtt_us, state) in [
        (2, Some(900), MemberState::Alive),
        (3, Some(100), MemberState::Suspect),
        (4, Some(200), MemberState::Draining),
        (5, None, MemberState::Alive),
    ] {
        let member = view.members.get_mut(&node(number)).unwrap();
        (member.rtt_us, member.state) = (rtt_us, state);
    }
    let ordered = |numbers: &[u8]| nearest_first(&view, &numbers.iter().map(|n| node(*n)).collect::<Vec<_>>());
    assert_eq!(ordered(&[5, 3, 2, 4, 1]), [1, 4, 2, 5, 3].map(node));
    assert_eq!(ordered(&[9, 3, 2]), [2, 3, 9].map(node), "one that nobody knows is the last resort");
}

#[test]
fn those_that_may_be_dead_share_the_time() {
    let second = Duration::from_secs(1);
    assert_eq!([3, 1, 0].map(|among| share(3 * second, among)), [second, 3 * second, 3 * second]);
}

#[test]
fn a_read_goes_on_where_another_replica_may_know_more() {
    let found =
        SessionAnswer::Found { etag: "e".to_owned(), token: "t".to_owned(), body: "{}".to_owned(), stale: false };
    assert_eq!(useful_read(found.clone()), Ok(found));
    for why in [Refused::Elsewhere, Refused::Later, Refused::Broken] {
        assert_eq!(useful_read(refused(why, "x")), Err(Some(refused(why, "x"))));
    }
    assert_eq!(useful_read(SessionAnswer::Behind { missing: 1 }), Err(Some(SessionAnswer::Behind { missing: 1 })));
    assert_eq!(useful_read(refused(Refused::Request, "x")), Ok(refused(Refused::Request, "x")), "all would say so");
}
