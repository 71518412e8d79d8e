//! Laws of the choice, for any field, and its preferences, each in a small one.

use super::*;
use crate::placement::Fence;
use crate::placement::rule::{Availability, TrustClass};
use hedgerow_attest::membership::{Role, Roles};
use hedgerow_attest::name::{FailureDomain, NodeClass};
use hedgerow_attest::region::Region;
use proptest::prelude::*;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn host(n: u8) -> Host {
    Host {
        node: node(n),
        region: Region::new("eu").unwrap(),
        class: NodeClass::new("edge").unwrap(),
        roles: Roles::all(),
        trust: TrustClass::SelfAsserted,
        availability: Availability::Available,
        free_mib: None,
        weight: 4,
        bucket: RttBucket::NEAREST,
        domain: None,
    }
}

fn hosts(count: u8) -> Vec<Host> {
    (0..count).map(host).collect()
}

fn rule(copies: u8) -> Rule {
    Rule {
        copies,
        role: Role::Replica,
        regions: Fence::of_list(&[Region::new("eu").unwrap()]),
        classes: Fence::All,
        trust: TrustClass::SelfAsserted,
        free_mib: 100,
    }
}

fn site(name: &str) -> Option<FailureDomain> {
    Some(FailureDomain::new(name).unwrap())
}

/// The holders of so many groups.
fn table(rule: &Rule, hosts: &[Host], groups: u32, previous: Option<&[Choice]>) -> Vec<Choice> {
    let field = Field::new(rule, hosts);
    let established = previous.into_iter().flatten().flat_map(|choice| choice.nodes.clone()).collect();
    let holders = |group: u32| previous.map_or(&[][..], |previous| &previous[group as usize].nodes);
    let choose = |group: u32| {
        let incumbents = Incumbents { holders: holders(group), established: &established };
        field.choose(&group.to_be_bytes(), incumbents)
    };
    (0..groups).map(choose).collect()
}

/// Places that are in the second table and not in the first.
fn moved(before: &[Choice], after: &[Choice]) -> usize {
    let gained = |(old, new): (&Choice, &Choice)| new.nodes.iter().filter(|node| !old.nodes.contains(node)).count();
    before.iter().zip(after).map(gained).sum()
}

fn places_of(node: NodeId, table: &[Choice]) -> usize {
    table.iter().filter(|choice| choice.nodes.contains(&node)).count()
}

#[test]
fn the_near_are_preferred_and_distance_within_reach_is_not() {
    let mut hosts = hosts(9);
    for (far, host) in hosts.iter_mut().enumerate().skip(3) {
        host.bucket = if far < 6 { RttBucket::of(10_000) } else { RttBucket::of(100_000) };
    }
    // Three for each copy: one copy is drawn among the three nearest, two among the six nearer ones.
    let one = table(&rule(1), &hosts, 200, None);
    assert_eq!(hosts.iter().filter(|host| places_of(host.node, &one) > 0).count(), 3);
    let two = table(&rule(2), &hosts, 200, None);
    let held: Vec<usize> = hosts.iter().map(|host| places_of(host.node, &two)).collect();
    assert!(held[..6].iter().all(|held| (40..100).contains(held)) && held[6..] == [0, 0, 0], "{held:?}");
}

#[test]
fn a_domain_holds_one_copy_while_there_are_enough_and_a_note_says_when_there_are_not() {
    let mut hosts = hosts(6);
    for (host, name) in hosts.iter_mut().zip(["a", "a", "a", "a", "b", "c"]) {
        host.domain = site(name);
    }
    for choice in table(&rule(3), &hosts, 50, None) {
        let domains: BTreeSet<u8> = choice.nodes.iter().map(|node| node.as_bytes()[0].max(3)).collect();
        assert_eq!((domains.len(), choice.notes), (3, vec![]));
    }
    for choice in table(&rule(4), &hosts, 50, None) {
        let notes = vec![Note::SharedDomain { domain: FailureDomain::new("a").unwrap(), copies: 2 }];
        assert_eq!((choice.nodes.len(), choice.notes), (4, notes));
    }
    let few = table(&rule(3), &hosts[..2], 1, None);
    let too_few = Note::TooFew { wanted: 3, found: 2 };
    assert_eq!(few[0].notes, [too_few, Note::SharedDomain { domain: FailureDomain::new("a").unwrap(), copies: 2 }]);
}

#[test]
fn a_second_domain_takes_the_copy_that_shared_the_first() {
    let mut hosts = hosts(3);
    for host in &mut hosts[..2] {
        host.domain = site("a");
    }
    hosts[2].domain = site("b");
    let shared = table(&rule(2), &hosts[..2], 20, None);
    let spread = table(&rule(2), &hosts, 20, Some(&shared));
    assert_eq!(moved(&shared, &spread), 20);
    assert!(spread.iter().all(|choice| choice.nodes.contains(&node(2)) && choice.notes.is_empty()));
}

#[test]
fn a_holder_without_room_or_fresh_from_a_restart_keeps_what_it_has_and_gets_nothing() {
    let all = hosts(4);
    let before = table(&rule(2), &all, 60, None);
    for change in [(Some(99), Availability::Available), (None, Availability::Settling)] {
        let mut hosts = all.clone();
        (hosts[0].free_mib, hosts[0].availability) = change;
        let after = table(&rule(2), &hosts, 60, Some(&before));
        assert_eq!(after, before);
        let fresh = table(&rule(2), &hosts, 60, None);
        assert_eq!(places_of(node(0), &fresh), 0);
    }
    let mut hosts = all;
    hosts[0].availability = Availability::Draining;
    let after = table(&rule(2), &hosts, 60, Some(&before));
    assert_eq!((places_of(node(0), &after), moved(&before, &after)), (0, places_of(node(0), &before)));
}

#[test]
fn a_newcomer_takes_its_share_once_and_only_from_those_that_are_not_nearer() {
    let before = table(&rule(3), &hosts(5), 600, None);
    let after = table(&rule(3), &hosts(6), 600, Some(&before));
    let gained = places_of(node(5), &after);
    assert_eq!(moved(&before, &after), gained);
    // A sixth of 1,800 places; four standard deviations of the binomial are 63.
    assert!(gained.abs_diff(300) < 63, "{gained}");
    let mut far = hosts(6);
    far[5].bucket = RttBucket::of(10_000);
    assert_eq!(table(&rule(3), &far, 600, Some(&before)), before);
}

#[test]
fn among_those_who_hold_something_another_weight_moves_nothing() {
    let before = table(&rule(3), &hosts(6), 100, None);
    let mut heavier = hosts(6);
    heavier[2].weight = 64;
    let after = table(&rule(3), &heavier, 100, Some(&before));
    assert_eq!(moved(&before, &after), 0);
    assert!(moved(&before, &table(&rule(3), &heavier, 100, None)) > 50);
}

#[test]
fn fewer_copies_keep_the_best_and_more_add_to_them() {
    let three = table(&rule(3), &hosts(6), 50, None);
    let two = table(&rule(2), &hosts(6), 50, Some(&three));
    assert!(two.iter().zip(&three).all(|(two, three)| two.nodes == three.nodes[..2]));
    let four = table(&rule(4), &hosts(6), 50, Some(&three));
    assert_eq!(moved(&three, &four), 50);
}

fn any_host() -> impl Strategy<Value = Host> {
    let availability = prop_oneof![
        6 => Just(Availability::Available),
        1 => Just(Availability::Settling),
        1 => Just(Availability::Draining),
        1 => Just(Availability::Down),
    ];
    let place = (0_u8..8, 0_u64..200_000, proptest::option::of(0_u8..4));
    (0_u8..24, place, availability, proptest::option::of(50_u32..400), 1_u32..9).prop_map(
        |(n, (odd, rtt_us, domain), availability, free_mib, weight)| Host {
            region: Region::new(if odd == 0 { "us" } else { "eu" }).unwrap(),
            roles: if odd == 1 { Roles::default().with(Role::Worker) } else { Roles::all() },
            availability,
            free_mib,
            weight,
            bucket: RttBucket::of(rtt_us),
            domain: domain.map(|domain| FailureDomain::new(&domain.to_string()).unwrap()),
            ..host(n)
        },
    )
}

fn any_field() -> impl Strategy<Value = (Vec<Host>, u8)> {
    (proptest::collection::vec(any_host(), 0..20), 1_u8..6)
}

fn holdings(field: &Field<'_>, choice: &Choice) -> (usize, BTreeSet<FailureDomain>) {
    let domains: Vec<Option<FailureDomain>> = choice.nodes.iter().map(|node| field.open[node].domain.clone()).collect();
    (domains.len(), domains.into_iter().flatten().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_fresh_choice_keeps_every_rule((hosts, copies) in any_field()) {
        let rule = rule(copies);
        let field = Field::new(&rule, &hosts);
        for choice in table(&rule, &hosts, 6, None) {
            prop_assert!(choice.nodes.iter().all(|node| rule.refusals(field.open[node]).is_empty()));
            let distinct: BTreeSet<&NodeId> = choice.nodes.iter().collect();
            let possible = field.open.len().min(usize::from(copies));
            prop_assert_eq!((distinct.len(), choice.nodes.len()), (possible, possible));
            let shares = choice.notes.iter().any(|note| matches!(note, Note::SharedDomain { .. }));
            let alone = field.open.values().filter(|host| host.domain.is_none()).count();
            let named: BTreeSet<_> = field.open.values().filter_map(|host| host.domain.clone()).collect();
            prop_assert_eq!(shares, alone + named.len() < possible);
            let (held, domains) = holdings(&field, &choice);
            let alone_held = choice.nodes.iter().filter(|node| field.open[*node].domain.is_none()).count();
            prop_assert_eq!(shares, domains.len() + alone_held < held);
        }
    }

    #[test]
    fn the_order_of_the_hosts_does_not_matter((hosts, copies) in any_field(), by in 0_usize..20) {
        let mut turned = hosts.clone();
        turned.rotate_left(by % hosts.len().max(1));
        turned.reverse();
        prop_assert_eq!(table(&rule(copies), &hosts, 6, None), table(&rule(copies), &turned, 6, None));
        let refusals = |hosts: &[Host]| Field::new(&rule(copies), hosts).refusals().clone();
        prop_assert_eq!(refusals(&hosts), refusals(&turned));
    }

    #[test]
    fn what_was_chosen_stands_and_who_no_longer_may_hold_is_gone(
        (hosts, copies) in any_field(),
        (later, _) in any_field(),
    ) {
        let rule = rule(copies);
        let before = table(&rule, &hosts, 6, None);
        prop_assert_eq!(&table(&rule, &hosts, 6, Some(&before)), &before);
        let after = table(&rule, &later, 6, Some(&before));
        // Who lost everything is a newcomer again, and may take back a place in which it draws best.
        let mut rounds = vec![after.clone()];
        while rounds.len() < 5 {
            rounds.push(table(&rule, &later, 6, rounds.last().map(Vec::as_slice)));
        }
        prop_assert_eq!(&rounds[4], &rounds[3]);
        let field = Field::new(&rule, &later);
        for (group, (before, after)) in (0_u32..).zip(before.iter().zip(&after)) {
            let host = |node: &NodeId| field.open.get(node).or_else(|| field.closed.get(node)).unwrap();
            let order = |node: &NodeId| (draw(&group.to_be_bytes(), node, host(node).weight), *node);
            prop_assert!(after.nodes.is_sorted_by_key(order), "home first");
            for node in &after.nodes {
                let kept = before.nodes.contains(node) && field.closed.contains_key(node);
                prop_assert!(field.lets_in(node) || kept);
            }
        }
    }

    #[test]
    fn a_node_that_leaves_moves_what_it_held_and_nothing_else((hosts, copies) in any_field(), pick in 0_usize..20) {
        let rule = rule(copies);
        let before = table(&rule, &hosts, 24, None);
        let established: BTreeSet<NodeId> = before.iter().flat_map(|choice| choice.nodes.clone()).collect();
        let Some(leaver) = established.iter().nth(pick % established.len().max(1)).copied() else { return Ok(()) };
        let rest: Vec<Host> = hosts.iter().filter(|host| host.node != leaver).cloned().collect();
        let after = table(&rule, &rest, 24, Some(&before));
        prop_assert!(moved(&before, &after) <= places_of(leaver, &before));
        for (before, after) in before.iter().zip(&after).filter(|(before, _)| !before.nodes.contains(&leaver)) {
            prop_assert_eq!(&before.nodes, &after.nodes);
        }
    }

    #[test]
    fn two_milliseconds_of_jitter_move_nothing(
        (hosts, copies) in any_field(),
        rtts in proptest::collection::vec((0_u64..200_000, 0_u64..=4_000), 24),
    ) {
        let rule = rule(copies);
        let at = |host: &Host| rtts[usize::from(host.node.as_bytes()[0])];
        let placed: Vec<Host> =
            hosts.iter().map(|host| Host { bucket: RttBucket::of(at(host).0), ..host.clone() }).collect();
        let later = |host: &Host| {
            let (rtt_us, jitter_us) = at(host);
            host.bucket.settle((rtt_us + jitter_us).saturating_sub(2_000))
        };
        let jittered: Vec<Host> = placed.iter().map(|host| Host { bucket: later(host), ..host.clone() }).collect();
        let before = table(&rule, &placed, 6, None);
        prop_assert_eq!(table(&rule, &jittered, 6, Some(&before)), &before[..]);
        prop_assert_eq!(table(&rule, &jittered, 6, None), before, "and not only because holders stay");
    }
}
