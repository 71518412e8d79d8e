//! Tests of one seat in a cell of three, step by step.

use super::*;
use crate::core::{Effects, Output};
use crate::defect::Sound;
use crate::election::{Abandon, Campaign, Denial, ElectionConfig, Grant, Propose, Refusal, VerifiedGrant};
use crate::fact::Statement;
use crate::id::{BootId, ConfigEpoch, Generation, Slot, Term, Token};
use crate::machine::Cx;
use crate::register::{Acceptance, Configuration, Content, Decision, Head, Value, Voter};
use crate::roster::Roster;
use crate::time::{Mono, Wall};
use crate::wire::{VerifiedLease, VerifiedMessage};
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::signed::{Signed, Verified};
use hedgerow_attest::testing::SampleMesh;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::collections::BTreeSet;
use std::time::Duration;

/// One seat in a cell that node 0 founded and whose voters are nodes 0, 1 and 2 from the first moment on.
struct Table {
    me: u32,
    mesh: SampleMesh,
    cell: Cell,
    id: CellId,
    rng: ChaCha8Rng,
    token: Token,
    out: Vec<Output>,
    outcomes: Vec<Outcome>,
}

const LEADS: Standing = Standing { may_lead: true, rivals: 0, in_view: 3, down: None };

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000)
}

impl Table {
    fn seat(me: u32) -> Self {
        let mesh = SampleMesh::new(1);
        let birth = mesh.birth("eu", &mesh.member(0, "eu"));
        let id = birth.cell();
        let mut roster = Roster::default();
        roster.charter(&crate::fact::VerifiedFact::genesis(birth));
        let node = mesh.member(me, "eu").node();
        let mut cell = Cell::new(node, BootId([1; 16]), ElectionConfig::local(), Sound);
        cell.open(at(0), id, &roster);
        let decision =
            three_voters(&mesh, id).verify(roster.voters_at(&id, Head::genesis(id).next()).unwrap()).unwrap();
        let mut outcomes = Vec::new();
        cell.decided(at(0), &decision, &mut outcomes);
        let rng = ChaCha8Rng::seed_from_u64(1);
        Self { me, mesh, cell, id, rng, token: Token(0), out: Vec::new(), outcomes }
    }

    fn node(&self, number: u32) -> NodeId {
        self.mesh.member(number, "eu").node()
    }

    fn with<R>(&mut self, now: Mono, act: impl FnOnce(&mut Cell, &mut Effects<'_>, &mut Vec<Outcome>) -> R) -> R {
        let mut cx = Cx { now, wall: Wall(now.0), rng: &mut self.rng, out: &mut self.out };
        act(&mut self.cell, &mut Effects::new(&mut cx, &mut self.token), &mut self.outcomes)
    }

    /// Lets it campaign; returns the campaign that it sent, its promise to itself being durable.
    fn campaign(&mut self, now: Mono) -> Campaign {
        self.with(now, |cell, fx, outcomes| cell.tick(fx, LEADS, outcomes));
        let start = now + Duration::from_millis(100);
        self.with(start, |cell, fx, outcomes| cell.tick(fx, LEADS, outcomes));
        let token = self.token;
        self.with(start, |cell, fx, outcomes| cell.persisted(fx, token, outcomes));
        self.sent_campaign().expect("a campaign that waits for the promise behind it").0
    }

    /// The last campaign that it sent, if it waits for a write.
    fn sent_campaign(&self) -> Option<(Campaign, Token)> {
        let (campaign, after) = self.last_campaign();
        Some((campaign, after?))
    }

    /// The last campaign that it sent, and the write that it waits for.
    fn last_campaign(&self) -> (Campaign, Option<Token>) {
        let sent = self.lease_messages().rev().find_map(|(message, after)| {
            let VerifiedLease::Campaign(campaign) = message else { return None };
            Some((campaign.clone(), after))
        });
        sent.expect("it asked")
    }

    fn lease_messages(&self) -> impl DoubleEndedIterator<Item = (&VerifiedLease, Option<Token>)> {
        self.out.iter().filter_map(|output| {
            let Output::Send { message: VerifiedMessage::Lease(lease), after, .. } = output else { return None };
            Some((&**lease, *after))
        })
    }

    fn grant(&self, campaign: &Campaign, voter: u32) -> VerifiedGrant {
        let grant = Grant {
            cell: self.id,
            generation: Generation(0),
            config_epoch: campaign.config_epoch,
            term: campaign.term,
            candidate: self.node(self.me),
            boot: campaign.boot,
            nonce: campaign.nonce,
            voter: self.node(voter),
            head: Head { slot: campaign.head, ..Head::genesis(self.id) },
            accepted: None,
        };
        let grant = Verified::sign_verified(&grant, &self.mesh.keys(voter).statement);
        VerifiedGrant { grant, head: None, accepted: None }
    }

    /// A voter refuses; returns the campaigns that this node sends in that moment, by term and receiver.
    fn refuse(&mut self, now: Mono, campaign: &Campaign, voter: u32, promised: u64, remaining_ms: u32) {
        let (cell, nonce) = (self.id, campaign.nonce);
        let denial = Denial { cell, nonce, promised: Term(promised), remaining_ms, moved: None };
        let from = self.node(voter);
        self.with(now, |cell, fx, _| cell.denied(fx, from, &denial));
    }

    /// Lets time pass; returns the campaigns that this node sent in it, by term and receiver.
    fn tick(&mut self, now: Mono) -> Vec<(Term, NodeId)> {
        self.out.clear();
        self.with(now, |cell, fx, outcomes| cell.tick(fx, LEADS, outcomes));
        let sent = self.out.iter().filter_map(|output| {
            let Output::Send { to, message: VerifiedMessage::Lease(lease), .. } = output else { return None };
            let VerifiedLease::Campaign(campaign) = &**lease else { return None };
            Some((campaign.term, *to))
        });
        sent.collect()
    }

    fn receive(&mut self, now: Mono, grant: VerifiedGrant) {
        self.with(now, |cell, fx, outcomes| cell.granted(fx.now, grant, outcomes));
    }
}

fn three_voters(mesh: &SampleMesh, cell: CellId) -> Decision {
    let voter = |number| Voter { node: mesh.member(number, "eu").node(), key: *mesh.member(number, "eu").statement() };
    let next = Configuration::majority(ConfigEpoch(2), vec![voter(0), voter(1), voter(2)]);
    let head = Head::genesis(cell);
    let (generation, slot, term) = (Generation(0), Slot(1), Term(1));
    let value = Value { cell, generation, slot, previous: head.digest, content: Content::Configuration(next) };
    let digest = value.digest();
    let accept = |number| {
        let voter = mesh.member(number, "eu").node();
        let acceptance = Acceptance { cell, generation, slot, value: digest, term, voter };
        Signed::sign(&acceptance, &mesh.keys(number).statement)
    };
    Decision { acceptances: vec![accept(0), accept(1)], value, term, config_epoch: ConfigEpoch(1) }
}

#[test]
fn a_lease_counts_from_before_the_question_however_late_the_answer() {
    let mut table = Table::seat(0);
    let campaign = table.campaign(at(10_000));
    let grant = table.grant(&campaign, 1);
    table.receive(at(10_800), grant);
    assert_eq!(table.outcomes, [Outcome::Acquired(Term(2))]);
    assert_eq!(table.cell.holds(at(10_800)), Some((Term(2), at(10_100 + 3_910))));
    assert_eq!(table.cell.holds(at(14_060)), None, "it is over when it is over");
}

#[test]
fn a_grant_counts_once_from_a_voter_and_for_its_own_round_only() {
    let mut table = Table::seat(0);
    let campaign = table.campaign(at(10_000));
    let strange_round = table.grant(&Campaign { nonce: campaign.nonce ^ 1, ..campaign }, 1);
    let strange_term = table.grant(&Campaign { term: Term(1), ..campaign }, 1);
    let strange_boot = table.grant(&Campaign { boot: BootId([9; 16]), ..campaign }, 1);
    let no_voter = table.grant(&campaign, 3);
    let mut forged = table.grant(&campaign, 1);
    forged.grant = Verified::sign_verified(&*forged.grant, &table.mesh.keys(3).statement);
    for void in [strange_round, strange_term, strange_boot, no_voter, forged] {
        table.receive(at(10_200), void);
    }
    assert_eq!(table.outcomes, [], "none of them was for this round, or by a voter");
    let good = table.grant(&campaign, 2);
    table.receive(at(10_200), good);
    assert_eq!(table.outcomes, [Outcome::Acquired(Term(2))]);
}

#[test]
fn a_round_that_was_given_up_is_void_and_frees_its_voters() {
    let mut table = Table::seat(0);
    let campaign = table.campaign(at(10_000));
    table.with(at(10_950), |cell, fx, outcomes| cell.tick(fx, LEADS, outcomes));
    let abandons = table.lease_messages().filter(|(message, _)| matches!(message, VerifiedLease::Abandon(_)));
    assert_eq!(abandons.count(), 2);
    let late = table.grant(&campaign, 1);
    table.receive(at(10_960), late);
    assert_eq!((table.outcomes.len(), table.cell.holds(at(10_960))), (0, None));
}

#[test]
fn who_did_not_answer_is_asked_once_more() {
    let mut table = Table::seat(0);
    let campaign = table.campaign(at(10_000));
    let (one, two) = (table.node(1), table.node(2));
    assert_eq!(table.tick(at(10_349)), []);
    assert_eq!(table.tick(at(10_350)).len(), 2);
    table.refuse(at(10_360), &campaign, 1, 0, 3_000);
    assert_eq!(table.tick(at(10_600)), [(Term(2), two)], "the other said for how long it is bound");
    let grant = table.grant(&campaign, 2);
    table.receive(at(10_610), grant);
    assert_eq!(table.outcomes, [Outcome::Acquired(Term(2))]);
    let renewal: BTreeSet<_> = table.tick(at(11_100)).into_iter().collect();
    assert_eq!(renewal, BTreeSet::from([(Term(2), one), (Term(2), two)]));
    assert_eq!(table.tick(at(11_350)).len(), 2, "a renewal that is lost is repeated");
}

#[test]
fn a_hopeless_round_ends_at_once() {
    let mut table = Table::seat(0);
    let campaign = table.campaign(at(10_000));
    table.refuse(at(10_110), &campaign, 1, 0, 3_000);
    table.refuse(at(10_120), &campaign, 2, 0, 2_000);
    let abandons = table.lease_messages().filter(|(message, _)| matches!(message, VerifiedLease::Abandon(_)));
    assert_eq!(abandons.count(), 2);
    assert_eq!(table.tick(at(12_119)), [], "nobody is free before");
    let again = table.tick(at(12_400));
    assert_eq!(again.iter().map(|(term, _)| *term).collect::<Vec<_>>(), [Term(3), Term(3)]);
}

#[test]
fn a_term_that_was_given_away_is_exchanged_for_a_higher_one_at_once() {
    let mut table = Table::seat(0);
    let campaign = table.campaign(at(10_000));
    table.refuse(at(10_110), &campaign, 1, 7, 0);
    table.refuse(at(10_120), &campaign, 2, 4, 0);
    let again = table.tick(at(10_120));
    assert_eq!(again.iter().map(|(term, _)| *term).collect::<Vec<_>>(), [Term(8), Term(8)]);
}

#[test]
fn a_holder_wins_back_a_voter_under_a_higher_term_and_goes_on_meanwhile() {
    let mut table = Table::seat(0);
    let campaign = table.campaign(at(10_000));
    let grant = table.grant(&campaign, 1);
    table.receive(at(10_110), grant);
    assert_eq!(table.tick(at(11_100)).len(), 2);
    let (renewal, _) = table.last_campaign();
    table.refuse(at(11_110), &renewal, 2, 5, 0);
    assert_eq!(table.tick(at(12_100)).iter().map(|(term, _)| *term).collect::<Vec<_>>(), [Term(6), Term(6)]);
    assert_eq!(table.cell.holds(at(12_100)).map(|(term, _)| term), Some(Term(2)));
    let (raised, after) = table.last_campaign();
    assert_eq!(after, Some(table.token), "its promise to itself comes first");
    let grant = table.grant(&raised, 2);
    table.receive(at(12_110), grant);
    assert_eq!(table.cell.holds(at(12_110)).map(|(term, _)| term), Some(Term(2)), "its own vote is not written");
    let token = table.token;
    table.with(at(12_120), |cell, fx, outcomes| cell.persisted(fx, token, outcomes));
    assert_eq!(table.cell.holds(at(12_120)), Some((Term(6), at(12_100 + 3_910))));
    assert_eq!(table.outcomes, [Outcome::Acquired(Term(2)), Outcome::Acquired(Term(6))]);
}

#[test]
fn its_own_vote_counts_when_it_is_durable() {
    let mut table = Table::seat(0);
    table.with(at(10_000), |cell, fx, outcomes| cell.tick(fx, LEADS, outcomes));
    table.with(at(10_100), |cell, fx, outcomes| cell.tick(fx, LEADS, outcomes));
    let written = table.token;
    let (campaign, after) = table.sent_campaign().expect("a campaign that waits for the promise behind it");
    assert_eq!(after, written);
    let grant = table.grant(&campaign, 1);
    table.receive(at(10_110), grant);
    assert_eq!(table.outcomes, [], "one of three, and its own is not written");
    table.with(at(10_120), |cell, fx, outcomes| cell.persisted(fx, written, outcomes));
    assert_eq!(table.outcomes, [Outcome::Acquired(Term(2))]);
}

/// How many proposals it has sent.
fn proposals(table: &Table) -> usize {
    table.lease_messages().filter(|(message, _)| matches!(message, VerifiedLease::Propose(_))).count()
}

#[test]
fn a_proposal_leaves_when_it_is_durable_unless_the_lease_was_handed_over_meanwhile() {
    for leaves in [false, true] {
        let mut table = Table::seat(0);
        let campaign = table.campaign(at(10_000));
        let grant = table.grant(&campaign, 1);
        table.receive(at(10_110), grant);
        let voters = table.cell.voters().expect("it has a seat").clone();
        let next = Configuration { epoch: voters.epoch.next(), ..voters };
        table.with(at(10_120), |cell, fx, _| cell.propose(fx, Content::Configuration(next)));
        let written = table.token;
        assert_eq!(proposals(&table), 0, "its own acceptance is not written");
        if leaves {
            table.with(at(10_130), |cell, fx, outcomes| cell.hand_over(fx, None, outcomes));
        }
        table.with(at(10_140), |cell, fx, outcomes| cell.persisted(fx, written, outcomes));
        assert_eq!(proposals(&table), if leaves { 0 } else { 2 });
    }
}

#[path = "voter_tests.rs"]
mod voter;

#[path = "rid_tests.rs"]
mod rid;
