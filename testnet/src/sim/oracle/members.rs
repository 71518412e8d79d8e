//! Who ran when, and who believed it.

use crate::sim::life::End;
use crate::sim::time::{Micros, S};
use hedgerow_attest::id::CellId;
use hedgerow_protocol::fact::NodeRecord;
use hedgerow_protocol::id::{BootId, Incarnation};
use hedgerow_protocol::view::MemberState;
use std::collections::{BTreeMap, BTreeSet};

/// A member counts as undisturbed when nothing happened to it for that long.
const CALM: Micros = 20 * S;
/// Mistakes about one member within this span are one mistake.
const ONE_MISTAKE: Micros = 60 * S;
/// A suspicion that was told counts as a verification for that long.
const VERIFICATION_LIFE: Micros = 30 * S;

/// So many questions are remembered before the old ones are forgotten.
const ASKED_LEAST: usize = 4096;

/// One node's life.
#[derive(Debug, Clone, Copy, Default)]
struct Life {
    up: bool,
    changed: Micros,
    /// Nothing that is believed about it before that moment is a mistake.
    disturbed_until: Micros,
    last_mistake: Option<Micros>,
    announced: Option<End>,
    incarnation: Option<(Incarnation, BootId)>,
}

/// A crash or return that some have not noticed yet.
#[derive(Debug)]
struct Pending {
    node: u32,
    since: Micros,
    kind: PendingKind,
    /// Who has not noticed.
    waiting: BTreeSet<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PendingKind {
    Crash,
    Return,
    Avoided { in_flight: bool },
}

/// Something that all who run know now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// A crash, so long after it.
    Crash(Micros),
    /// All who talk to a crashed node route around it.
    Avoided {
        /// How long after the crash.
        span: Micros,
        /// Whether a request was under way.
        in_flight: bool,
    },
    /// A return, so long after it.
    Return(Micros),
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Members {
    lives: Vec<Life>,
    regions: Vec<usize>,
    /// To which cell each counted itself last, whether it runs or not.
    homes: Vec<Option<CellId>>,
    /// How many count themselves to each.
    cells: BTreeMap<CellId, u32>,
    pending: Vec<Pending>,
    talkers: BTreeMap<u32, (Vec<u32>, bool)>,
    /// Pairs of observer and departed: a departure that was seen.
    seen_left: BTreeSet<(u32, u32)>,
    /// Pairs of observer and dead: the dead that were taken for down since they died, as what they last called themselves.
    seen_down: BTreeSet<(u32, u32)>,
    /// By asker and suspect: when it was told of the suspicion, the last two times.
    asked: BTreeMap<(u32, u32), (Micros, Micros)>,
    /// So many of those are kept before what is too old to count is forgotten.
    asked_most: usize,
    network_changed: Micros,
    changed: bool,
}

impl Members {
    pub(super) fn new(regions: &[usize]) -> Self {
        Self {
            lives: vec![Life::default(); regions.len()],
            regions: regions.to_vec(),
            homes: vec![None; regions.len()],
            cells: BTreeMap::new(),
            pending: Vec::new(),
            talkers: BTreeMap::new(),
            seen_left: BTreeSet::new(),
            seen_down: BTreeSet::new(),
            asked: BTreeMap::new(),
            asked_most: ASKED_LEAST,
            network_changed: 0,
            changed: false,
        }
    }

    /// To which cell a node counts itself from here on. True when it was another before.
    pub(super) fn belongs(&mut self, node: u32, cell: Option<CellId>) -> bool {
        let former = std::mem::replace(&mut self.homes[node as usize], cell);
        if former == cell {
            return false;
        }
        if let Some(count) = former.and_then(|former| self.cells.get_mut(&former)) {
            *count -= 1;
        }
        self.cells.retain(|_, count| *count > 0);
        if let Some(cell) = cell {
            *self.cells.entry(cell).or_default() += 1;
        }
        // Who went to another cell is watched by others, and watches others.
        if former.is_some() {
            self.pending.retain(|pending| pending.node != node);
            self.seen_down.retain(|(observer, of)| *observer != node && *of != node);
            self.forget_witness(node);
        }
        true
    }

    /// The cell to which a node counts itself.
    pub(super) fn home(&self, node: u32) -> Option<CellId> {
        self.homes[node as usize]
    }

    /// Every cell to which somebody counts itself.
    pub(super) fn cells(&self) -> impl Iterator<Item = CellId> + '_ {
        self.cells.keys().copied()
    }

    /// Whether two nodes count themselves to one cell.
    pub(super) fn are_near(&self, one: u32, other: u32) -> bool {
        let place = |node: u32| (self.regions[node as usize], self.homes[node as usize]);
        place(one) == place(other)
    }

    pub(super) fn started(&mut self, now: Micros, node: u32) {
        let first = self.life(node).changed == 0;
        let life = self.life_mut(node);
        (life.up, life.changed, life.announced) = (true, now, None);
        life.disturbed_until = now;
        self.pending.retain(|pending| pending.node != node);
        self.seen_down.retain(|(_, of)| *of != node);
        self.forget_witness(node);
        if !first {
            self.await_all(now, node, PendingKind::Return);
        }
    }

    pub(super) fn crashed(&mut self, now: Micros, node: u32) {
        self.end(now, node);
        self.await_all(now, node, PendingKind::Crash);
        if let Some((talkers, in_flight)) = self.talkers.remove(&node) {
            let waiting = talkers.into_iter().filter(|talker| self.life(*talker).up).collect();
            let kind = PendingKind::Avoided { in_flight };
            self.pending.push(Pending { node, since: now, kind, waiting });
        }
    }

    pub(super) fn stopped(&mut self, now: Micros, node: u32) {
        self.end(now, node);
    }

    fn end(&mut self, now: Micros, node: u32) {
        let life = self.life_mut(node);
        (life.up, life.changed) = (false, now);
        self.pending.retain(|pending| pending.node != node);
        self.forget_witness(node);
        self.seen_left.retain(|(observer, _)| *observer != node);
        self.seen_down.retain(|(observer, _)| *observer != node);
    }

    pub(super) fn announced(&mut self, _now: Micros, node: u32, end: End) {
        self.life_mut(node).announced = Some(end);
    }

    pub(super) fn disturbed(&mut self, node: u32, until: Micros) {
        let life = self.life_mut(node);
        life.disturbed_until = life.disturbed_until.max(until);
        self.forget_witness(node);
    }

    pub(super) fn network_changed(&mut self, now: Micros) {
        self.network_changed = now;
        // Who cannot be reached cannot be told.
        self.pending.clear();
    }

    pub(super) fn talk(&mut self, to: u32, talkers: &[u32], in_flight: bool) {
        self.talkers.insert(to, (talkers.to_vec(), in_flight));
    }

    /// A node's own record.
    pub(super) fn spoke(&mut self, node: u32, record: &NodeRecord) -> Result<(), String> {
        let says = (record.incarnation, record.boot);
        match self.life_mut(node).incarnation.replace(says) {
            Some((incarnation, boot)) if incarnation > says.0 || (incarnation == says.0 && boot != says.1) => {
                Err(format!("node {node} speaks as incarnation {} after {incarnation}", says.0))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A node asks a suspect, and tells it that it is one.
    pub(super) fn suspicion_told(&mut self, now: Micros, asker: u32, suspect: u32) {
        if self.asked.len() >= self.asked_most {
            self.asked.retain(|_, (_, last)| *last + VERIFICATION_LIFE > now);
            self.asked_most = ASKED_LEAST.max(self.asked.len() * 2);
        }
        let (_, last) = self.asked.get(&(asker, suspect)).copied().unwrap_or_default();
        self.asked.insert((asker, suspect), (last, now));
    }

    /// Whether that node asked the suspect, with the suspicion attached, twice in the last while.
    pub(super) fn has_verified(&self, now: Micros, asker: u32, suspect: u32) -> bool {
        let asked = self.asked.get(&(asker, suspect));
        asked.is_some_and(|(first, _)| *first > 0 && first + VERIFICATION_LIFE > now)
    }

    /// Whether nothing excuses that the observer takes the member for down.
    pub(super) fn is_undisturbed(&self, now: Micros, observer: u32, of: u32) -> bool {
        let calm = |node: u32| {
            let life = self.life(node);
            life.up && life.announced.is_none() && life.changed.max(life.disturbed_until) + CALM < now
        };
        calm(observer) && calm(of) && (self.network_changed == 0 || self.network_changed + CALM < now)
    }

    /// Whether this is not the echo of an earlier mistake about the same member.
    pub(super) fn is_first_mistake(&mut self, now: Micros, of: u32) -> bool {
        let life = self.life_mut(of);
        let last = life.last_mistake.replace(now);
        last.is_none_or(|last| last + ONE_MISTAKE < now)
    }

    /// Whether the observer had taken the member for down since it died, as what it last called itself. Before that, old
    /// packets of the dead, held up anywhere, may well make it seem alive; after an earlier run, so may a later one.
    pub(super) fn is_known_dead(&self, observer: u32, of: u32) -> bool {
        !self.life(of).up && self.seen_down.contains(&(observer, of))
    }

    /// An observer sees a member in another state, and knows it as that incarnation. True when it had seen its departure.
    pub(super) fn saw(&mut self, observer: u32, of: u32, to: MemberState, known: Incarnation) -> bool {
        for pending in self.pending.iter_mut().filter(|pending| pending.node == of) {
            let noticed = match pending.kind {
                PendingKind::Crash => to == MemberState::Down,
                PendingKind::Return => to == MemberState::Alive,
                PendingKind::Avoided { .. } => to != MemberState::Alive,
            };
            if noticed && pending.waiting.remove(&observer) {
                self.changed = true;
            }
        }
        let is_last = self.life(of).incarnation.is_none_or(|(last, _)| known >= last);
        if to == MemberState::Down && !self.life(of).up && is_last {
            self.seen_down.insert((observer, of));
        }
        if to == MemberState::Left {
            self.seen_left.insert((observer, of));
            return false;
        }
        self.seen_left.remove(&(observer, of))
    }

    /// What all who run know since the last time.
    pub(super) fn conclude(&mut self, now: Micros) -> Option<Vec<Known>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let done: Vec<Pending> = self.pending.extract_if(.., |pending| pending.waiting.is_empty()).collect();
        let known = |pending: Pending| {
            let span = now - pending.since;
            match pending.kind {
                PendingKind::Crash => Known::Crash(span),
                PendingKind::Return => Known::Return(span),
                PendingKind::Avoided { in_flight } => Known::Avoided { span, in_flight },
            }
        };
        Some(done.into_iter().map(known).collect())
    }

    fn await_all(&mut self, now: Micros, node: u32, kind: PendingKind) {
        let others = (0..self.lives.len() as u32).filter(|other| *other != node && self.life(*other).up);
        let waiting: BTreeSet<u32> = others.filter(|other| self.are_near(node, *other)).collect();
        if !waiting.is_empty() {
            self.pending.push(Pending { node, since: now, kind, waiting });
        }
    }

    /// That node notices nothing any more.
    fn forget_witness(&mut self, node: u32) {
        for pending in &mut self.pending {
            if pending.waiting.remove(&node) {
                self.changed = true;
            }
        }
    }

    fn life(&self, node: u32) -> &Life {
        &self.lives[node as usize]
    }

    fn life_mut(&mut self, node: u32) -> &mut Life {
        &mut self.lives[node as usize]
    }
}
