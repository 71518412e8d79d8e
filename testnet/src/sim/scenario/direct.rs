//! Playing the steps of a directed case, one after the other.

use super::action::Action;
use super::condition::{Mark, REGION};
use super::play::Player;
use super::stage::LAST_WORDS;
use super::step::{Condition, Letters, Names, Part, Sides, Standstill, Step};
use crate::sim::life::End;
use crate::sim::post::{Fate, Rule};
use crate::sim::time::{Micros, S};
use crate::sim::weather::NodeSet;
use hedgerow_protocol::defect::Defects;
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a step cannot be done: the sequence that the case stands for was not played.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unplayable {
    /// A name that no step gave.
    #[error("nobody is called {0}")]
    Nobody(String),
    /// Nobody is what the name asks for.
    #[error("nobody can be {0}")]
    NoPart(String),
    /// A node that runs cannot be started, and one that does not cannot be stopped.
    #[error("{0} runs already, or does not run")]
    Running(String),
    /// There is no copy of that disk.
    #[error("there is no copy of the disk of {0}")]
    NoCopy(String),
    /// It did not come to what was waited for, or what must not be so became so.
    #[error("{condition} after {} s", waited / S)]
    Otherwise {
        /// The condition.
        condition: String,
        /// How long it was looked at.
        waited: Micros,
    },
}

impl<D: Defects> Player<'_, D> {
    /// Plays all steps. What is notable of those that cannot be done is the first; the others are played nevertheless, since
    /// nodes that are built without a rule may well come to the end another way.
    pub(super) fn direct(&mut self) {
        self.mark = Mark::of(&self.world.nodes, &self.world.sometimes);
        for (place, step) in self.case.steps.iter().enumerate() {
            if let Err(unplayable) = self.take(step) {
                let missed = || format!("step {} of {}: {unplayable}", place + 1, self.case.steps.len());
                self.missed.get_or_insert_with(missed);
            }
        }
    }

    fn take(&mut self, step: &Step) -> Result<(), Unplayable> {
        match step {
            Step::Cast(parts) => self.give_names(parts)?,
            Step::Mark => self.mark = Mark::of(&self.world.nodes, &self.world.sometimes),
            Step::Cut(sides) => self.separate(sides, true)?,
            Step::Deafen(sides) => self.separate(sides, false)?,
            Step::Heal => {
                let cuts = std::mem::take(&mut self.cuts);
                self.heal(&cuts);
            }
            Step::Hold(letters) => self.intercept(letters, Fate::Held)?,
            Step::Lose(letters) => self.intercept(letters, Fate::Lost)?,
            Step::Release => self.world.release_letters(),
            Step::Crash(names) => self.each(names, |player, node| player.world.crash(node))?,
            Step::Stop(names) => self.each(names, |player, node| {
                player.world.announce_end(node, End::Stop);
                player.foresee(player.world.now + LAST_WORDS, Action::Part { node, back_after: None });
            })?,
            Step::Drain(names) => self.each(names, |player, node| player.world.announce_end(node, End::Drain))?,
            Step::Leave(names) => self.each(names, |player, node| {
                player.world.announce_end(node, End::Leave);
                player.foresee(player.world.now, Action::Depart { node, run: player.world.node(node).run });
            })?,
            Step::Start(names) => self.raise(names)?,
            Step::Pause(Standstill { node, span }) => {
                self.each(node, |player, node| player.world.pause(node, *span, false))?;
            }
            Step::Suspend(Standstill { node, span }) => {
                self.each(node, |player, node| player.world.pause(node, *span, true))?;
            }
            Step::SlowDisk(disk) => {
                self.each(&disk.node, |player, node| player.world.nodes[node as usize].disk.slowness = disk.times)?;
            }
            Step::Policy(names) => self.each(names, Self::announce_another_policy)?,
            Step::Recover => self.recover(REGION),
            Step::CopyDisk(names) => self.each(names, |player, node| {
                let copy = player.world.node(node).disk.copy();
                player.copies.insert(node, copy);
            })?,
            Step::RestoreDisk(names) => self.restore(names)?,
            Step::Wait(span) => self.pass_until(self.world.now + span),
            Step::Until(condition) => self.wait_for(condition)?,
            Step::Check(condition) => self.wait_for(&Condition { within: 0, ..condition.clone() })?,
            Step::Never(condition) => self.guard(condition)?,
        }
        Ok(())
    }

    /// The nodes with these names.
    pub(super) fn nodes(&self, names: &Names) -> Result<Vec<u32>, Unplayable> {
        let named = |name: &String| self.cast.get(name).copied().ok_or_else(|| Unplayable::Nobody(name.clone()));
        match names.0.as_slice() {
            [all] if all == "all" => Ok(self.cast.values().copied().collect()),
            [others] if others == "others" => Ok(self.nameless().collect()),
            [everybody] if everybody == "everybody" => Ok((0..self.world.nodes.len() as u32).collect()),
            several => several.iter().map(named).collect(),
        }
    }

    /// Nodes of the first region that have no name.
    fn nameless(&self) -> impl Iterator<Item = u32> + '_ {
        self.world.plan.nodes_of(REGION).filter(|node| !self.cast.values().any(|named| named == node))
    }

    fn each(&mut self, names: &Names, act: impl Fn(&mut Self, u32)) -> Result<(), Unplayable> {
        self.nodes(names)?.into_iter().for_each(|node| act(self, node));
        Ok(())
    }

    /// The holder is looked for first, so that it is nobody else.
    fn give_names(&mut self, parts: &BTreeMap<String, Part>) -> Result<(), Unplayable> {
        let (first, rest): (Vec<_>, Vec<_>) = parts.iter().partition(|(_, part)| **part == Part::Holder);
        for (name, part) in first.into_iter().chain(rest) {
            let node = self.find(*part).ok_or_else(|| Unplayable::NoPart(name.clone()))?;
            self.cast.insert(name.clone(), node);
        }
        Ok(())
    }

    /// Who leads the first region.
    pub(super) fn holder(&self) -> Option<u32> {
        self.world.plan.nodes_of(REGION).find(|node| self.world.oracle.leads(self.world.now, *node))
    }

    fn find(&self, part: Part) -> Option<u32> {
        let holder = self.holder();
        let core = &self.world.node(holder.or_else(|| self.world.running().next())?).core;
        let votes = |node: &u32| core.voters().is_some_and(|set| set.has(&self.world.node(*node).member.node()));
        match part {
            Part::Holder => holder,
            Part::Voter => {
                let mut turns = core.candidates().into_iter().filter_map(|id| self.world.number_of(&id));
                turns.find(|node| self.nameless().any(|free| free == *node))
            }
            Part::Member => self.nameless().find(|node| self.world.node(*node).up && !votes(node)),
            Part::Newcomer => self.nameless().find(|node| !votes(node) && self.is_proposed(*node)),
            Part::Joiner => self.nameless().find(|node| self.world.node(*node).run == 0),
        }
    }

    /// Whether somebody accepted a change after which that node votes.
    fn is_proposed(&self, node: u32) -> bool {
        let id = self.world.node(node).member.node();
        let accepted = self.world.nodes.iter().filter_map(|node| node.core.accepted_value());
        accepted.into_iter().any(|value| value.content.next_voters().is_some_and(|next| next.has(&id)))
    }

    fn separate(&mut self, sides: &Sides, both_ways: bool) -> Result<(), Unplayable> {
        let (from, to) = (self.set(&sides.from)?, self.set(&sides.to)?);
        self.cuts.push(self.world.cut(&from, &to));
        if both_ways {
            self.cuts.push(self.world.cut(&to, &from));
        }
        self.world.oracle.network_changed(self.world.now);
        Ok(())
    }

    fn intercept(&mut self, letters: &Letters, fate: Fate) -> Result<(), Unplayable> {
        let Letters { from, to, kinds } = letters;
        let rule = Rule { from: self.set(from)?, to: self.set(to)?, kinds: kinds.clone(), fate };
        self.world.post.rule(rule);
        Ok(())
    }

    fn set(&self, names: &Names) -> Result<NodeSet, Unplayable> {
        Ok(self.nodes(names)?.into_iter().collect())
    }

    fn raise(&mut self, names: &Names) -> Result<(), Unplayable> {
        for (node, name) in self.nodes(names)?.into_iter().zip(&names.0) {
            if self.world.node(node).up {
                return Err(Unplayable::Running(name.clone()));
            }
            self.world.start(node);
        }
        Ok(())
    }

    fn restore(&mut self, names: &Names) -> Result<(), Unplayable> {
        for (node, name) in self.nodes(names)?.into_iter().zip(&names.0) {
            if self.world.node(node).up {
                return Err(Unplayable::Running(name.clone()));
            }
            let copy = self.copies.get(&node).ok_or_else(|| Unplayable::NoCopy(name.clone()))?;
            self.world.nodes[node as usize].disk = copy.copy();
        }
        Ok(())
    }

    /// Lets time pass until it is so.
    fn wait_for(&mut self, condition: &Condition) -> Result<(), Unplayable> {
        let end = self.world.now + condition.within;
        while !self.is_met(condition)? {
            if !self.pass_one(end) {
                return self.is_met(condition)?.then_some(()).ok_or_else(|| otherwise("not so", condition));
            }
        }
        Ok(())
    }

    /// Lets time pass, in which it must not become so.
    fn guard(&mut self, condition: &Condition) -> Result<(), Unplayable> {
        let (start, end) = (self.world.now, self.world.now + condition.within);
        loop {
            if self.is_met(condition)? {
                let seen = Condition { within: self.world.now - start, ..condition.clone() };
                return Err(otherwise("became so", &seen));
            }
            if !self.pass_one(end) {
                return Ok(());
            }
        }
    }
}

fn otherwise(how: &str, condition: &Condition) -> Unplayable {
    Unplayable::Otherwise { condition: format!("{how}: {condition}"), waited: condition.within }
}
