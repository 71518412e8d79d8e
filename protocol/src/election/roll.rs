//! Who should vote next: one step from the voters that a cell has towards those that it should have.
//!
//! Of the voters `a` answer and `q` decide; the *slack* `a - q` is how many more may fail before the cell has no
//! aggregator. While a change is under way both sets have to decide, so a change that needs somebody whom the present set
//! does not need is a risk until it is certified. Hence the order of the steps, for sets where more than half decide:
//!
//! | step | from odd to even | from even to odd |
//! |---|---|---|
//! | remove one that does not answer | slack stays, `q` stays | slack + 1 |
//! | add one that answers | slack stays, `q` grows by one | slack + 1, `q` stays |
//! | remove one that answers | slack - 1 | slack stays |
//!
//! - Whoever is dead is removed *before* its successor is added: removal needs nobody new, and at an even count the
//!   successor then comes in with a quorum that is no larger. Added first, with no slack left, it would be needed at once,
//!   and a newcomer that was not heard from yet grants nobody anything for a lease.
//! - Whoever answers and wants to leave is removed *after* its successor was added, since it still counts.
//! - Nobody is removed for being down alone: it may come back. It is where a successor stands ready, where slack grows by
//!   it, where two are down (two removals then gain one), or where another leaves, which could not be spared else. Whoever left for good is removed at once.
//! - A cell grows above three by two only when every voter and both newcomers have served without a break for a while, and
//!   shrinks only when members left for good.

use super::config::ElectionConfig;
use crate::placement::draw;
use crate::register::{Configuration, VOTERS_MAX, Voter};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::PublicKey;
use std::collections::BTreeMap;
use std::time::Duration;

/// A member that may vote, as the holder of the lease sees it. Who has left for good, or lost the role or the certificate,
/// is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prospect<'a> {
    /// The key with which it signs by its certificate.
    pub(crate) key: PublicKey,
    /// What it shares with others that fail together with it.
    pub(crate) domain: Option<&'a str>,
    pub(crate) presence: Presence,
}

/// Whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It answers and means to stay, for so long without a break.
    Serves(Duration),
    /// It answers and means to leave.
    Leaves,
    /// It does not answer, or does not vote, for so long.
    Away(Duration),
}

/// The present voters and everybody who may vote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Roll<'a> {
    /// The holder, who plans.
    pub(crate) me: NodeId,
    pub(crate) config: &'a ElectionConfig,
    pub(crate) current: &'a Configuration,
    pub(crate) prospects: &'a BTreeMap<NodeId, Prospect<'a>>,
}

impl Roll<'_> {
    /// The voter set that should follow, if any: never one that the voters who answer could not decide.
    pub(crate) fn next(&self) -> Option<Configuration> {
        if self.slack(self.current) < 0 {
            return None;
        }
        let even = self.current.voters.len().is_multiple_of(2);
        self.rekeyed()
            .or_else(|| self.born())
            .or_else(|| self.without_the_dead())
            .or_else(|| self.relieved())
            .or_else(|| if even { self.completed() } else { None })
            .or_else(|| self.shrunk())
            .or_else(|| if even { None } else { self.grown() })
            .filter(|next| self.slack(next) >= 0)
    }

    /// A dead voter exchanged for another in one step. Nothing sound does that.
    pub(crate) fn exchanged(&self) -> Option<Configuration> {
        let (dead, _) = self.dead()?;
        let successor = *self.candidates(self.config.stable).first()?;
        let kept = self.current.voters.iter().filter(|voter| voter.node != dead);
        Some(self.set(kept.copied().chain([successor]).collect()))
    }

    /// A voter signs with another key than the one by which its votes are checked: its vote counts again under that key.
    fn rekeyed(&self) -> Option<Configuration> {
        let changed = |voter: &Voter| {
            let prospect = self.prospects.get(&voter.node)?;
            let there = !matches!(prospect.presence, Presence::Away(_));
            (there && prospect.key != voter.key).then_some(Voter { node: voter.node, key: prospect.key })
        };
        let voter = self.current.voters.iter().find_map(changed)?;
        let others = self.current.voters.iter().filter(|other| other.node != voter.node);
        Some(self.set(others.copied().chain([voter]).collect()))
    }

    /// From one voter to three, or, where the sole voter leaves, to its successor.
    fn born(&self) -> Option<Configuration> {
        let [sole] = self.current.voters.as_slice() else { return None };
        let candidates = self.candidates(self.config.settle);
        if self.target() >= 3
            && let [one, two, ..] = candidates.as_slice()
        {
            return Some(self.set(vec![*sole, *one, *two]));
        }
        let leaves = self.presence(&sole.node) == Some(Presence::Leaves);
        candidates.first().filter(|_| leaves).map(|successor| self.set(vec![*sole, *successor]))
    }

    fn without_the_dead(&self) -> Option<Configuration> {
        let (dead, count) = self.dead()?;
        let next = self.without(dead);
        let gone = self.presence(&dead).is_none();
        let replaced = || !self.candidates(self.config.stable).is_empty();
        let gains = self.slack(&next) > self.slack(self.current);
        (gone || count > 1 || gains || self.leaver().is_some() || replaced()).then_some(next)
    }

    /// A voter that leaves is removed, and its successor added before, where it still counts.
    fn relieved(&self) -> Option<Configuration> {
        let leaver = self.leaver().filter(|_| self.current.voters.len() > 1)?;
        let (now, without) = (self.slack(self.current), self.without(leaver.node));
        if self.slack(&without) >= now {
            return Some(without);
        }
        match self.candidates(self.config.stable).first() {
            Some(successor) if now >= 1 => self.with(*successor),
            Some(_) => None,
            None => Some(without),
        }
    }

    /// A voter that answers and means to leave.
    fn leaver(&self) -> Option<&Voter> {
        self.current.voters.iter().find(|voter| self.presence(&voter.node) == Some(Presence::Leaves))
    }

    /// An even number of voters is on its way to an odd one.
    fn completed(&self) -> Option<Configuration> {
        let short = self.current.voters.len() < self.target();
        self.candidates(self.config.stable).first().filter(|_| short).and_then(|candidate| self.with(*candidate))
    }

    fn shrunk(&self) -> Option<Configuration> {
        let target = self.target();
        if self.current.voters.len() <= target {
            return None;
        }
        let rank = |voter: &&Voter| {
            let away = matches!(self.presence(&voter.node), Some(Presence::Away(_)) | None);
            (away, self.collisions(&voter.node), draw(b"voter", &voter.node, 1))
        };
        let superfluous = self.current.voters.iter().filter(|voter| voter.node != self.me).max_by_key(rank)?;
        let next = self.without(superfluous.node);
        let enough = self.slack(&next) >= self.slack(self.current).min(1) || target == 1;
        enough.then_some(next)
    }

    fn grown(&self) -> Option<Configuration> {
        let stable = |voter: &Voter| match self.presence(&voter.node) {
            Some(Presence::Serves(span)) => span >= self.config.stable,
            Some(Presence::Leaves | Presence::Away(_)) | None => false,
        };
        let others = self.current.voters.iter().filter(|voter| voter.node != self.me);
        let candidates = self.candidates(self.config.stable);
        let due = (3..self.target()).contains(&self.current.voters.len());
        let ready = due && candidates.len() >= 2 && others.copied().all(|voter| stable(&voter));
        candidates.first().filter(|_| ready).and_then(|candidate| self.with(*candidate))
    }

    /// Voters that the cell should have, by the members that it has for good.
    fn target(&self) -> usize {
        let stays = |prospect: &&Prospect<'_>| prospect.presence != Presence::Leaves;
        self.config.trust.voters(self.prospects.values().filter(stays).count())
    }

    /// A voter to be rid of, whoever left for good first, then whoever is away for longest; and how many there are.
    fn dead(&self) -> Option<(NodeId, usize)> {
        let span = |voter: &Voter| match self.presence(&voter.node) {
            None => Some(Duration::MAX),
            Some(Presence::Away(span)) => Some(span).filter(|span| *span >= self.config.stable),
            Some(Presence::Serves(_) | Presence::Leaves) => None,
        };
        let dead = self.current.voters.iter().filter_map(|voter| Some((span(voter)?, voter.node)));
        let dead: Vec<(Duration, NodeId)> = dead.collect();
        dead.iter().max().map(|(_, node)| (*node, dead.len()))
    }

    /// Who may become a voter, the best first: whoever shares the fewest failure domains with voters that stay, then by
    /// draw.
    fn candidates(&self, least: Duration) -> Vec<Voter> {
        let ready = |prospect: &Prospect<'_>| match prospect.presence {
            Presence::Serves(span) => span >= least,
            Presence::Leaves | Presence::Away(_) => false,
        };
        let free = self.prospects.iter().filter(|(node, prospect)| !self.current.has(node) && ready(prospect));
        let mut free: Vec<Voter> = free.map(|(node, prospect)| Voter { node: *node, key: prospect.key }).collect();
        free.sort_by_key(|voter| (self.collisions(&voter.node), draw(b"voter", &voter.node, 1)));
        free
    }

    /// Voters that stay and would fail together with that node.
    fn collisions(&self, node: &NodeId) -> usize {
        let domain = |node: &NodeId| self.prospects.get(node).and_then(|prospect| prospect.domain);
        let Some(own) = domain(node) else { return 0 };
        let stays = |voter: &&Voter| matches!(self.presence(&voter.node), Some(Presence::Serves(_)));
        let others = self.current.voters.iter().filter(stays).filter(|voter| voter.node != *node);
        others.filter(|voter| domain(&voter.node) == Some(own)).count()
    }

    /// How many voters of a set may fail before it cannot decide.
    fn slack(&self, set: &Configuration) -> isize {
        let answers = |voter: &&Voter| {
            let prospect = self.prospects.get(&voter.node);
            prospect
                .is_some_and(|prospect| prospect.key == voter.key && !matches!(prospect.presence, Presence::Away(_)))
        };
        let answering = set.voters.iter().filter(answers).count();
        isize::try_from(answering).unwrap_or(0) - isize::from(set.quorum)
    }

    fn presence(&self, node: &NodeId) -> Option<Presence> {
        self.prospects.get(node).map(|prospect| prospect.presence)
    }

    fn with(&self, voter: Voter) -> Option<Configuration> {
        let room = self.current.voters.len() < VOTERS_MAX;
        room.then(|| self.set(self.current.voters.iter().copied().chain([voter]).collect()))
    }

    fn without(&self, node: NodeId) -> Configuration {
        self.set(self.current.voters.iter().copied().filter(|voter| voter.node != node).collect())
    }

    fn set(&self, voters: Vec<Voter>) -> Configuration {
        Configuration::trusting(self.config.trust, self.current.epoch.next(), voters)
    }
}

#[cfg(test)]
#[path = "roll_tests.rs"]
mod tests;
