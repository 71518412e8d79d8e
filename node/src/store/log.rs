//! The log of session changes: rows in the order in which they became durable, found again by an index.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase as _, TableDefinition, WriteTransaction};

use super::committer::{CommitThread, Committer, Completion, Sync};
use super::open::{LoadError, OpenError, start};

/// The log of sessions (`log.redb`). Keys ascend, so a commit touches the last page of a tree instead of many.
#[derive(Debug, Clone)]
pub struct SessionLog {
    database: Arc<Database>,
    committer: Committer,
}

/// One row to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// What the row is found by; rows with the same index are read back in the order in which they were appended.
    pub index: Vec<u8>,
    /// The record, in the versioned form of whoever wrote it.
    pub value: Vec<u8>,
}

impl SessionLog {
    pub(super) fn start(database: Database, path: &Path) -> Result<(Self, CommitThread), OpenError> {
        let (database, committer, thread) = start(FILE, path, database, make_tables)?;
        Ok((Self { database, committer }, thread))
    }

    /// Appends rows; the completion carries the log sequence number of the first, the others follow it.
    ///
    /// Durable when it completes. Rows of one call are there together or not at all.
    pub async fn append(&self, rows: Vec<LogRow>) -> Completion<u64> {
        self.committer.submit(Sync::Durable, move |transaction| append(transaction, &rows)).await
    }

    /// Deletes all rows with this index; the completion carries how many there were. Their numbers are not given out again
    /// while any later row is there.
    pub async fn delete(&self, index: Vec<u8>) -> Completion<u64> {
        self.committer.submit(Sync::Durable, move |transaction| delete(transaction, &index)).await
    }

    /// The rows with this index, oldest first, each with its log sequence number. Blocks on the disk.
    pub fn rows(&self, index: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, LoadError> {
        let database = |source: redb::Error| LoadError::Database { file: FILE, source: Box::new(source) };
        let mut bytes = 0;
        let mut found = Vec::new();
        let read = || -> Result<bool, redb::Error> {
            let transaction = self.database.begin_read()?;
            let (rows, numbers) = (transaction.open_table(ROWS)?, transaction.open_table(INDEX)?);
            for entry in numbers.range((index, 0)..=(index, u64::MAX))? {
                let number = entry?.0.value().1;
                let row = rows.get(number)?.ok_or_else(|| {
                    redb::Error::Corrupted(format!("the index names row {number}, which is not there"))
                })?;
                bytes += row.value().len();
                if bytes > LOAD_BYTES_MAX {
                    return Ok(false);
                }
                found.push((number, row.value().to_vec()));
            }
            Ok(true)
        };
        let mut read = read;
        match read().map_err(database)? {
            true => Ok(found),
            false => Err(LoadError::TooMuch { file: FILE, bytes_max: LOAD_BYTES_MAX }),
        }
    }

    /// The indexes that have rows, in order. Blocks on the disk.
    pub fn indexes(&self) -> Result<Vec<Vec<u8>>, LoadError> {
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let numbers = self.database.begin_read()?.open_table(INDEX)?;
            let mut found: Vec<Vec<u8>> = Vec::new();
            loop {
                // The next index is behind every number of the last one.
                let next = match found.last() {
                    None => numbers.range::<(&[u8], u64)>(..)?.next(),
                    Some(last) => numbers
                        .range((std::ops::Bound::Excluded((last.as_slice(), u64::MAX)), std::ops::Bound::Unbounded))?
                        .next(),
                };
                match next.transpose()? {
                    Some(entry) => found.push(entry.0.value().0.to_vec()),
                    None => return Ok(found),
                }
            }
        };
        read().map_err(|source| LoadError::Database { file: FILE, source: Box::new(source) })
    }
}

fn append(transaction: &WriteTransaction, appended: &[LogRow]) -> Result<u64, redb::Error> {
    let mut rows = transaction.open_table(ROWS)?;
    let mut index = transaction.open_table(INDEX)?;
    let first = redb::ReadableTable::last(&rows)?.map_or(1, |(number, _)| number.value() + 1);
    for (number, row) in (first..).zip(appended) {
        rows.insert(number, row.value.as_slice())?;
        index.insert((row.index.as_slice(), number), ())?;
    }
    Ok(first)
}

fn delete(transaction: &WriteTransaction, deleted: &[u8]) -> Result<u64, redb::Error> {
    let mut rows = transaction.open_table(ROWS)?;
    let mut index = transaction.open_table(INDEX)?;
    let mut count = 0;
    for entry in index.extract_from_if((deleted, 0)..=(deleted, u64::MAX), |_, ()| true)? {
        let number = entry?.0.value().1;
        rows.remove(number)?;
        count += 1;
    }
    Ok(count)
}

fn make_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(ROWS)?;
    transaction.open_table(INDEX)?;
    Ok(())
}

const FILE: &str = "log.redb";
const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const INDEX: TableDefinition<'_, (&[u8], u64), ()> = TableDefinition::new("index");
/// What one placement group may bring into memory at a start.
const LOAD_BYTES_MAX: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::super::testing::{Disk, session_log};
    use super::*;

    #[tokio::test]
    async fn rows_come_back_by_index_in_the_order_of_their_numbers() {
        let (log, thread) = session_log(&Disk::default());
        assert_eq!(log.append(vec![row("a", "1"), row("b", "2"), row("a", "3")]).await.await.unwrap(), 1);
        assert_eq!(log.append(vec![row("ab", "4"), row("a", "5")]).await.await.unwrap(), 4);
        assert_eq!(log.rows(b"a").unwrap(), [(1, b"1".to_vec()), (3, b"3".to_vec()), (5, b"5".to_vec())]);
        assert_eq!(log.rows(b"b").unwrap(), [(2, b"2".to_vec())]);
        assert_eq!(log.rows(b"c").unwrap(), []);
        assert_eq!(log.indexes().unwrap(), [b"a".to_vec(), b"ab".to_vec(), b"b".to_vec()]);
        thread.close().await;
    }

    #[tokio::test]
    async fn what_is_deleted_is_gone_after_a_crash_and_nothing_else_is() {
        let disk = Disk::default();
        let (log, thread) = session_log(&disk);
        log.append(vec![row("a", "1"), row("b", "2"), row("a", "3"), row("ab", "4")]).await.await.unwrap();
        assert_eq!(log.delete(b"a".to_vec()).await.await.unwrap(), 2);
        assert_eq!(log.delete(b"a".to_vec()).await.await.unwrap(), 0);
        thread.close().await;
        drop(log);
        let (log, thread) = session_log(&disk.crashed(0));
        assert_eq!(log.indexes().unwrap(), [b"ab".to_vec(), b"b".to_vec()]);
        assert_eq!(log.append(vec![row("a", "5")]).await.await.unwrap(), 5);
        assert_eq!(log.rows(b"a").unwrap(), [(5, b"5".to_vec())]);
        thread.close().await;
    }

    #[tokio::test]
    async fn numbers_go_on_after_a_restart() {
        let disk = Disk::default();
        let (log, thread) = session_log(&disk);
        log.append(vec![row("a", "1"), row("a", "2")]).await.await.unwrap();
        thread.close().await;
        drop(log);
        let (log, thread) = session_log(&disk.crashed(0));
        assert_eq!(log.append(vec![row("a", "3")]).await.await.unwrap(), 3);
        assert_eq!(log.rows(b"a").unwrap().len(), 3);
        thread.close().await;
    }

    #[tokio::test]
    async fn a_closed_log_refuses() {
        let (log, thread) = session_log(&Disk::default());
        thread.close().await;
        let refused = log.append(vec![row("a", "1")]).await.await;
        assert!(matches!(refused, Err(super::super::CommitError::Closed)), "{refused:?}");
    }

    fn row(index: &str, value: &str) -> LogRow {
        LogRow { index: index.into(), value: value.into() }
    }
}
