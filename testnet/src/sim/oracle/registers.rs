//! What the registers decided, whoever says so.

use super::invariant::Invariant;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::CellId;
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::election::Propose;
use hedgerow_protocol::id::{ConfigEpoch, Generation, Slot, Term};
use hedgerow_protocol::register::{
    Acceptance, Configuration, Content, Point, Succession, Value, VerifiedDecision, VerifiedRecovery,
};
use std::collections::{BTreeMap, BTreeSet};

/// Every slot that anybody said to be decided.
#[derive(Debug, Default)]
pub(super) struct Registers {
    slots: BTreeMap<(CellId, Generation, Slot), Sha256Digest>,
    configurations: BTreeMap<CellId, BTreeMap<Point, Configuration>>,
    ballots: BTreeMap<Ballot, Open>,
    /// By node, term and value: what was accepted and signed, durable or not.
    signed: BTreeMap<(u32, Term, Sha256Digest), NodeId>,
    /// The last slots of cells that ended.
    ends: BTreeMap<CellId, Point>,
    /// What operators said so that cells go on.
    recoveries: Vec<VerifiedRecovery>,
    /// The values by which cells took in others.
    absorbed: BTreeSet<Sha256Digest>,
}

/// A slot and the term under which something is proposed for it.
type Ballot = (CellId, Generation, Slot, Term);

/// What is proposed under a ballot, and who said that they have it on their disks.
#[derive(Debug)]
struct Open {
    value: Value,
    digest: Sha256Digest,
    config_epoch: ConfigEpoch,
    accepted: BTreeSet<NodeId>,
}

/// How a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Two took its place.
    Split,
    /// Another took it in.
    Merged,
}

impl Registers {
    /// A decision was told. How its cell ended, if it was with that and nobody had said so before.
    pub(super) fn decided(&mut self, decision: &VerifiedDecision) -> Result<Option<Ending>, (Invariant, String)> {
        let value = &decision.value;
        self.is_in_time(value)?;
        self.fill(value, decision.digest())?;
        let accepted =
            decision.acceptances.iter().filter_map(|acceptance| Some(acceptance.peek().ok()?.voter)).collect();
        if !self.is_quorum(value, decision.config_epoch, &accepted) {
            let what = format!("slot {} of cell {} was decided by too few", value.slot, value.cell.short());
            return Err((Invariant::DecidedByAQuorum, what));
        }
        let Some(next) = value.content.next_voters() else { return self.succeeded(decision) };
        let book = self.configurations.entry(value.cell).or_default();
        book.insert(value.point(), next.clone());
        let follows = book
            .values()
            .zip(book.values().skip(1))
            .all(|(former, later)| later.epoch != former.epoch.next() || former.may_become(later));
        if follows {
            Ok(None)
        } else {
            let what = format!("configuration {} of cell {} does not follow", next.epoch, value.cell.short());
            Err((Invariant::QuorumsMeet, what))
        }
    }

    /// Operators had a cell go on. True when nobody had said so before.
    pub(super) fn recovered(&mut self, recovery: &VerifiedRecovery) -> bool {
        if self.recoveries.contains(recovery) {
            return false;
        }
        self.ends.retain(|cell, last| *cell != recovery.cell || !recovery.undoes(*last));
        self.configurations.entry(recovery.cell).or_default().insert(recovery.point(), recovery.voters.clone());
        self.recoveries.push(recovery.clone());
        true
    }

    /// A slot has that value from here on, whether or not anybody knows.
    fn fill(&mut self, value: &Value, digest: Sha256Digest) -> Result<(), (Invariant, String)> {
        let slot = (value.cell, value.generation, value.slot);
        if *self.slots.entry(slot).or_insert(digest) == digest {
            return Ok(());
        }
        let what = format!("slot {} of cell {} was decided twice", value.slot, value.cell.short());
        Err((Invariant::OneValuePerSlot, what))
    }

    /// Whether these are quorums of the configuration in force and of the one that the value puts in force. The first of a cell
    /// has one voter, and is not noted.
    fn is_quorum(&self, value: &Value, config_epoch: ConfigEpoch, accepted: &BTreeSet<NodeId>) -> bool {
        let mut known = self.configurations.get(&value.cell).into_iter().flat_map(BTreeMap::values);
        let in_force = known.find(|configuration| configuration.epoch == config_epoch);
        let next = value.content.next_voters();
        in_force.into_iter().chain(next).all(|voters| voters.is_quorum(accepted))
    }

    /// What a decision says of the end of its cell, or of another.
    fn succeeded(&mut self, decision: &VerifiedDecision) -> Result<Option<Ending>, (Invariant, String)> {
        let value = &decision.value;
        let ending = match &value.content {
            Content::Split(split) => {
                let children = decision.succession().into_iter().flat_map(Succession::cells);
                for (child, half) in children.zip(&split.halves) {
                    self.configurations.entry(child).or_default().insert(Point::default(), half.voters.clone());
                }
                Ending::Split
            }
            Content::MergeInto(merge) if !self.absorbed.contains(&merge.absorbed) => {
                let what = format!("cell {} ended in one that had not taken it in", value.cell.short());
                return Err((Invariant::AbsorbedBeforeMerged, what));
            }
            Content::MergeInto(_) => Ending::Merged,
            Content::Absorb(_) => {
                self.absorbed.insert(decision.digest());
                return Ok(None);
            }
            Content::Configuration(_) | Content::Placement(_) | Content::Takeover(_) | Content::Retirement(_) => {
                return Ok(None);
            }
        };
        if self.recoveries.iter().any(|recovery| recovery.cell == value.cell && recovery.undoes(value.point())) {
            return Ok(None);
        }
        let is_news = self.ends.insert(value.cell, value.point()).is_none();
        Ok(is_news.then_some(ending))
    }

    /// A holder of that generation speaks for its cell. One that knows nothing of a recovery knows no end that came after it.
    pub(super) fn spoken_for(&self, cell: &CellId, generation: Generation) -> Result<(), (Invariant, String)> {
        match self.ends.get(cell).filter(|last| last.generation <= generation) {
            Some(_) => Err((Invariant::TombstonedNeverGrants, format!("somebody speaks for cell {}", cell.short()))),
            None => Ok(()),
        }
    }

    /// Nothing is proposed or decided after the last slot of a cell.
    fn is_in_time(&self, value: &Value) -> Result<(), (Invariant, String)> {
        let late = self.ends.get(&value.cell).is_some_and(|last| value.point() > *last);
        let what = || format!("slot {} of cell {} comes after its last", value.slot, value.cell.short());
        if late { Err((Invariant::TombstonedNeverGrants, what())) } else { Ok(()) }
    }

    /// A node is about to sign that it accepted a value.
    pub(super) fn signs(&mut self, node: u32, acceptance: &Acceptance) {
        self.signed.insert((node, acceptance.term, acceptance.value), acceptance.voter);
    }

    /// A holder proposes a value, which leaves when its own acceptance, if it could accept it, is durable.
    pub(super) fn proposed(&mut self, node: u32, propose: &Propose) -> Result<(), (Invariant, String)> {
        let (value, term, digest) = (&*propose.value, propose.term, propose.value.digest());
        self.is_in_time(value)?;
        let ballot = (value.cell, value.generation, value.slot, term);
        let own = self.signed.get(&(node, term, digest)).copied();
        let open = self.ballots.entry(ballot).or_insert_with(|| Open {
            value: value.clone(),
            digest,
            config_epoch: propose.config_epoch,
            accepted: BTreeSet::new(),
        });
        open.accepted.extend(own.filter(|_| open.digest == digest));
        if open.digest == digest {
            return Ok(());
        }
        let what = format!("two values are proposed for slot {} of cell {} in {term}", value.slot, value.cell.short());
        Err((Invariant::OneValuePerBallot, what))
    }

    /// A voter says that it has accepted a value, durably: with enough of them the slot has it, though nobody knows yet.
    pub(super) fn accepted(&mut self, acceptance: &Acceptance) -> Result<(), (Invariant, String)> {
        let Acceptance { cell, generation, slot, value, term, voter } = acceptance;
        let Some(open) = self.ballots.get_mut(&(*cell, *generation, *slot, *term)) else { return Ok(()) };
        if open.digest != *value || !open.accepted.insert(*voter) {
            return Ok(());
        }
        let open = &self.ballots[&(*cell, *generation, *slot, *term)];
        let (chosen, digest, epoch) = (open.value.clone(), open.digest, open.config_epoch);
        // Of the first voters of a cell nothing is noted.
        let known = self.configurations.get(cell).is_some_and(|book| book.values().any(|voters| voters.epoch == epoch));
        if known && self.is_quorum(&chosen, epoch, &open.accepted) { self.fill(&chosen, digest) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_silences_the_generation_in_which_it_was_decided_and_later_ones() {
        let cell = CellId::from_bytes([7; 32]);
        let mut registers = Registers::default();
        registers.ends.insert(cell, Point { generation: Generation(1), slot: Slot(9) });
        let speaks = |generation| registers.spoken_for(&cell, Generation(generation)).is_ok();
        assert_eq!([0, 1, 2].map(speaks), [true, false, false]);
    }
}
