//! The same seat as a voter, and what it believes of who leads.

use super::*;
use crate::election::LeaseHint;

/// What the last answer to a campaign was: granted under that term, or denied.
fn asked(table: &mut Table, now: Mono, from: u32, term: u64) -> Option<Term> {
    let campaign = Campaign {
        cell: table.id,
        generation: Generation(0),
        config_epoch: ConfigEpoch(2),
        term: Term(term),
        boot: BootId([4; 16]),
        nonce: 5,
        head: Slot(1),
    };
    let from = table.node(from);
    table.with(now, |cell, fx, _| cell.campaign(fx, from, &campaign));
    let Some(Output::Sign { statement: Statement::Grant(grant), .. }) = table.out.pop() else { return None };
    Some(grant.term)
}

#[test]
fn a_new_voter_waits_a_lease_before_its_first_grant() {
    let mut table = Table::seat(2);
    assert_eq!(asked(&mut table, at(1_000), 1, 2), None);
    assert_eq!(asked(&mut table, at(4_039), 1, 2), None);
    assert_eq!(asked(&mut table, at(4_040), 1, 2), Some(Term(2)));
}

#[test]
fn whoever_ranks_last_asks_after_two_leases_although_others_ask_in_vain_all_the_while() {
    let mut table = Table::seat(2);
    let ranked = Standing { rivals: 4, ..LEADS };
    let mut asks = |now: u64| {
        let (term, from) = (2 + now / 1_000, table.node(1));
        if now.is_multiple_of(1_000) {
            asked(&mut table, at(now), 1, term);
        } else if now % 1_000 == 800 {
            let abandon = Abandon { cell: table.id, term: Term(term), boot: BootId([4; 16]) };
            table.with(at(now), |cell, fx, _| cell.abandoned(fx.now, from, &abandon));
        }
        table.with(at(now), |cell, fx, outcomes| cell.tick(fx, ranked, outcomes));
        table.lease_messages().any(|(message, _)| matches!(message, VerifiedLease::Campaign(_)))
    };
    let first = (0..20_000).step_by(50).find(|now| asks(*now));
    assert!(first.is_some_and(|first| (8_800..9_000).contains(&first)), "once nobody is promised anything: {first:?}");
}

#[test]
fn a_promise_binds_for_a_lease_and_a_term_for_ever() {
    let mut table = Table::seat(2);
    assert_eq!(asked(&mut table, at(5_000), 1, 4), Some(Term(4)));
    assert_eq!(asked(&mut table, at(6_000), 0, 5), None, "the lease runs");
    assert_eq!(asked(&mut table, at(6_000), 1, 4), Some(Term(4)), "a renewal");
    assert_eq!(asked(&mut table, at(10_039), 0, 5), None, "counted from the renewal");
    assert_eq!(asked(&mut table, at(10_040), 0, 4), None, "that term is given away");
    assert_eq!(asked(&mut table, at(10_040), 0, 5), Some(Term(5)));
    assert_eq!(asked(&mut table, at(20_000), 1, 4), None, "terms do not go back");
    assert_eq!(asked(&mut table, at(20_000), 3, 9), None, "no voter, no candidate");
}

#[test]
fn whoever_accepts_after_a_release_renews_for_the_proposer() {
    let mut table = Table::seat(2);
    let (former, proposer, boot) = (table.node(1), table.node(0), BootId([4; 16]));
    assert_eq!(asked(&mut table, at(5_000), 1, 4), Some(Term(4)));
    let release = Abandon { cell: table.id, term: Term(4), boot };
    table.with(at(5_100), |cell, fx, _| cell.abandoned(fx.now, former, &release));
    assert_eq!(asked(&mut table, at(5_200), 1, 4), None, "it was given back");
    let decision = three_voters(&table.mesh, table.id);
    let content = Content::Configuration(Configuration { epoch: ConfigEpoch(3), voters: vec![], quorum: 1 });
    let value = Value { slot: Slot(2), previous: decision.value.digest(), content, ..decision.value };
    let propose = Propose { term: Term(5), boot, config_epoch: ConfigEpoch(2), value: Box::new(value) };
    table.with(at(5_300), |cell, fx, _| cell.proposed(fx, proposer, propose, true));
    assert_eq!(asked(&mut table, at(6_300), 0, 5), Some(Term(5)), "to accept was to promise");
}

#[test]
fn an_unfit_value_is_refused_unless_it_was_accepted_before() {
    let mut table = Table::seat(2);
    let proposer = table.node(1);
    let decision = three_voters(&table.mesh, table.id);
    let content = Content::Configuration(Configuration { epoch: ConfigEpoch(3), voters: vec![], quorum: 1 });
    let value = Value { slot: Slot(2), previous: decision.value.digest(), content, ..decision.value };
    let propose = |term| Propose {
        term: Term(term),
        boot: BootId([4; 16]),
        config_epoch: ConfigEpoch(2),
        value: Box::new(value.clone()),
    };
    let mut answer = |now, term, fit| {
        table.with(now, |cell, fx, _| cell.proposed(fx, proposer, propose(term), fit));
        match table.out.pop() {
            Some(Output::Sign { statement: Statement::Acceptance(acceptance), .. }) => Ok(acceptance.term),
            Some(Output::Send { message: VerifiedMessage::Lease(lease), .. }) => Err(lease),
            other => panic!("neither accepted nor refused: {other:?}"),
        }
    };
    let unfit = VerifiedLease::Refused(Refusal::Unfit { cell: value.cell, slot: Slot(2) });
    assert_eq!(answer(at(5_000), 2, false), Err(Box::new(unfit)));
    assert_eq!(answer(at(5_000), 2, true), Ok(Term(2)));
    assert_eq!(answer(at(9_100), 3, false), Ok(Term(3)), "another holder has to be able to finish it");
    let promised = VerifiedLease::Refused(Refusal::Promised { cell: value.cell, term: Term(3) });
    assert_eq!(answer(at(20_000), 2, true), Err(Box::new(promised)), "a ballot below the promise");
}

#[test]
fn a_hint_that_names_nobody_who_votes_is_not_believed() {
    let mut table = Table::seat(2);
    let stranger = SampleMesh::new(1).member(7, "eu").node();
    let mut hears = |holder: NodeId, config_epoch: u64, term: u64| {
        let hint = LeaseHint {
            cell: table.id,
            generation: Generation(0),
            config_epoch: ConfigEpoch(config_epoch),
            term: Term(term),
            holder,
            slot: Slot(1),
            remaining_ms: 3_000,
        };
        let now = at(5_000);
        (table.cell.heard(now, &hint), table.cell.known(now).map(|known| known.holder))
    };
    let voter = SampleMesh::new(1).member(1, "eu").node();
    assert_eq!(hears(stranger, 2, 2), (false, None), "of the voters in force it is none");
    assert_eq!(hears(voter, 2, 2), (true, Some(voter)));
    assert_eq!(hears(stranger, 3, 3), (true, Some(stranger)), "of later voters this node knows nothing yet");
}

#[test]
fn a_renewal_says_that_the_holder_leads_still() {
    // Of a pair of neighbours one pings and the other acknowledges: a voter that its holder always pings hears no hint.
    let mut table = Table::seat(2);
    let holder = table.node(1);
    let hint = LeaseHint {
        cell: table.id,
        generation: Generation(0),
        config_epoch: ConfigEpoch(2),
        term: Term(4),
        holder,
        slot: Slot(1),
        remaining_ms: 1_500,
    };
    let until = |table: &Table| table.cell.known(at(0)).map(|known| (known.holder, known.term, known.until));
    assert_eq!(asked(&mut table, at(5_000), 1, 4), Some(Term(4)));
    assert_eq!(until(&table), None, "whoever asks may be a candidate that never wins");
    assert!(table.cell.heard(at(5_100), &hint));
    assert_eq!(asked(&mut table, at(6_000), 1, 4), Some(Term(4)));
    assert_eq!(until(&table), Some((holder, Term(4), at(8_000))), "two renewals on");
    let release = Abandon { cell: table.id, term: Term(4), boot: BootId([4; 16]) };
    table.with(at(6_100), |cell, fx, _| cell.abandoned(fx.now, holder, &release));
    assert_eq!(asked(&mut table, at(6_200), 1, 4), None);
    assert_eq!(until(&table), Some((holder, Term(4), at(6_100))), "what was given back runs no more");
}

#[test]
fn what_was_promised_in_a_cell_stands_when_this_node_comes_back_to_it() {
    let mut table = Table::seat(2);
    assert_eq!(asked(&mut table, at(5_000), 1, 4), Some(Term(4)));
    // It goes to another cell, and a recovery leads it back.
    let mut roster = Roster::default();
    let births = ["eu", "us"].map(|region| table.mesh.birth(region, &table.mesh.member(0, region)));
    let [here, there] = births.each_ref().map(|birth| birth.cell());
    for birth in births {
        assert!(roster.charter(&crate::fact::VerifiedFact::genesis(birth)));
    }
    table.cell.open(at(6_000), there, &roster);
    table.cell.open(at(7_000), here, &roster);
    assert_eq!(table.cell.promised_term(), Some(Term(4)));
    let decision =
        three_voters(&table.mesh, here).verify(roster.voters_at(&here, Head::genesis(here).next()).unwrap()).unwrap();
    let mut outcomes = Vec::new();
    table.cell.decided(at(7_000), &decision, &mut outcomes);
    assert_eq!(asked(&mut table, at(7_100), 0, 9), None, "bound as after a restart");
    assert_eq!(asked(&mut table, at(30_000), 0, 4), None, "that term is given away");
    assert_eq!(asked(&mut table, at(30_000), 0, 5), Some(Term(5)));
}
