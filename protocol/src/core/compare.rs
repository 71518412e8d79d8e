//! Whom this node compares facts with, and when.

use super::effects::Effects;
use super::exchange;
use super::interface::Hint;
use super::mesh_core::MeshCore;
use super::shelf::{Adoption, difference};
use crate::defect::Defects;
use crate::fact::{Fact, FactKey, Liveness, NodeState, Rollup, Scope, VerifiedFact, VerifiedRollup};
use crate::membership::RemotePeer;
use crate::wire::{SCOPES_MAX, ScopeRoot, VerifiedExchange};
use hedgerow_attest::id::{CellId, NodeId};
use std::time::Duration;

/// Of so many rounds, one is with a member of another cell.
const ABROAD_EVERY: u32 = 4;

/// The same for a node that keeps no other cell's detail: what concerns everybody reaches it through its own cell.
const ABROAD_SELDOM: u32 = 16;

/// Of so many rounds of a holder of the lease, one more compares the directory with another cell's holder.
const HOLDER_EVERY: u32 = 2;

/// Shortest time between two comparisons of the directory with the own cell.
const DIRECTORY_LEAST: Duration = Duration::from_secs(20);

impl<D: Defects> MeshCore<D> {
    /// One round: everything that both sides keep is compared, the first scope bucket by bucket, the rest by one hash per
    /// scope, to be looked at more closely only where they differ. Rollups change all the time and are compared more rarely:
    /// four times between two of one cell, so that a cell of a hundred has passed one on before the next comes.
    pub(super) fn compare_round(&mut self, fx: &mut Effects<'_>) {
        let round = self.exchange.count();
        let keeps_others = self.facts.kept().any(|cell| Some(cell) != self.home);
        let travels = round.is_multiple_of(if keeps_others { ABROAD_EVERY } else { ABROAD_SELDOM });
        let partner = if travels {
            self.partner_abroad(fx).or_else(|| self.swim.partner(fx))
        } else {
            self.swim.partner(fx).or_else(|| self.partner_abroad(fx))
        };
        if let Some(peer) = partner.or_else(|| self.anybody(fx)) {
            self.open_comparison(fx, peer);
            let pause = DIRECTORY_LEAST.max(self.rollup_period() / 4);
            if self.exchange.is_directory_due(fx.now, pause) {
                self.summarise(fx, peer, Scope::Directory, Vec::new());
            }
        }
        if self.cell.holds(fx.now).is_some()
            && round.is_multiple_of(HOLDER_EVERY)
            && let Some(peer) = self.holder_abroad(fx)
        {
            self.summarise(fx, peer, Scope::Directory, self.roots(Scope::Directory).take(1).collect());
        }
    }

    /// A link came up: each side shows who it is, and both compare what they know.
    pub(super) fn greet(&self, fx: &mut Effects<'_>, peer: NodeId) {
        let me = self.config.me;
        let keys = [Some(FactKey::Member(me)), self.origin.map(FactKey::Genesis), Some(FactKey::Record(me))];
        let own: Vec<VerifiedFact> = keys.iter().flatten().filter_map(|key| self.known_fact(key)).cloned().collect();
        exchange::push(fx, peer, &own);
        self.open_comparison(fx, peer);
        self.summarise(fx, peer, Scope::Directory, Vec::new());
    }

    /// What another node says about what it knows.
    pub(super) fn compare(&mut self, fx: &mut Effects<'_>, from: NodeId, exchange: VerifiedExchange) {
        self.swim.compared_with(&from, fx.now);
        match exchange {
            VerifiedExchange::Summary { scope, buckets, others } => {
                let mask = self.facts.summary(scope).map_or(0, |mine| difference(&mine.0, &buckets));
                if mask != 0 {
                    exchange::list(fx, from, scope, mask, &self.facts.listed(scope, mask, &self.roster));
                }
                for other in others {
                    if self.facts.summary(other.scope).is_some_and(|mine| mine.root() != other.root) {
                        self.summarise(fx, from, other.scope, Vec::new());
                    }
                }
            }
            VerifiedExchange::Digest { scope, buckets, entries } => {
                if self.facts.summary(scope).is_some() {
                    let mine = self.facts.listed(scope, buckets, &self.roster);
                    exchange::level(fx, from, scope, &mine, entries);
                }
            }
            VerifiedExchange::Pull { scope, keys } => {
                exchange::push_in_order(fx, from, self.facts.by_hashes(scope, &keys, &self.roster));
            }
            VerifiedExchange::Push(facts) => {
                for fact in facts {
                    let (adoption, _) = self.adopt(fx, &fact, super::adopt::Origin::Gossip);
                    // One that is known may be the answer to a question, and count more than when it first arrived.
                    if let (Adoption::Known, Fact::Accusation(charge)) = (adoption, fact.fact()) {
                        self.swim.charged(fx, &self.contacts, charge, &mut self.findings);
                    }
                }
            }
        }
    }

    /// Compares what both sides may be expected to keep.
    pub(super) fn open_comparison(&self, fx: &mut Effects<'_>, peer: NodeId) {
        let theirs = self.roster.member(&peer).and_then(|member| self.cell_of(member.region(), &peer));
        let shared = theirs.map(Scope::Cell).filter(|scope| self.facts.summary(*scope).is_some());
        let first = shared.unwrap_or(Scope::Mesh);
        self.summarise(fx, peer, first, self.roots(first).collect());
    }

    /// What is kept besides that scope, the scope of the mesh first.
    fn roots(&self, besides: Scope) -> impl Iterator<Item = ScopeRoot> + '_ {
        let kept = [Scope::Mesh].into_iter().chain(self.facts.kept().map(Scope::Cell));
        let root = |scope| Some(ScopeRoot { scope, root: self.facts.summary(scope)?.root() });
        kept.filter(move |scope| *scope != besides).filter_map(root).take(SCOPES_MAX)
    }

    fn summarise(&self, fx: &mut Effects<'_>, to: NodeId, scope: Scope, others: Vec<ScopeRoot>) {
        if let Some(summary) = self.facts.summary(scope) {
            exchange::summarise(fx, to, scope, summary, others);
        }
    }

    /// A member of a cell whose detail is kept, else somebody of a cell that is a finger of this one.
    fn partner_abroad(&self, fx: &mut Effects<'_>) -> Option<NodeId> {
        let ended = |cell: &CellId| self.roster.end_of(cell).is_some();
        let others = || self.facts.kept().filter(|cell| Some(*cell) != self.home && !ended(cell));
        let pick = fx.below(others().count());
        let Some(cell) = others().nth(pick) else { return self.holder_abroad(fx) };
        let talks = |peer: &RemotePeer| peer.said != NodeState::Left && peer.shown() != Liveness::Down;
        let partners = || self.remote.members(&cell).filter(|(_, peer)| talks(peer)).map(|(node, _)| *node);
        let pick = fx.below(partners().count());
        if let Some(partner) = partners().nth(pick) {
            return Some(partner);
        }
        let rollup = self.rollup(&cell)?;
        self.contact_of(fx, &rollup)
    }

    /// The holder, or a contact, of a cell at a distance of a power of two in the common order of cells, as the fingers of Chord
    /// (Stoica, Morris, Karger, Kaashoek, Balakrishnan, SIGCOMM 2001, section 4.3): a rollup passes all cells in as many hops
    /// as their number has bits, and a holder talks to that many others.
    fn holder_abroad(&self, fx: &mut Effects<'_>) -> Option<NodeId> {
        let cells = self.facts.rollups().len();
        let fingers = usize::try_from(cells.checked_ilog2()?).ok()?;
        let of_home = |fact: &VerifiedFact| self.home.map(FactKey::Rollup).as_ref() == Some(fact.key());
        let here = self.facts.rollups().position(of_home).unwrap_or(0);
        let place = (here + (1 << fx.below(fingers + 1))) % cells;
        let rollup = self.facts.rollups().nth(place).filter(|fact| !of_home(fact)).and_then(VerifiedRollup::of)?;
        self.contact_of(fx, &rollup)
    }

    /// Somebody of a cell whose members are not known here; where it can be dialled is told to the link layer.
    fn contact_of(&self, fx: &mut Effects<'_>, rollup: &Rollup) -> Option<NodeId> {
        let holder = rollup.contacts.iter().position(|contact| contact.node == rollup.holder);
        let pick = fx.below(rollup.contacts.len());
        // The holder knows most; the others are asked in case that it is gone.
        let pick = holder.filter(|_| fx.below(2) == 0).unwrap_or(pick);
        let contact = rollup.contacts.get(pick).filter(|contact| !self.roster.revoked().contains(&contact.node))?;
        if !self.contacts.of(&contact.node).is_linked() && !contact.addresses.is_empty() {
            fx.hint(Hint::Dial { peer: contact.node, addresses: contact.addresses.clone() });
        }
        Some(contact.node)
    }

    /// Nobody was heard of: any certificate is worth a try.
    fn anybody(&self, fx: &mut Effects<'_>) -> Option<NodeId> {
        let others = || self.roster.members().map(|member| member.node()).filter(|node| *node != self.config.me);
        let pick = fx.below(others().count());
        others().nth(pick)
    }
}
