//! What was said and done in a run, by whoever sees all nodes. Nodes never see it.

use super::setting::Setting;
use crate::election::Grant;
use crate::id::{BootId, Slot, Term};
use crate::register::{Configuration, Value, VerifiedDecision};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

/// What properties of a whole run are judged by.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// By voter: the last promise that left it, across its runs.
    told: BTreeMap<NodeId, (Term, NodeId, BootId)>,
    holders: BTreeMap<Term, usize>,
    /// Durable acceptances of every value, by slot and digest.
    accepted: BTreeMap<(Slot, Sha256Digest), Contender>,
    /// Each decision once, in the order in which they were reached.
    pub(super) decisions: Vec<VerifiedDecision>,
    pub(super) promise_broken: bool,
    pub(super) term_shared: bool,
}

/// A value that somebody accepted: under which terms, and who.
#[derive(Debug, Clone)]
struct Contender {
    value: Value,
    acceptances: BTreeSet<(Term, usize)>,
}

impl History {
    pub(super) fn granted(&mut self, grant: &Grant) {
        let said = (grant.term, grant.candidate, grant.boot);
        let last = self.told.insert(grant.voter, said);
        self.promise_broken |= last.is_some_and(|last| said != last && grant.term <= last.0);
    }

    pub(super) fn acquired(&mut self, node: usize, term: Term) {
        self.term_shared |= *self.holders.entry(term).or_insert(node) != node;
    }

    pub(super) fn accepted(&mut self, node: usize, term: Term, value: Value) {
        let key = (value.slot, value.digest());
        self.accepted
            .entry(key)
            .or_insert_with(|| Contender { value, acceptances: BTreeSet::new() })
            .acceptances
            .insert((term, node));
    }

    pub(super) fn decided(&mut self, decision: VerifiedDecision) {
        if !self.decisions.iter().any(|known| known.digest() == decision.digest()) {
            self.decisions.push(decision);
        }
    }

    /// How many nodes held the lease so far.
    pub(super) fn led_by(&self) -> usize {
        self.holders.values().collect::<BTreeSet<_>>().len()
    }

    /// Whether no slot was decided twice.
    pub(super) fn slots_have_one_value(&self) -> bool {
        let slots: BTreeSet<Slot> = self.decisions.iter().map(|decision| decision.value.slot).collect();
        slots.len() == self.decisions.len()
    }

    /// Whether no two values of a slot were each accepted by a quorum under one term, heard of or not.
    pub(super) fn quorums_accepted_one_value(&self, setting: &Setting) -> bool {
        let chosen: Vec<Slot> = self
            .accepted
            .iter()
            .filter_map(|((slot, _), Contender { value, acceptances })| {
                let before = self.voters_at(setting, *slot);
                let terms: BTreeSet<Term> = acceptances.iter().map(|(term, _)| *term).collect();
                let decides = |term: Term| {
                    let by = acceptances
                        .iter()
                        .filter(|(of, _)| *of == term)
                        .map(|(_, node)| setting.nodes[*node])
                        .collect();
                    before.is_quorum(&by) && value.content.next_voters().is_none_or(|next| next.is_quorum(&by))
                };
                terms.into_iter().any(decides).then_some(*slot)
            })
            .collect();
        chosen.iter().collect::<BTreeSet<_>>().len() == chosen.len()
    }

    /// Whether every two voter sets that follow each other share a voter of any two quorums. From one voter to three the
    /// sole one counts both sets.
    pub(super) fn quorums_meet(&self, setting: &Setting) -> bool {
        self.decisions.iter().all(|decision| {
            decision.value.content.next_voters().is_none_or(|next| {
                let before = self.voters_at(setting, decision.value.slot);
                before.meets(next) || (before.voters.len() == 1 && next.has(&setting.nodes[0]))
            })
        })
    }

    /// The voters in force when that slot is decided.
    fn voters_at<'a>(&'a self, setting: &'a Setting, slot: Slot) -> &'a Configuration {
        let before = setting.decided.iter().chain(&self.decisions).filter(|decision| decision.value.slot < slot);
        let sets = before.filter_map(|decision| decision.value.content.next_voters());
        sets.max_by_key(|set| set.epoch).unwrap_or_else(|| setting.first_voters())
    }
}

impl Hash for History {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { told, holders, accepted, decisions, promise_broken, term_shared } = self;
        (told, holders, promise_broken, term_shared).hash(state);
        for (key, Contender { value: _, acceptances }) in accepted {
            (key, acceptances).hash(state);
        }
        decisions.iter().for_each(|decision| decision.digest().hash(state));
    }
}
