//! The way of voter sets, step by step. A letter is a node; what it does follows it.

use super::*;
use crate::id::ConfigEpoch;
use crate::register::Trust;
use hedgerow_attest::key::SecretKey;
use proptest::prelude::*;

const STABLE: Presence = Presence::Serves(Duration::from_secs(31));
const LATELY: Presence = Presence::Serves(Duration::from_secs(20));
const SUSPECT: Presence = Presence::Away(Duration::from_secs(2));
const DOWN: Presence = Presence::Away(Duration::from_secs(31));
const LEAVES: Presence = Presence::Leaves;

fn node(name: char) -> NodeId {
    NodeId::from_bytes([u8::try_from(name).expect("a letter"); 32])
}

fn key(seed: u8) -> PublicKey {
    SecretKey::from_seed([seed; 32]).public()
}

fn prospects(members: &[(char, Presence)]) -> BTreeMap<NodeId, Prospect<'static>> {
    let prospect = |(name, presence): &(char, Presence)| {
        (node(*name), Prospect { key: key(1), domain: None, presence: *presence })
    };
    members.iter().map(prospect).collect()
}

fn set(names: &str) -> Configuration {
    set_trusting(Trust::Shared, names)
}

fn set_trusting(trust: Trust, names: &str) -> Configuration {
    let voters = names.chars().map(|name| Voter { node: node(name), key: key(1) }).collect();
    Configuration::trusting(trust, ConfigEpoch(1), voters)
}

fn names(set: &Configuration) -> String {
    set.voters.iter().map(|voter| char::from(voter.node.as_bytes()[0])).collect()
}

/// The sets that follow each other while everybody stays as they are; each must be one that may follow.
fn way(trust: Trust, voters: &str, prospects: &BTreeMap<NodeId, Prospect<'_>>) -> Vec<String> {
    let config = ElectionConfig { trust, ..ElectionConfig::local() };
    let mut current = set_trusting(trust, voters);
    let mut sets = Vec::new();
    while let Some(next) = (Roll { me: node('A'), config: &config, current: &current, prospects }).next() {
        assert!(current.may_become(&next), "{current:?} to {next:?}");
        sets.push(names(&next));
        assert!(sets.len() < 12, "no end: {sets:?}");
        current = next;
    }
    sets
}

fn steps(voters: &str, members: &[(char, Presence)]) -> Vec<String> {
    way(Trust::Shared, voters, &prospects(members))
}

fn all(names: &str, presence: Presence) -> Vec<(char, Presence)> {
    names.chars().map(|name| (name, presence)).collect()
}

#[test]
fn a_cell_grows_to_three_at_once_and_to_five_when_it_is_stable() {
    assert_eq!(steps("A", &all("AB", LATELY)), [""; 0], "two would survive no loss");
    assert_eq!(steps("A", &all("ABC", LATELY)), ["ABC"]);
    assert_eq!(steps("ABC", &all("ABCD", STABLE)), [""; 0]);
    assert_eq!(steps("ABC", &all("ABCDE", LATELY)), [""; 0]);
    let grown = steps("ABC", &all("ABCDE", STABLE));
    assert_eq!(grown.last().map(String::as_str), Some("ABCDE"));
    assert_eq!(grown.len(), 2, "one at a time");
    assert_eq!(steps("ABCDE", &all("ABCDEFGHI", STABLE)), [""; 0]);
    let one_suspect = [all("ABDE", STABLE), all("C", SUSPECT)].concat();
    assert_eq!(steps("ABC", &one_suspect), [""; 0], "not while a voter is doubted");
}

#[test]
fn operators_that_do_not_trust_each_other_have_seven_voters() {
    let seven = way(Trust::Divided, "ABC", &prospects(&all("ABCDEFG", STABLE)));
    assert_eq!((seven.len(), seven.last().map(String::as_str)), (4, Some("ABCDEFG")));
    let back = way(Trust::Divided, "ABCDEFG", &prospects(&all("ABCDEF", STABLE)));
    assert_eq!(back.last().map(String::len), Some(5));
}

#[test]
fn the_dead_are_removed_before_their_successors_come_and_only_then() {
    let with = |state: Presence| [all("ABD", STABLE), all("C", state)].concat();
    assert_eq!(steps("ABC", &with(DOWN)), ["AB", "ABD"]);
    assert_eq!(steps("ABC", &with(SUSPECT)), [""; 0]);
    assert_eq!(steps("ABC", &[all("AB", STABLE), all("C", DOWN)].concat()), [""; 0], "it may come back");
    assert_eq!(steps("ABC", &[all("AB", STABLE), all("C", DOWN), all("D", LATELY)].concat()), [""; 0]);
    assert_eq!(steps("ABC", &[all("A", STABLE), all("BC", DOWN), all("DE", STABLE)].concat()), [""; 0], "no quorum");
    assert_eq!(steps("ABCDE", &[all("ABCDF", STABLE), all("E", DOWN)].concat()), ["ABCD", "ABCDF"]);
    assert_eq!(steps("ABCDE", &[all("ABCD", STABLE), all("E", DOWN)].concat()), [""; 0]);
    let two_down = steps("ABCDE", &[all("ABC", STABLE), all("DE", DOWN)].concat());
    assert_eq!(
        (two_down.len(), two_down.last().map(String::as_str)),
        (2, Some("ABC")),
        "three of three beat three of five"
    );
}

#[test]
fn a_dead_voter_is_removed_so_that_one_that_leaves_can_be_spared() {
    let members = [all("A", STABLE), all("B", Presence::Leaves), all("C", DOWN)].concat();
    assert_eq!(steps("ABC", &members), ["AB", "A"]);
}

#[test]
fn who_left_for_good_is_removed_at_once_and_the_cell_shrinks() {
    assert_eq!(steps("ABC", &all("ABD", LATELY)), ["AB"], "its successor has to be stable");
    assert_eq!(steps("ABC", &all("ABD", STABLE)), ["AB", "ABD"]);
    assert_eq!(steps("ABC", &all("AB", LATELY)), ["AB", "A"]);
    assert_eq!(steps("ABCDE", &all("ABCD", STABLE)).last().map(String::len), Some(3));
    assert_eq!(steps("ABCDE", &all("ABC", STABLE)).last().map(String::as_str), Some("ABC"));
}

#[test]
fn who_leaves_and_still_counts_is_relieved_by_its_successor() {
    let with = |leaver: &str, others: &str| [all(leaver, LEAVES), all(others, STABLE)].concat();
    assert_eq!(steps("ABC", &with("C", "ABD")), ["ABCD", "ABD"]);
    assert_eq!(steps("ABC", &with("C", "AB")), ["AB", "A"]);
    assert_eq!(steps("A", &with("A", "B")), ["AB", "B"], "the sole voter hands its part over");
    assert_eq!(steps("A", &with("A", "BCD")).last().map(String::as_str), Some("BCD"));
    let no_slack = [with("C", "AD"), all("B", SUSPECT)].concat();
    assert_eq!(steps("ABC", &no_slack), [""; 0], "nothing is risked while one more loss would be one too many");
}

#[test]
fn a_voter_with_another_key_votes_under_it() {
    let mut members = prospects(&all("ABC", STABLE));
    members.get_mut(&node('B')).unwrap().key = key(2);
    let config = ElectionConfig::local();
    let current = set("ABC");
    let roll = Roll { me: node('A'), config: &config, current: &current, prospects: &members };
    let next = roll.next().expect("a change of the key");
    assert_eq!((names(&next), next.key_of(&node('B'))), ("ABC".to_owned(), Some(key(2))));
    assert!(current.may_become(&next));
    let after = Roll { current: &next, ..roll };
    assert_eq!(after.next(), None);
}

#[test]
fn successors_are_chosen_from_other_failure_domains() {
    let mut members = prospects(&all("ABCDEFG", STABLE));
    members.insert(node('C'), Prospect { key: key(1), domain: None, presence: DOWN });
    for (name, domain) in
        [('A', "rack-1"), ('B', "rack-2"), ('D', "rack-1"), ('E', "rack-2"), ('F', "rack-3"), ('G', "rack-1")]
    {
        members.get_mut(&node(name)).unwrap().domain = Some(domain);
    }
    assert_eq!(way(Trust::Shared, "ABC", &members)[..2], ["AB", "ABF"]);
}

fn presence() -> impl Strategy<Value = Presence> {
    prop_oneof![4 => Just(STABLE), 1 => Just(LATELY), 1 => Just(SUSPECT), 2 => Just(DOWN), 1 => Just(LEAVES)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_way_ends_and_no_step_risks_a_quorum(
        voters in 1_usize..=7,
        states in proptest::collection::vec(proptest::option::of(presence()), 9),
        divided in any::<bool>(),
    ) {
        let trust = if divided { Trust::Divided } else { Trust::Shared };
        let letters = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I'];
        // The holder is there, or it would plan nothing.
        let states = [vec![Some(STABLE)], states[1..].to_vec()].concat();
        let members: Vec<(char, Presence)> =
            letters.iter().zip(&states).filter_map(|(name, state)| Some((*name, (*state)?))).collect();
        let members = prospects(&members);
        let config = ElectionConfig { trust, ..ElectionConfig::local() };
        let mut current = set_trusting(trust, &letters[..voters].iter().collect::<String>());
        for _ in 0..20 {
            let roll = Roll { me: node('A'), config: &config, current: &current, prospects: &members };
            let Some(next) = roll.next() else { return Ok(()) };
            prop_assert!(current.may_become(&next));
            prop_assert!(next.has(&node('A')), "the holder stays");
            prop_assert!(roll.slack(&current) >= 0 && roll.slack(&next) >= 0);
            let shrinks = roll.target() < current.voters.len();
            let relieves = members.values().any(|member| member.presence == LEAVES);
            prop_assert!(roll.slack(&next) >= roll.slack(&current) || shrinks || relieves);
            current = next;
        }
        prop_assert!(false, "no end");
    }
}
