//! How many bytes the log holds of each group, and what other nodes say of theirs: what a move would copy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::{CLASSES_MAX, Lineage};
use hedgerow_protocol::session_id::{GROUP_PREFIXES, GroupId};
use hedgerow_protocol::view::MeshView;
use serde::{Deserialize, Serialize};

use crate::net::{Net, Protocol};
use crate::observe::chain;

/// The name of the question on the rpc lane. Its body is a cell.
pub const SIZES_PROTOCOL: Protocol = Protocol::new("group-sizes/1");

/// A plan is for people: who does not answer by then, of all that are asked, is left out of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nodes that are asked at a time.
const ASKED_AT_ONCE: usize = 16;
const ROWS_MAX: usize = CLASSES_MAX * GROUP_PREFIXES as usize;

/// Bytes of one copy of each group of a cell, by class and hash prefix.
pub type GroupBytes = BTreeMap<(ClassName, u8), u64>;

/// Bytes by group, as rows are written and dropped. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sizes(Arc<Mutex<BTreeMap<GroupId, u64>>>);

impl Sizes {
    /// Rows were appended.
    pub(super) fn add(&self, group: &GroupId, bytes: u64) {
        *self.known().entry(group.clone()).or_default() += bytes;
    }

    /// Its rows are gone.
    pub(super) fn forget(&self, group: &GroupId) {
        self.known().remove(group);
    }

    /// The groups that live in a cell, those of ended births among them.
    pub(super) fn of_cell(&self, lineage: &Lineage, cell: &CellId) -> GroupBytes {
        let mut rows = GroupBytes::new();
        for (group, bytes) in self.known().iter().filter(|(group, _)| lineage.home(group) == *cell) {
            *rows.entry((group.class.clone(), group.prefix)).or_default() += bytes;
        }
        rows
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<GroupId, u64>> {
        self.0.lock().expect("nobody panics while counting")
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    #[serde(deserialize_with = "bounded_vec::<_, _, ROWS_MAX>")]
    rows: Vec<(ClassName, u8, u64)>,
}

/// The answer for a cell.
pub(super) fn encode(rows: GroupBytes) -> Bytes {
    let rows = rows.into_iter().take(ROWS_MAX).map(|((class, prefix), bytes)| (class, prefix, bytes)).collect();
    Bytes::from(postcard::to_stdvec(&Answer { rows }).expect("postcard writes rows into memory"))
}

/// Whether bytes are an answer.
pub(crate) fn takes(body: &[u8]) -> bool {
    decode(body).is_ok()
}

fn decode(body: &[u8]) -> Result<GroupBytes, postcard::Error> {
    let (Answer { rows }, rest) = postcard::take_from_bytes(body)?;
    if !rest.is_empty() {
        return Err(postcard::Error::DeserializeBadEncoding);
    }
    Ok(rows.into_iter().map(|(class, prefix, bytes)| ((class, prefix), bytes)).collect())
}

/// What the holders of a cell's groups say, `own` for this node. A group of which no holder answered is not among them; of
/// several words the largest counts, since copies that lag are smaller.
pub(super) async fn ask(net: &Net, view: &MeshView, cell: CellId, own: GroupBytes) -> GroupBytes {
    let Some(placement) = view.placements.get(&cell) else { return own };
    let holders: BTreeSet<NodeId> = placement.groups.values().flatten().copied().collect();
    let until = Instant::now() + PATIENCE;
    let answer = async |node: NodeId| {
        if node == view.me {
            return (node, Some(own.clone()));
        }
        let body = Bytes::copy_from_slice(cell.as_bytes());
        let patience = until.saturating_duration_since(Instant::now());
        let said = match net.request(node, SIZES_PROTOCOL, body, patience).await {
            Ok(body) => decode(&body).map_err(|error| chain(&error)),
            Err(error) => Err(chain(&error)),
        };
        (node, said.inspect_err(|error| tracing::debug!(%node, error, "a holder did not say how much it has")).ok())
    };
    let answers: Vec<_> = stream::iter(holders).map(answer).buffer_unordered(ASKED_AT_ONCE).collect().await;
    let mut rows = GroupBytes::new();
    for (node, said) in answers.iter().filter_map(|(node, said)| Some((node, said.as_ref()?))) {
        for (group, _) in placement.groups.iter().filter(|(_, nodes)| nodes.contains(node)) {
            let bytes = said.get(group).copied().unwrap_or(0);
            rows.entry(group.clone()).and_modify(|known| *known = bytes.max(*known)).or_insert(bytes);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{CELL, OLD, cart, end_old, view};

    #[test]
    fn rows_are_counted_by_the_cell_in_which_their_group_lives_until_they_are_dropped() {
        let mut seen = view(&[(1, vec![])]);
        end_old(&mut seen, 1, 3, &[1], None);
        let sizes = Sizes::default();
        let group = |cell, prefix| GroupId { cell, class: cart(), prefix };
        sizes.add(&group(CELL, 3), 100);
        sizes.add(&group(CELL, 3), 20);
        sizes.add(&group(OLD, 3), 7);
        sizes.add(&group(CELL, 4), 5);
        let expected = GroupBytes::from([((cart(), 3), 127), ((cart(), 4), 5)]);
        assert_eq!(sizes.of_cell(&seen.lineage, &CELL), expected);
        assert_eq!(decode(&encode(expected.clone())), Ok(expected));
        sizes.forget(&group(CELL, 4));
        assert_eq!(sizes.of_cell(&seen.lineage, &CELL), GroupBytes::from([((cart(), 3), 127)]));
        assert_eq!(sizes.of_cell(&seen.lineage, &OLD), GroupBytes::new());
    }

    #[test]
    fn an_answer_is_frozen() {
        let rows = GroupBytes::from([((cart(), 3), 300), ((cart(), 4), 5)]);
        assert_eq!(encode(rows), b"\x02\x04cart\x03\xac\x02\x04cart\x04\x05"[..]);
    }

    #[test]
    fn an_answer_that_claims_too_many_rows_is_none() {
        let many = Answer { rows: vec![(cart(), 0, 1); ROWS_MAX + 1] };
        assert_eq!(decode(&postcard::to_stdvec(&many).unwrap()), Err(postcard::Error::SerdeDeCustom));
        assert!(decode(&[0xff; 9]).is_err());
    }
}
