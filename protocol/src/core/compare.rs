//! Whom this node compares facts with, and when.

use super::effects::Effects;
use super::exchange;
use super::mesh_core::MeshCore;
use super::shelf::difference;
use crate::defect::Defects;
use crate::fact::{FactKey, Liveness, Scope, VerifiedFact};
use crate::wire::{ScopeRoot, VerifiedExchange};
use hedgerow_attest::id::NodeId;

/// Of so many rounds, one is with a member of another cell.
const ABROAD_ONE_IN: usize = 4;

/// Of so many rounds, one compares rollups.
const DIRECTORY_ONE_IN: usize = 4;

impl<D: Defects> MeshCore<D> {
    /// One round: everything that both sides keep is compared, the own cell's facts bucket by bucket, the rest by one hash
    /// per scope, to be looked at more closely only where they differ.
    pub(super) fn compare_round(&self, fx: &mut Effects<'_>) {
        let Some(peer) = self.random_partner(fx) else { return };
        self.open_comparison(fx, peer);
        if fx.below(DIRECTORY_ONE_IN) == 0 {
            self.summarise(fx, peer, Scope::Directory, Vec::new());
        }
    }

    /// A link came up: each side shows who it is, and both compare what they know.
    pub(super) fn greet(&self, fx: &mut Effects<'_>, peer: NodeId) {
        let me = self.config.me;
        let keys = [Some(FactKey::Member(me)), self.home.map(FactKey::Genesis), Some(FactKey::Record(me))];
        let own: Vec<VerifiedFact> = keys.iter().flatten().filter_map(|key| self.known_fact(key)).cloned().collect();
        exchange::push(fx, peer, &own);
        self.open_comparison(fx, peer);
        self.summarise(fx, peer, Scope::Directory, Vec::new());
    }

    /// What another node says about what it knows.
    pub(super) fn compare(&mut self, fx: &mut Effects<'_>, from: NodeId, exchange: VerifiedExchange) {
        match exchange {
            VerifiedExchange::Summary { scope, buckets, others } => {
                if let Some(mine) = self.facts.summary(scope) {
                    let mask = difference(&mine.0, &buckets);
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
                    self.adopt(fx, &fact, super::adopt::Origin::Gossip);
                }
            }
        }
    }

    /// Compares what both sides may be expected to keep.
    fn open_comparison(&self, fx: &mut Effects<'_>, peer: NodeId) {
        let theirs = self.roster.member(&peer).and_then(|member| self.cell_in(member.region()));
        let shared = theirs.map(Scope::Cell).filter(|scope| self.facts.summary(*scope).is_some());
        let first = shared.unwrap_or(Scope::Mesh);
        let kept = [Scope::Mesh].into_iter().chain(self.facts.kept().map(Scope::Cell));
        let root = |scope: Scope| Some(ScopeRoot { scope, root: self.facts.summary(scope)?.root() });
        let others = kept.filter(|scope| *scope != first).filter_map(root).collect();
        self.summarise(fx, peer, first, others);
    }

    fn summarise(&self, fx: &mut Effects<'_>, to: NodeId, scope: Scope, others: Vec<ScopeRoot>) {
        if let Some(summary) = self.facts.summary(scope) {
            exchange::summarise(fx, to, scope, summary, others);
        }
    }

    /// Whom to compare facts with next: mostly somebody of the own cell.
    fn random_partner(&self, fx: &mut Effects<'_>) -> Option<NodeId> {
        let near = |node: &NodeId| self.swim.peers().contains_key(node);
        let talks = |node: &&NodeId| {
            let liveness = self.liveness(node);
            **node != self.config.me
                && liveness.is_some_and(|liveness| liveness != Liveness::Down)
                && !self.has_left(node)
        };
        let members: Vec<NodeId> = self.shown.keys().filter(talks).copied().collect();
        let (home, abroad): (Vec<NodeId>, Vec<NodeId>) = members.into_iter().partition(near);
        let travel = home.is_empty() || (!abroad.is_empty() && fx.below(ABROAD_ONE_IN) == 0);
        let mut partners = if travel { abroad } else { home };
        if partners.is_empty() {
            // Nobody was heard of: any certificate is worth a try.
            partners =
                self.roster.members().map(|member| member.node()).filter(|node| *node != self.config.me).collect();
        }
        let pick = fx.below(partners.len());
        partners.get(pick).copied()
    }
}
