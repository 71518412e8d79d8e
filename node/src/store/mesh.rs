//! What the mesh's machines must not forget (votes, fences, incarnations, facts), and what the node knows about peers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::link::Candidate;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use super::addresses;
use super::committer::{CommitThread, Committer, Completion, Sync};
use super::invites;
use super::open::{LoadError, OpenError, start};

/// The store of the mesh (`mesh.redb`). It is small, and its commits wait for no session.
#[derive(Debug, Clone)]
pub struct MeshStore {
    pub(super) database: Arc<Database>,
    pub(super) committer: Committer,
}

/// One change to the rows of the mesh's machines, or to those that lie beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// Sets a row.
    Put {
        /// Which table; `docs/storage.md` has the numbers.
        table: u8,
        /// Key within the table.
        key: Vec<u8>,
        /// The versioned value.
        value: Vec<u8>,
    },
    /// Removes a row, if it is there.
    Delete {
        /// Which table.
        table: u8,
        /// Key within the table.
        key: Vec<u8>,
    },
}

/// A row as it is read back: table, key, value.
pub type Row = (u8, Vec<u8>, Vec<u8>);

impl MeshStore {
    pub(super) fn start(database: Database, path: &Path) -> Result<(Self, CommitThread), OpenError> {
        let (database, committer, thread) = start(FILE, path, database, make_tables)?;
        Ok((Self { database, committer }, thread))
    }

    /// Applies changes together or not at all, in the order of the calls. With `sync`, they are durable when the
    /// completion says so; without, a crash may lose them, but never a part of them or something later alone.
    pub async fn persist(&self, changes: Vec<RowChange>, sync: bool) -> Completion {
        let sync = if sync { Sync::Durable } else { Sync::Deferred };
        self.committer
            .submit(sync, move |transaction| {
                let mut rows = transaction.open_table(ROWS)?;
                for change in &changes {
                    match change {
                        RowChange::Put { table, key, value } => {
                            rows.insert((*table, key.as_slice()), value.as_slice())?;
                        }
                        RowChange::Delete { table, key } => {
                            rows.remove((*table, key.as_slice()))?;
                        }
                    }
                }
                Ok(())
            })
            .await
    }

    /// Every row, ordered by table and key. Blocks on the disk.
    pub fn rows(&self) -> Result<Vec<Row>, LoadError> {
        let mut bytes = 0;
        let mut found = Vec::new();
        let mut read = || -> Result<(), redb::Error> {
            for entry in self.database.begin_read()?.open_table(ROWS)?.iter()? {
                let (key, value) = entry?;
                let ((table, key), value) = (key.value(), value.value());
                bytes += key.len() + value.len();
                if bytes > LOAD_BYTES_MAX {
                    break;
                }
                found.push((table, key.to_vec(), value.to_vec()));
            }
            Ok(())
        };
        read().map_err(read_failed)?;
        if bytes > LOAD_BYTES_MAX {
            return Err(LoadError::TooMuch { file: FILE, bytes_max: LOAD_BYTES_MAX });
        }
        Ok(found)
    }

    /// One row. Blocks on the disk.
    pub fn row(&self, table: u8, key: &[u8]) -> Result<Option<Vec<u8>>, LoadError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let rows = self.database.begin_read()?.open_table(ROWS)?;
            Ok(rows.get((table, key))?.map(|value| value.value().to_vec()))
        };
        read().map_err(read_failed)
    }

    /// Keeps the certificate of a member, replacing an earlier one of it.
    pub async fn put_certificate(&self, node: NodeId, certificate: Vec<u8>) -> Completion {
        self.committer
            .submit(Sync::Durable, move |transaction| {
                transaction.open_table(CERTIFICATES)?.insert(node.as_bytes(), certificate.as_slice())?;
                Ok(())
            })
            .await
    }

    /// The certificate of one node, if one was kept, unverified. Blocks on the disk.
    pub fn certificate(&self, node: &NodeId) -> Result<Option<Vec<u8>>, LoadError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(CERTIFICATES)?;
            Ok(table.get(node.as_bytes())?.map(|value| value.value().to_vec()))
        };
        read().map_err(read_failed)
    }

    /// The certificates that were kept, unverified. Blocks on the disk.
    pub fn certificates(&self) -> Result<BTreeMap<NodeId, Vec<u8>>, LoadError> {
        self.by_node(CERTIFICATES)
    }

    /// Keeps where a node may be, best first, for the dials after a restart; a crash may lose it.
    pub async fn put_addresses(&self, node: NodeId, known: &[Candidate<SocketAddr>]) -> Completion {
        let value = addresses::encode(known);
        self.committer
            .submit(Sync::Deferred, move |transaction| {
                transaction.open_table(ADDRESSES)?.insert(node.as_bytes(), value.as_slice())?;
                Ok(())
            })
            .await
    }

    /// Forgets where a node was last reached and by which certificate it was known.
    pub async fn drop_peer(&self, node: NodeId) -> Completion {
        self.committer
            .submit(Sync::Durable, move |transaction| {
                transaction.open_table(ADDRESSES)?.remove(node.as_bytes())?;
                transaction.open_table(CERTIFICATES)?.remove(node.as_bytes())?;
                Ok(())
            })
            .await
    }

    /// Where nodes may be, best first. Blocks on the disk.
    pub fn addresses(&self) -> Result<BTreeMap<NodeId, Vec<Candidate<SocketAddr>>>, LoadError> {
        let decode = |(node, value): (NodeId, Vec<u8>)| match addresses::decode(&value) {
            Some(known) => Ok((node, known)),
            None => Err(LoadError::Row { file: FILE, table: "addresses" }),
        };
        self.by_node(ADDRESSES)?.into_iter().map(decode).collect()
    }

    fn by_node(&self, definition: ByNode) -> Result<BTreeMap<NodeId, Vec<u8>>, LoadError> {
        let read = || -> Result<BTreeMap<NodeId, Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(definition)?;
            let mut found = BTreeMap::new();
            for entry in table.iter()? {
                let (node, value) = entry?;
                found.insert(NodeId::from_bytes(*node.value()), value.value().to_vec());
            }
            Ok(found)
        };
        read().map_err(read_failed)
    }
}

pub(super) fn read_failed(source: redb::Error) -> LoadError {
    LoadError::Database { file: FILE, source: Box::new(source) }
}

fn make_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(ROWS)?;
    transaction.open_table(CERTIFICATES)?;
    transaction.open_table(ADDRESSES)?;
    invites::make_tables(transaction)
}

type ByNode = TableDefinition<'static, &'static [u8; 32], &'static [u8]>;

pub(super) const FILE: &str = "mesh.redb";
const ROWS: TableDefinition<'_, (u8, &[u8]), &[u8]> = TableDefinition::new("rows");
const CERTIFICATES: ByNode = TableDefinition::new("certificates");
const ADDRESSES: ByNode = TableDefinition::new("addresses");
/// What the machines may bring into memory at a start; a cell of 128 needs well under one MiB.
const LOAD_BYTES_MAX: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use hedgerow_protocol::link::Origin;

    use super::super::testing::{Disk, mesh_store};
    use super::*;

    #[tokio::test]
    async fn rows_are_read_back_as_they_were_last_set() {
        let disk = Disk::default();
        let (mesh, thread) = mesh_store(&disk);
        mesh.persist(vec![put(2, "b", "old"), put(1, "z", "1"), put(2, "a", "2")], true).await.await.unwrap();
        mesh.persist(vec![put(2, "b", "new"), delete(2, "a"), delete(9, "none")], true).await.await.unwrap();
        assert_eq!(mesh.rows().unwrap(), [row(1, "z", "1"), row(2, "b", "new")]);
        assert_eq!((mesh.row(2, b"b").unwrap(), mesh.row(2, b"a").unwrap()), (Some(b"new".to_vec()), None));
        thread.close().await;
        let (mesh, thread) = mesh_store(&disk.crashed(0));
        assert_eq!(mesh.rows().unwrap(), [row(1, "z", "1"), row(2, "b", "new")]);
        thread.close().await;
    }

    #[tokio::test]
    async fn the_address_book_and_the_certificates_survive() {
        let disk = Disk::default();
        let (mesh, thread) = mesh_store(&disk);
        let (one, two) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let at = |address: &str, origin, worked| Candidate::new(address.parse().unwrap(), origin, worked);
        let addresses = vec![at("192.0.2.1:4334", Origin::Seen, true), at("[2001:db8::1]:1", Origin::Said, false)];
        mesh.put_addresses(two, &addresses).await.await.unwrap();
        mesh.put_certificate(one, b"first".to_vec()).await.await.unwrap();
        mesh.put_certificate(one, b"second".to_vec()).await.await.unwrap();
        thread.close().await;
        let (mesh, thread) = mesh_store(&disk.crashed(0));
        assert_eq!(mesh.addresses().unwrap(), BTreeMap::from([(two, addresses)]));
        assert_eq!(mesh.certificates().unwrap(), BTreeMap::from([(one, b"second".to_vec())]));
        assert_eq!([one, two].map(|node| mesh.certificate(&node).unwrap()), [Some(b"second".to_vec()), None]);
        thread.close().await;
    }

    fn put(table: u8, key: &str, value: &str) -> RowChange {
        RowChange::Put { table, key: key.into(), value: value.into() }
    }

    fn delete(table: u8, key: &str) -> RowChange {
        RowChange::Delete { table, key: key.into() }
    }

    fn row(table: u8, key: &str, value: &str) -> Row {
        (table, key.into(), value.into())
    }
}
