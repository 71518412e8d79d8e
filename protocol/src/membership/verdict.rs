//! Who is taken for down, and on whose word. The rule and why one liar gains nothing by it: `docs/rfd/0002-membership.md`.

use super::contacts::Contacts;
use super::members::Members;
use super::peer::Peer;
use super::ring;
use super::swim::Finding;
use super::watch::{Stage, Watch, Watches};
use crate::core::{Effects, Lane};
use crate::defect::Defects;
use crate::fact::{ACCUSERS_MAX, Accusation, Charge, Liveness};
use crate::id::Incarnation;
use crate::time::Mono;
use crate::wire::VerifiedMessage;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::signed::Verified;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Observers that must agree, where so many are alive (Rapid's `H`).
const AGREE: usize = ACCUSERS_MAX;

/// Accusers of one member that are remembered; observers are fewer.
const CASE_ACCUSERS_MAX: usize = 16;

/// Questions to an observer that stay without any sign of life before it is suspected itself.
const QUESTIONS: u8 = 3;

/// Time between questions to observers that answered; it doubles up to the second.
const ASK_GAP: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(16));

/// How long a node that is no observer waits for those who are before it asks them.
const ONLOOKER_WAIT: Duration = Duration::from_millis(1_500);

/// For how long a member is watched of which another could not reach it.
const ASKED: Duration = Duration::from_secs(5);

/// A member that was heard so lately is asked before it is buried on the word of others.
const NEAR: Duration = Duration::from_secs(10);

/// How long a node waits for another to tell a charge, and by how much more at random.
const CHARGE_WAIT: Duration = Duration::from_millis(300);

/// What is held against one member at one incarnation. It holds until the member is heard or raises its incarnation: an
/// accuser that hears it again tells it so.
#[derive(Debug)]
pub(super) struct Case {
    incarnation: Incarnation,
    /// By accuser. Whether an accuser is an observer is asked when the case is weighed: rings change.
    accusations: BTreeMap<NodeId, Verified<Accusation>>,
}

/// What this node said of a member that is down.
#[derive(Debug)]
pub(super) struct Word {
    said: Verified<Accusation>,
    /// Who was told, and when last: accusers are members, so there are no more of them than that.
    told: BTreeMap<NodeId, Mono>,
}

impl Word {
    /// The word, unless that node was told just now. Its accusation may be the answer to this very word: two nodes that have
    /// both buried a member would answer each other for ever.
    fn tell(&mut self, to: NodeId, now: Mono) -> Option<Verified<Accusation>> {
        if self.told.get(&to).is_some_and(|told| now.since(*told) < ASK_GAP.0) {
            return None;
        }
        self.told.insert(to, now);
        Some(self.said.clone())
    }
}

impl Case {
    /// Whether anybody but that node accuses.
    pub(super) fn has_another(&self, me: &NodeId) -> bool {
        self.accusations.keys().any(|accuser| accuser != me)
    }
}

impl<D: Defects> Watches<D> {
    /// Keeps an accusation that may count.
    pub(super) fn hold(&mut self, members: &Members, accusation: Verified<Accusation>) {
        let (accuser, accused) = (accusation.accuser, accusation.accused);
        let in_ring = members.get(&accused).filter(|peer| peer.is_in_ring());
        let known = accuser == members.me || members.get(&accuser).is_some();
        if !known || in_ring.is_none_or(|peer| peer.incarnation > accusation.incarnation) {
            return;
        }
        let fresh = || Case { incarnation: accusation.incarnation, accusations: BTreeMap::new() };
        let case = self.cases.entry(accused).or_insert_with(fresh);
        if case.incarnation < accusation.incarnation {
            *case = fresh();
        }
        let room = case.accusations.len() < CASE_ACCUSERS_MAX || accuser == members.me;
        if case.incarnation == accusation.incarnation && room {
            case.accusations.insert(accuser, accusation);
        }
    }

    /// Weighs every case again after somebody was doubted or buried, since observers who are gone do not count.
    pub(super) fn review(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &Contacts,
        findings: &mut Vec<Finding>,
    ) {
        while std::mem::take(&mut self.review) && !self.cases.is_empty() {
            let accused: Vec<NodeId> = self.cases.keys().copied().collect();
            for node in accused {
                self.weigh(fx, members, contacts, findings, node);
            }
        }
    }

    /// Whether what is held against a member is enough.
    pub(super) fn weigh(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &Contacts,
        findings: &mut Vec<Finding>,
        node: NodeId,
    ) {
        let Some(case) = self.cases.get(&node) else { return };
        let open = members.get(&node).is_some_and(|peer| peer.is_in_ring() && peer.incarnation <= case.incarnation);
        if !open {
            self.cases.remove(&node);
            return;
        }
        let me = members.me;
        let mut judges = ring::neighbours(members, self.observers, &node);
        judges.insert(me);
        let accuses = |judge: &NodeId| case.accusations.contains_key(judge);
        let lives = |judge: &&NodeId| **judge == me || accuses(judge) || members.found(judge) == Some(Liveness::Alive);
        let needed = (judges.iter().filter(lives).count() / 2 + 1).min(AGREE);
        let observers = judges.iter().filter(|judge| accuses(judge)).count();
        let anybody = case.accusations.len();
        if accuses(&me) {
            // This node could not reach it itself: the rest is to tell its own failure from that of the accused.
            if anybody >= needed {
                self.bury(fx, members, findings, node, &judges);
            }
        } else if observers >= needed.max(2) && !self.is_near(fx.now, contacts, &node) {
            self.bury(fx, members, findings, node, &judges);
        } else if anybody > 1 || (anybody > 0 && (observers + 1 >= needed || members.is_isolated())) {
            // One word alone asks for nothing, or a liar could have a whole cell ask.
            self.suspect(fx.now, members, findings, node, Stage::Verifying(0));
        }
    }

    /// Whether this node has to do with a member, so that it can and should ask it itself.
    fn is_near(&self, now: Mono, contacts: &Contacts, node: &NodeId) -> bool {
        let contact = contacts.of(node);
        let heard = contact.heard().is_some_and(|heard| now.since(heard) < NEAR);
        self.watches.contains_key(node) || contact.is_linked() || heard
    }

    fn bury(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        findings: &mut Vec<Finding>,
        node: NodeId,
        judges: &BTreeSet<NodeId>,
    ) {
        members.set_found(&node, Liveness::Down, fx.now, findings);
        self.watches.remove(&node);
        self.review = true;
        let Some(case) = self.cases.remove(&node) else { return };
        let Some(word) = case.accusations.get(&members.me) else { return };
        self.words.insert(node, Word { said: word.clone(), told: BTreeMap::new() });
        // The word of observers counts with everybody, that of others with those who could not reach it either.
        let (mut heard, others): (Vec<_>, Vec<_>) =
            case.accusations.into_values().partition(|accusation| judges.contains(&accusation.accuser));
        heard.extend(others.into_iter().take(ACCUSERS_MAX.saturating_sub(heard.len())));
        let Some(charge) = Charge::new(heard) else { return };
        let first = charge.accusations().first().is_some_and(|first| first.accuser == members.me);
        let wait = if first { Duration::ZERO } else { CHARGE_WAIT + fx.jitter(CHARGE_WAIT) };
        self.charges.push((fx.now + wait, charge));
    }

    /// Tells the observers of a member that it did not answer, and asks them whether it answers them. Those who show no sign
    /// of life at all are suspected next: else a node that is cut off would wait for them for ever.
    pub(super) fn ask(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &mut Contacts,
        findings: &mut Vec<Finding>,
        node: NodeId,
    ) {
        let me = members.me;
        let soon = self.slowed(self.config.timeout) * 2;
        let case = self.cases.get(&node);
        let own = case.and_then(|case| case.accusations.get(&me)).cloned();
        let Some(doubt) = self.watches.get_mut(&node).and_then(|watch| watch.doubt.as_mut()) else { return };
        let Some(own) = own else {
            doubt.ask_at = None;
            return;
        };
        let since = *doubt.asked_since.get_or_insert(fx.now);
        let (mut silent, mut waiting) = (Vec::new(), false);
        for observer in ring::neighbours(members, self.observers, &node) {
            let agrees = case.is_some_and(|case| case.accusations.contains_key(&observer));
            if observer == me || agrees {
                continue;
            }
            let heard = contacts.of(&observer).heard() > Some(since);
            let questions = doubt.asked.entry(observer).or_default();
            if !heard && *questions >= QUESTIONS {
                silent.push(observer);
                continue;
            }
            *questions = questions.saturating_add(1);
            waiting |= !heard;
            contacts.reach(observer);
            fx.send(observer, Lane::Probe, VerifiedMessage::Accusation(Box::new(own.clone())));
        }
        doubt.ask_gap = if waiting { Duration::ZERO } else { (doubt.ask_gap * 2).clamp(ASK_GAP.0, ASK_GAP.1) };
        doubt.ask_at = Some(fx.now + soon.max(doubt.ask_gap));
        for observer in silent {
            fx.sometimes("an observer that gave no sign of life was suspected");
            self.suspect(fx.now, members, findings, observer, Stage::Suspected);
        }
    }

    /// This node's own accusation came back signed: it counts, and the observers of the accused hear of it.
    pub(super) fn signed(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &mut Contacts,
        findings: &mut Vec<Finding>,
        accusation: Verified<Accusation>,
    ) {
        let node = accusation.accused;
        let unreached = |doubt: &&mut Box<super::watch::Doubt>| doubt.stage == Stage::Unreached;
        let current = members.get(&node).is_some_and(|peer| peer.incarnation == accusation.incarnation);
        let doubt = self.watches.get_mut(&node).and_then(|watch| watch.doubt.as_mut()).filter(unreached);
        let Some(doubt) = doubt.filter(|_| current) else { return };
        doubt.ask_at = Some(fx.now + ONLOOKER_WAIT);
        self.hold(members, accusation);
        if ring::neighbours(members, self.observers, &node).contains(&members.me) {
            self.ask(fx, members, contacts, findings, node);
        }
        self.weigh(fx, members, contacts, findings, node);
        self.review(fx, members, contacts, findings);
    }

    /// A charge that travels: each of its accusations counts like one that was sent here.
    pub(super) fn charged(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &Contacts,
        findings: &mut Vec<Finding>,
        charge: &Charge,
    ) {
        let node = charge.accused();
        self.charges.retain(|(_, mine)| mine.accused() != node || mine.incarnation() > charge.incarnation());
        for accusation in charge.accusations().iter().filter(|accusation| accusation.accuser != members.me) {
            self.hold(members, accusation.clone());
        }
        self.weigh(fx, members, contacts, findings, node);
        self.review(fx, members, contacts, findings);
    }

    /// A member could not reach another: this node finds out for itself, whether it is an observer or not, since the two may
    /// see the rings differently. Answers with its own accusation, if it has one that the sender did not get.
    pub(super) fn accused(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &Contacts,
        findings: &mut Vec<Finding>,
        accusation: Verified<Accusation>,
    ) -> Option<Verified<Accusation>> {
        let (node, from) = (accusation.accused, accusation.accuser);
        if !members.get(&node).is_some_and(Peer::is_in_ring) {
            return self.words.get_mut(&node)?.tell(from, fx.now);
        }
        self.hold(members, accusation);
        let watch = self.watches.entry(node, || Watch::new(fx.now));
        watch.busy_until = watch.busy_until.max(fx.now + ASKED);
        let waits = watch.doubt.as_ref().map_or(!watch.awaited, |doubt| doubt.stage == Stage::Suspected);
        if waits {
            watch.next = fx.now;
        }
        let own = self.cases.get(&node).and_then(|case| case.accusations.get(&members.me));
        // Each side sends its own once, else the two would answer each other for ever.
        let reply =
            own.filter(|_| watch.doubt.as_mut().is_some_and(|doubt| doubt.asked.insert(from, QUESTIONS).is_none()));
        let reply = reply.cloned();
        self.weigh(fx, members, contacts, findings, node);
        self.review(fx, members, contacts, findings);
        reply
    }
}
