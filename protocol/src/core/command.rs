//! Commands of this node's own people and programs.

use super::adopt::Origin;
use super::effects::Effects;
use super::exchange;
use super::interface::{Command, CommandRefusal, Event, Output, Reply, StorageFailure};
use super::mesh_core::{MeshCore, Phase};
use super::shelf::Adoption;
use crate::defect::Defects;
use crate::fact::{ADDRESSES_MAX, DEGRADED_MAX, FactKey, Health, NodeState, VerifiedFact, WARM_MAX};

impl<D: Defects> MeshCore<D> {
    pub(super) fn command(&mut self, fx: &mut Effects<'_>, id: u64, command: Command) {
        if matches!(self.phase, Phase::New | Phase::Gone) {
            return refuse(fx, id, CommandRefusal::NotRunning);
        }
        match command {
            Command::SetHealth(health) => self.set_health(fx, id, health),
            Command::SetAddresses(addresses) if addresses.len() > ADDRESSES_MAX => {
                refuse(fx, id, CommandRefusal::TooMany);
            }
            Command::SetAddresses(addresses) => {
                if self.own.addresses != addresses {
                    self.own.addresses = addresses;
                    self.speak(fx);
                }
                done(fx, id);
            }
            Command::AddMember(member) => {
                self.adopt(fx, &VerifiedFact::member(member), Origin::Gossip);
                done(fx, id);
            }
            Command::Announce(fact) => self.announce(fx, id, &fact),
            Command::DraftRecovery => match self.draft_recovery(fx.now) {
                Ok(draft) => fx.push(Output::Reply { id, reply: Reply::Draft(Box::new(draft)), after: None }),
                Err(refusal) => refuse(fx, id, refusal),
            },
            Command::Settled { said, ended } => {
                self.settled_here(fx, said, ended);
                done(fx, id);
            }
            Command::Stop | Command::Drain | Command::Leave if !self.is_running() => {
                refuse(fx, id, CommandRefusal::NotRunning);
            }
            Command::Stop => self.say(fx, id, NodeState::Stopping),
            Command::Drain => self.say(fx, id, NodeState::Draining),
            Command::Leave => self.leave(fx, id),
        }
    }

    fn set_health(&mut self, fx: &mut Effects<'_>, id: u64, health: Health) {
        if health.warm.len() > WARM_MAX || health.degraded.len() > DEGRADED_MAX {
            return refuse(fx, id, CommandRefusal::TooMany);
        }
        let lasting = |health: &Health| Health { queue_depth: 0, free_memory_mib: 0, ..health.clone() };
        let told = lasting(&self.own.health) == lasting(&health);
        self.own.health = health;
        self.touch();
        if !told {
            self.speak(fx);
        }
        done(fx, id);
    }

    fn announce(&mut self, fx: &mut Effects<'_>, id: u64, fact: &VerifiedFact) {
        match self.adopt(fx, fact, Origin::Gossip) {
            (Adoption::Fresh | Adoption::Elsewhere, after) => {
                self.publish(fx, fact, after);
                self.show(fx, fact);
                fx.push(Output::Reply { id, reply: Reply::Done, after });
            }
            (Adoption::Known, _) => refuse(fx, id, CommandRefusal::Stale),
            (Adoption::Full, _) => refuse(fx, id, CommandRefusal::Full),
        }
    }

    /// A later certificate of this node's own goes to everybody at the other end of a link: those of other cells take no topic
    /// of this one's, and whoever knows only the one before closes the link when that ends.
    fn show(&self, fx: &mut Effects<'_>, fact: &VerifiedFact) {
        if *fact.key() != FactKey::Member(self.config.me) || !self.is_running() {
            return;
        }
        for peer in self.contacts.linked() {
            exchange::push(fx, peer, [fact]);
        }
    }

    /// Announces an intention; the reply follows when the record is signed and handed over.
    fn say(&mut self, fx: &mut Effects<'_>, id: u64, state: NodeState) {
        self.own.waiting.push(id);
        self.intend(fx, state);
    }

    /// What this node means to do from here on: whoever leads hands over.
    pub(super) fn intend(&mut self, fx: &mut Effects<'_>, state: NodeState) {
        self.own.state = state;
        self.hand_over(fx);
        self.speak(fx);
    }

    pub(super) fn storage_lost(&mut self, fx: &mut Effects<'_>, kind: StorageFailure) {
        let mut outcomes = Vec::new();
        self.cell.halt(&mut outcomes);
        self.settle(fx, outcomes);
        fx.event(Event::StorageLost { kind });
        self.touch();
    }
}

fn done(fx: &mut Effects<'_>, id: u64) {
    fx.push(Output::Reply { id, reply: Reply::Done, after: None });
}

fn refuse(fx: &mut Effects<'_>, id: u64, refusal: CommandRefusal) {
    fx.push(Output::Reply { id, reply: Reply::Refused(refusal), after: None });
}
