//! The same seat as a holder whose proposal nobody can decide.

use super::*;
use crate::id::PlacementEpoch;
use crate::register::MergeInto;
use hedgerow_attest::digest::Sha256Digest;

/// A refusal of the open proposal as unfit.
fn unfit(table: &mut Table, now: Mono, voter: u32) {
    let (from, refusal) = (table.node(voter), Refusal::Unfit { cell: table.id, slot: Slot(2) });
    table.with(now, |cell, fx, _| cell.refused(fx, from, &refusal));
}

/// A holder that has accepted a proposal of its own, durably.
fn stuck() -> Table {
    stuck_with(Content::Retirement(PlacementEpoch(1)))
}

fn digest() -> Sha256Digest {
    Sha256Digest::from_bytes([9; 32])
}

fn stuck_with(content: Content) -> Table {
    let mut table = Table::seat(0);
    let campaign = table.campaign(at(10_000));
    let grant = table.grant(&campaign, 1);
    table.receive(at(10_110), grant);
    table.with(at(10_120), |cell, fx, _| cell.propose(fx, content));
    let written = table.token;
    let (_, acceptance) = signed_acceptance(&table);
    table.with(at(10_130), |cell, fx, outcomes| cell.signed_acceptance(fx, written, acceptance, outcomes));
    table.with(at(10_140), |cell, fx, outcomes| cell.persisted(fx, written, outcomes));
    assert_eq!(proposals(&table), 2);
    table
}

fn signed_acceptance(table: &Table) -> (Token, Verified<Acceptance>) {
    let wanted = table.out.iter().rev().find_map(|output| {
        let Output::Sign { token, statement: Statement::Acceptance(acceptance) } = output else { return None };
        Some((*token, acceptance.clone()))
    });
    let (token, acceptance) = wanted.expect("it accepts what it proposes");
    (token, Verified::sign_verified(&acceptance, &table.mesh.keys(table.me).statement))
}

/// The grant of a voter that knows as much of the register, and what it accepted.
fn granted(table: &Table, campaign: &Campaign, voter: u32, accepted: Option<Value>) -> VerifiedGrant {
    let grant = Grant {
        head: table.cell.head().expect("it has a seat"),
        accepted: accepted.as_ref().map(|value| (Term(2), value.digest())),
        ..(*table.grant(campaign, voter).grant).clone()
    };
    let grant = Verified::sign_verified(&grant, &table.mesh.keys(voter).statement);
    VerifiedGrant { grant, head: None, accepted }
}

/// The renewal that it sends at that moment, its promise to itself being durable.
fn renewal(table: &mut Table, now: Mono) -> Campaign {
    table.tick(now);
    let token = table.token;
    table.with(now + Duration::from_millis(10), |cell, fx, outcomes| cell.persisted(fx, token, outcomes));
    table.last_campaign().0
}

fn term(table: &Table, now: Mono) -> Option<Term> {
    table.cell.holds(now).map(|(term, _)| term)
}

#[test]
fn a_holder_whose_proposal_is_refused_as_unfit_is_rid_of_it_when_the_others_alone_elect_it() {
    let mut table = stuck();
    unfit(&mut table, at(10_200), 1);
    assert_eq!(renewal(&mut table, at(11_100)).term, Term(2), "the other may still accept");
    unfit(&mut table, at(11_200), 2);
    let renewal = renewal(&mut table, at(12_100));
    assert_eq!(renewal.term, Term(3));
    let [one, two] = [1, 2].map(|voter| granted(&table, &renewal, voter, None));
    table.receive(at(12_120), one);
    assert_eq!(term(&table, at(12_120)), Some(Term(2)), "its own vote does not count");
    assert!(!table.cell.is_free_to_propose());
    table.receive(at(12_130), two);
    assert_eq!(term(&table, at(12_130)), Some(Term(3)));
    assert!(table.cell.is_free_to_propose());
}

#[test]
fn what_another_accepted_too_is_proposed_again() {
    let mut table = stuck();
    [1, 2].into_iter().for_each(|voter| unfit(&mut table, at(10_200), voter));
    let renewal = renewal(&mut table, at(11_100));
    let value = table.cell.accepted_value().expect("it accepted its own").clone();
    let [one, two] = [(1, Some(value)), (2, None)].map(|(voter, value)| granted(&table, &renewal, voter, value));
    table.receive(at(11_120), one);
    table.receive(at(11_130), two);
    assert_eq!(term(&table, at(11_130)), Some(Term(3)));
    assert!(!table.cell.is_free_to_propose(), "it may have been decided");
}

#[test]
fn where_the_others_are_too_few_the_lease_goes_on_by_its_own_vote_in_turn() {
    let mut table = stuck();
    [1, 2].into_iter().for_each(|voter| unfit(&mut table, at(10_200), voter));
    renewal(&mut table, at(11_100));
    let renewal = renewal(&mut table, at(12_100));
    let one = granted(&table, &renewal, 1, None);
    table.receive(at(12_120), one);
    assert_eq!(table.cell.holds(at(12_120)), Some((Term(3), at(12_100 + 3_910))));
    assert!(!table.cell.is_free_to_propose(), "and it is not rid of it");
}

#[test]
fn a_holder_that_is_rid_of_the_end_of_its_cell_leads_on() {
    let mut table =
        stuck_with(Content::MergeInto(MergeInto { target: CellId::from_bytes([0; 32]), absorbed: digest() }));
    assert!(table.cell.is_ending());
    [1, 2].into_iter().for_each(|voter| unfit(&mut table, at(10_200), voter));
    let renewal = renewal(&mut table, at(11_100));
    let [one, two] = [1, 2].map(|voter| granted(&table, &renewal, voter, None));
    table.receive(at(11_120), one);
    assert!(table.cell.is_ending());
    table.receive(at(11_130), two);
    assert!(!table.cell.is_ending() && table.cell.is_free_to_propose());
}
