//! Asking every member for its links and its clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::time::{Wall, micros};
use hedgerow_protocol::view::{MemberState, MeshView};

use super::judge::one_sided;
use crate::net::{CHECK_PROTOCOL, CheckAnswer, LinkFigures, Net, check_question};
use crate::observe::{chain, system};

/// Members that are asked at a time.
const ASKED_AT_ONCE: usize = 32;
/// How long one member may take, the making of a link included.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long all of them may take: a cell of 128 of whom nobody answers, and then a second look.
const PATIENCE_ALL: Duration = Duration::from_secs(10);

/// What came of asking each member, by id.
pub(in crate::admin) type Answers = BTreeMap<NodeId, Outcome>;

/// What a member said, or why it said nothing.
pub(in crate::admin) type Outcome = Result<Answered, String>;

/// What a member said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::admin) struct Answered {
    /// How long that took, and its clock; nothing of the node that asks.
    pub(super) clock: Option<Clock>,
    /// Its links, by whom they go to.
    pub(super) links: BTreeMap<NodeId, LinkFigures>,
}

/// The clock of another machine, as far as one question tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// From the question to the answer.
    pub(super) took: Duration,
    /// How far it is ahead of this machine's, microseconds; it was read at some moment in between, so that this may be wrong by half of it.
    pub(super) ahead_us: i128,
}

impl Clock {
    /// The clock said `theirs` to a question that left when this machine's said `asked`, and was answered `took` later.
    fn read(asked: Wall, took: Duration, theirs: Wall) -> Self {
        let middle = i128::from(asked.0) + i128::from(micros(took) / 2);
        Self { took, ahead_us: i128::from(theirs.0) - middle }
    }
}

/// Asks the members of this node's cell that are not known to be gone, this node included. What seems to be a link of one end only is
/// looked at again: members do not answer at the same moment, and links come and go.
pub(in crate::admin) async fn ask_all(net: &Net, view: &MeshView) -> Answers {
    let until = Instant::now() + PATIENCE_ALL;
    let is_there = |state| matches!(state, MemberState::Alive | MemberState::Suspect);
    let members = view.members.values().filter(|member| member.cell == view.cell && is_there(member.state));
    let others: Vec<NodeId> = members.map(|member| member.node).filter(|node| *node != view.me).collect();
    let mut answers = ask_each(net, others, until).await;
    // Last, since asking makes links.
    answers.insert(view.me, Ok(myself(net)));
    let doubted = one_sided(&answers).into_iter().flat_map(|(node, peer)| [node, peer]);
    let doubted: Vec<NodeId> = doubted.filter(|node| *node != view.me).collect();
    if !doubted.is_empty() {
        let again = ask_each(net, doubted, until).await;
        answers.extend(again.into_iter().filter(|(_, outcome)| outcome.is_ok()));
        answers.insert(view.me, Ok(myself(net)));
    }
    answers
}

fn myself(net: &Net) -> Answered {
    Answered { clock: None, links: by_peer(CheckAnswer::of(&net.links(), system()).links) }
}

async fn ask_each(net: &Net, mut nodes: Vec<NodeId>, until: Instant) -> Answers {
    nodes.sort_unstable();
    nodes.dedup();
    let asked = stream::iter(nodes).map(async |node| (node, ask(net, node, until).await));
    asked.buffer_unordered(ASKED_AT_ONCE).collect().await
}

/// The link is made first, so that its making is not taken for the way of the question.
async fn ask(net: &Net, node: NodeId, until: Instant) -> Outcome {
    let deadline = until.min(Instant::now() + PATIENCE);
    let left = || deadline.saturating_duration_since(Instant::now());
    if left().is_zero() {
        return Err(format!("it was not asked: all together took {} s", PATIENCE_ALL.as_secs()));
    }
    net.reach(node, left()).await.map_err(|error| chain(&error))?;
    let (asked, at) = (system(), Instant::now());
    let answer = net.request(node, CHECK_PROTOCOL, check_question(), left()).await.map_err(|error| chain(&error))?;
    let took = at.elapsed();
    let CheckAnswer { wall, links } = CheckAnswer::decode(&answer).map_err(|error| chain(&error))?;
    Ok(Answered { clock: Some(Clock::read(asked, took, wall)), links: by_peer(links) })
}

fn by_peer(links: Vec<LinkFigures>) -> BTreeMap<NodeId, LinkFigures> {
    links.into_iter().map(|link| (link.node, link)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_way() {
        let read = |theirs| Clock::read(Wall(1_000_000), Duration::from_millis(100), Wall(theirs)).ahead_us;
        assert_eq!(read(1_050_000), 0);
        assert_eq!(read(3_050_000), 2_000_000);
        assert_eq!(read(0), -1_050_000);
        assert_eq!(read(u64::MAX), i128::from(u64::MAX) - 1_050_000);
    }
}
