//! What the machine of a cell holds, and what moves it from outside of the protocol.

use super::ballot::{Electorate, Proposal, Round};
use super::candidate::Vacancy;
use super::handover::Parting;
use super::voter::OpenGrant;
use crate::core::Effects;
use crate::defect::{Defect, Defects, Sound};
use crate::election::{Accepted, ClockCheck, ElectionConfig, KnownLease, LeaseHint, VoterRecord};
use crate::id::{BootId, Generation, Term, Token};
use crate::register::{Acceptance, Configuration, Head, Value, VerifiedDecision};
use crate::time::Mono;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use std::collections::BTreeMap;

/// By how much one message may raise the highest known term: a liar must not use up the numbers.
const TERM_LEAP: u64 = 1 << 20;

/// This node's part in its cell. Without a cell it does nothing.
#[derive(Debug, Clone)]
pub(crate) struct Cell<D = Sound> {
    pub(super) defects: D,
    pub(super) me: NodeId,
    pub(super) boot: BootId,
    pub(super) config: ElectionConfig,
    pub(super) seat: Option<Seat>,
    pub(super) restored: BTreeMap<CellId, VoterRecord>,
    pub(super) halted: bool,
    /// Whether this node's clock may time leases.
    pub(super) clock: ClockCheck,
    /// How many members of the cell this node saw alive at the last tick, itself among them. Nothing sound counts it.
    pub(super) in_view: usize,
    /// When that tick was, and whether this node might lead then.
    pub(super) looked: (Mono, bool),
}

/// What the core knows of this node and the other voters, for one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether this node may lead: it means to stay.
    pub(crate) may_lead: bool,
    /// How many voters that seem alive rank before it.
    pub(crate) rivals: usize,
    /// The holder known last, if it is known to be down.
    pub(crate) down: Option<NodeId>,
    /// How many members of the cell seem alive, itself among them.
    pub(crate) in_view: usize,
}

/// What became of the cell in a step, for the core to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This node holds the lease.
    Acquired(Term),
    /// It does not any more.
    Lost(Term),
    /// A slot was decided, by this node's proposal or as another proved; adopt it as a fact.
    Decided(Box<VerifiedDecision>),
}

/// Everything about one cell.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) cell: CellId,
    pub(super) generation: Generation,
    pub(super) head: Head,
    pub(super) head_decision: Option<VerifiedDecision>,
    pub(super) in_force: Configuration,
    /// The decision that put `in_force` in force; the genesis has none.
    pub(super) in_force_decision: Option<VerifiedDecision>,
    /// What must not be forgotten; changed only together with a write.
    pub(super) record: VoterRecord,
    /// Until when the promise binds.
    pub(super) until: Mono,
    /// Whoever was promised gave it back: a request of its that was still under way renews nothing.
    pub(super) released: bool,
    /// Until when nothing is granted but renewals: after a restart, a jump of the clocks, or as a voter that is new or that a
    /// recovery led here.
    pub(super) blocked_until: Mono,
    /// The last write of `record`, while it is not durable.
    pub(super) writing: Option<Token>,
    pub(super) role: Role,
    pub(super) max_term: Term,
    pub(super) known: Option<KnownLease>,
    pub(super) vacancy: Option<Vacancy>,
    /// Since when this idle voter knows of nobody who holds the lease, whoever asked for it in vain meanwhile.
    pub(super) unled: Option<Mono>,
    pub(super) parting: Option<Parting>,
    pub(super) back_off: Mono,
    /// Until when a voter said that it is bound; an `Abandon` may end that sooner.
    pub(super) denied_until: Mono,
    /// Grants that wait for their signature, by token.
    pub(super) grants: BTreeMap<Token, OpenGrant>,
    /// Acceptances that wait for their signature, by token.
    pub(super) acceptances: BTreeMap<Token, (NodeId, Option<Token>)>,
    /// Own acceptances that wait for their write.
    pub(super) own_acceptances: Vec<(Token, hedgerow_attest::signed::Verified<Acceptance>)>,
}

/// What this node is at the moment.
#[derive(Debug, Clone)]
pub(super) enum Role {
    /// A voter, or nothing.
    Idle,
    /// It asks for the lease.
    Asking(Box<Round>),
    /// It holds the lease.
    Holding(Box<Holding>),
}

/// The lease of this node.
#[derive(Debug, Clone)]
pub(super) struct Holding {
    pub(super) term: Term,
    pub(super) until: Mono,
    /// The term that it asks for when it renews: a higher one than it holds where a voter gave the term that it holds away.
    pub(super) asks: Term,
    /// A voter that is free refused the last renewal for its term.
    pub(super) outranked: bool,
    /// What it accepted before and was rid of by its election.
    pub(super) rid_of: Option<Sha256Digest>,
    pub(super) next_renewal: Mono,
    /// When the open renewal and the open proposal are sent again to those who have not answered.
    pub(super) next_retry: Mono,
    pub(super) last_nonce: u64,
    pub(super) renewal: Option<Round>,
    /// What has to be proposed before anything else: a dead holder may have decided it.
    pub(super) inherited: Option<Value>,
    pub(super) proposal: Option<Proposal>,
}

impl Holding {
    pub(super) fn new(term: Term, until: Mono, next_renewal: Mono, inherited: Option<Value>) -> Self {
        Self {
            term,
            until,
            asks: term,
            outranked: false,
            rid_of: None,
            next_renewal,
            next_retry: next_renewal,
            last_nonce: 0,
            renewal: None,
            inherited,
            proposal: None,
        }
    }
}

impl<D: Defects> Cell<D> {
    pub(crate) fn new(me: NodeId, boot: BootId, config: ElectionConfig, defects: D) -> Self {
        Self {
            defects,
            me,
            boot,
            config,
            seat: None,
            restored: BTreeMap::new(),
            halted: false,
            clock: ClockCheck::default(),
            in_view: 1,
            looked: (Mono(0), true),
        }
    }

    /// A slot of a register was decided and adopted.
    pub(crate) fn decided(&mut self, now: Mono, decision: &VerifiedDecision, outcomes: &mut Vec<Outcome>) {
        let (me, span, headless) = (self.me, self.config.voter_span(), self.defects.has(Defect::NewVoterWithoutHead));
        let Some(seat) = self.seat.as_mut().filter(|seat| seat.cell == decision.value.cell) else { return };
        if decision.value.point() <= seat.head.point() {
            return;
        }
        seat.head = decision.value.head();
        seat.head_decision = Some(decision.clone());
        seat.max_term = seat.max_term.max(decision.term);
        let Some(next) = decision.value.content.next_voters() else {
            seat.drop_settled_proposal();
            if decision.value.is_last() {
                // Nobody leads a cell that ended.
                if let Role::Holding(holding) = std::mem::replace(&mut seat.role, Role::Idle) {
                    outcomes.push(Outcome::Lost(holding.term));
                }
            }
            return;
        };
        let joins = next.has(&me) && !seat.in_force.has(&me);
        seat.in_force = next.clone();
        seat.in_force_decision = Some(decision.clone());
        let took_part = seat.record.promise.is_some_and(|promise| promise.term >= decision.term);
        if joins && !took_part && !headless {
            // What the voters before promised is not known here.
            seat.blocked_until = seat.blocked_until.max(now + span);
        }
        seat.drop_settled_proposal();
        match &seat.role {
            // Its votes were counted by the voters before.
            Role::Asking(_) => seat.role = Role::Idle,
            Role::Holding(holding) if !next.has(&me) => {
                outcomes.push(Outcome::Lost(holding.term));
                seat.role = Role::Idle;
            }
            Role::Holding(_) | Role::Idle => {}
        }
    }

    /// What somebody else's acknowledgement says about the lease. True when it says more than was known.
    pub(crate) fn heard(&mut self, now: Mono, hint: &LeaseHint) -> bool {
        let Some(seat) = self.seat.as_mut().filter(|seat| seat.cell == hint.cell) else { return false };
        let leaps = hint.term.0 > seat.max_term.0.saturating_add(TERM_LEAP);
        if hint.generation != seat.generation || leaps || !seat.may_be_led_by(hint) {
            return false;
        }
        seat.max_term = seat.max_term.max(hint.term);
        let heard = KnownLease::heard(hint, now, &self.config);
        if hint.holder == self.me || !heard.supersedes(seat.known.as_ref()) {
            return false;
        }
        let fence = |known: KnownLease| (known.term, known.config_epoch);
        seat.known.replace(heard).map(fence) != Some(fence(heard))
    }

    /// The lease as this node knows it, to tell others.
    pub(crate) fn known(&self, now: Mono) -> Option<KnownLease> {
        let seat = self.seat.as_ref()?;
        match &seat.role {
            Role::Holding(holding) if holding.until > now => Some(seat.lease_of(self.me, holding.term, holding.until)),
            Role::Holding(_) | Role::Asking(_) | Role::Idle => seat.known,
        }
    }

    /// What to put into acknowledgements.
    pub(crate) fn hint(&self, now: Mono) -> Option<LeaseHint> {
        let slot = self.seat.as_ref()?.head.slot;
        self.known(now).map(|known| known.hint(now, slot))
    }

    /// The term and the end of this node's lease, while it runs. Check before every act.
    pub(crate) fn holds(&self, now: Mono) -> Option<(Term, Mono)> {
        match &self.seat.as_ref()?.role {
            Role::Holding(holding) if holding.until > now => Some((holding.term, holding.until)),
            Role::Holding(_) | Role::Asking(_) | Role::Idle => None,
        }
    }

    /// The term under which this node acts as the holder.
    pub(crate) fn acts_under(&self, now: Mono) -> Option<Term> {
        match &self.seat.as_ref()?.role {
            Role::Holding(holding) if self.defects.has(Defect::StaleHolderActs) => Some(holding.term),
            Role::Holding(_) | Role::Asking(_) | Role::Idle => self.holds(now).map(|(term, _)| term),
        }
    }

    /// Until when this node grants nobody but that one anything.
    pub(crate) fn bound_to(&self, holder: &NodeId) -> Mono {
        let Some(seat) = &self.seat else { return Mono(0) };
        let promised = seat.record.promise.filter(|promise| promise.holder == *holder);
        seat.blocked_until.max(promised.map_or(Mono(0), |_| seat.until))
    }

    /// The last term that this node promised anyone.
    pub(crate) fn promised_term(&self) -> Option<Term> {
        self.seat.as_ref()?.record.promise.map(|promise| promise.term)
    }

    /// The end of the register as this node knows it.
    pub(crate) fn head(&self) -> Option<Head> {
        self.seat.as_ref().map(|seat| seat.head)
    }

    /// The value that this node accepted and nobody decided yet.
    pub(crate) fn accepted_value(&self) -> Option<&Value> {
        self.seat.as_ref()?.pending()
    }

    /// The voters in force.
    pub(crate) fn voters(&self) -> Option<&Configuration> {
        self.seat.as_ref().map(|seat| &seat.in_force)
    }

    pub(crate) fn next_deadline(&self) -> Mono {
        let Some(seat) = self.seat.as_ref().filter(|_| !self.halted) else { return Mono(u64::MAX) };
        let parting = seat.parting.map_or(Mono(u64::MAX), |parting| parting.next);
        parting.min(match &seat.role {
            Role::Holding(holding) => {
                let waits = holding.renewal.is_some() || holding.proposal.is_some();
                let retry = if waits { holding.next_retry } else { Mono(u64::MAX) };
                let ends = if self.defects.has(Defect::StaleHolderActs) { Mono(u64::MAX) } else { holding.until };
                ends.min(holding.next_renewal).min(retry)
            }
            Role::Asking(round) => round.ends.min(round.retry),
            Role::Idle if !seat.in_force.has(&self.me) => Mono(u64::MAX),
            Role::Idle => self.earliest_campaign(seat),
        })
    }

    pub(crate) fn digest(&self, hasher: &mut blake3::Hasher) {
        let Some(seat) = &self.seat else { return };
        hasher.update(seat.head.digest.as_bytes());
        hasher.update(&seat.max_term.0.to_be_bytes());
        hasher.update(&seat.until.0.to_be_bytes());
        hasher.update(&[match seat.role {
            Role::Idle => 0,
            Role::Asking(_) => 1,
            Role::Holding(_) => 2,
        }]);
    }

    /// What is durable up to that token may be relied on.
    pub(crate) fn persisted(&mut self, fx: &mut Effects<'_>, token: Token, outcomes: &mut Vec<Outcome>) {
        let (me, now) = (self.me, fx.now);
        let Some(seat) = self.seat.as_mut() else { return };
        let bound = seat.writing.take_if(|writing| *writing <= token).is_some();
        let (ready, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut seat.own_acceptances).into_iter().partition(|(after, _)| *after <= token);
        seat.own_acceptances = waiting;
        if bound {
            self.resend(fx);
        }
        self.count_own_vote(now, outcomes);
        for (_, acceptance) in ready {
            self.accepted(now, me, acceptance, outcomes);
        }
    }
}

impl Seat {
    /// A lease of this node's own, as it tells others.
    pub(super) fn lease_of(&self, holder: NodeId, term: Term, until: Mono) -> KnownLease {
        let (cell, generation, config_epoch) = (self.cell, self.generation, self.in_force.epoch);
        KnownLease { cell, generation, config_epoch, term, holder, until }
    }

    /// Whose votes this node counts.
    pub(super) fn electorate(&self) -> Electorate {
        Electorate::over(&self.in_force, self.pending())
    }

    pub(super) fn learn_term(&mut self, term: Term) {
        if term.0 <= self.max_term.0.saturating_add(TERM_LEAP) {
            self.max_term = self.max_term.max(term);
        }
    }

    /// What this node accepted for the next slot, and under which term.
    pub(super) fn accepted(&self) -> Option<&Accepted> {
        self.record.accepted.as_ref().filter(|accepted| accepted.value.point() == self.head.next())
    }

    /// The value that this node accepted for the next slot.
    pub(super) fn pending(&self) -> Option<&Value> {
        self.accepted().map(|accepted| &accepted.value)
    }

    fn drop_settled_proposal(&mut self) {
        let head = self.head.slot;
        if let Role::Holding(holding) = &mut self.role {
            if holding.proposal.as_ref().is_some_and(|proposal| proposal.value.slot <= head) {
                holding.proposal = None;
            }
            if holding.inherited.as_ref().is_some_and(|value| value.slot <= head) {
                holding.inherited = None;
            }
        }
    }
}
