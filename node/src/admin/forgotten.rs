//! Nodes of which an operator wants to see nothing any more.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::view::{MemberState, MeshView};

use crate::store::{CommitError, MeshStore, Row, RowChange};

/// The table of rows beside those of the mesh core (`docs/storage.md`).
const TABLE: u8 = 17;

/// The nodes that were forgotten. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Forgotten(Arc<Mutex<BTreeSet<NodeId>>>);

impl Forgotten {
    /// Those of earlier runs.
    pub fn of_rows(rows: impl IntoIterator<Item = Row>) -> Self {
        let nodes = rows.into_iter().filter(|(table, ..)| *table == TABLE);
        let nodes = nodes.filter_map(|(_, key, _)| Some(NodeId::from_bytes(key.try_into().ok()?)));
        Self(Arc::new(Mutex::new(nodes.collect())))
    }

    /// Forgets a node, durably, with where it was and by which certificate it was known.
    pub(super) async fn insert(&self, node: NodeId, store: &MeshStore) -> Result<(), CommitError> {
        let put = RowChange::Put { table: TABLE, key: node.as_bytes().to_vec(), value: Vec::new() };
        let (kept, dropped) = (store.persist(vec![put], true).await, store.drop_peer(node).await);
        kept.await?;
        dropped.await?;
        self.lock().insert(node);
        Ok(())
    }

    /// The view without those that left and were forgotten.
    pub(super) fn hide<'a>(&self, view: &'a MeshView) -> Cow<'a, MeshView> {
        let forgotten = self.lock();
        let mut view = Cow::Borrowed(view);
        if !forgotten.is_empty() {
            let shown = |node: &NodeId, state| state != MemberState::Left || !forgotten.contains(node);
            view.to_mut().members.retain(|node, member| shown(node, member.state));
        }
        view
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<NodeId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_protocol::link::{Candidate, Origin};

    use super::*;
    use crate::core::testing::{node, view};
    use crate::store::testing::{Disk, mesh_store};

    #[tokio::test]
    async fn who_left_and_was_forgotten_is_not_shown_and_whoever_is_back_is() {
        let disk = Disk::default();
        let (store, thread) = mesh_store(&disk);
        let (forgotten, mut seen) = (Forgotten::default(), view(&[(1, vec![]), (2, vec![]), (3, vec![])]));
        store
            .put_addresses(node(2), &[Candidate::new("192.0.2.1:1".parse().unwrap(), Origin::Said, true)])
            .await
            .await
            .unwrap();
        store.put_certificate(node(2), b"certificate".to_vec()).await.await.unwrap();
        forgotten.insert(node(2), &store).await.unwrap();
        let shown =
            |forgotten: &Forgotten, view: &MeshView| forgotten.hide(view).members.keys().copied().collect::<Vec<_>>();
        assert_eq!(shown(&forgotten, &seen), [node(1), node(2), node(3)]);
        for gone in [2, 3] {
            seen.members.get_mut(&node(gone)).unwrap().state = MemberState::Left;
        }
        assert_eq!(shown(&forgotten, &seen), [node(1), node(3)]);
        assert!(store.addresses().unwrap().is_empty() && store.certificates().unwrap().is_empty());
        thread.close().await;

        let (store, thread) = mesh_store(&disk.crashed(0));
        assert_eq!(shown(&Forgotten::of_rows(store.rows().unwrap()), &seen), [node(1), node(3)]);
        thread.close().await;
    }
}
