use std::sync::Mutex;
use std::task::Wake;

use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::super::testing::Disk;
use super::*;

/// Notes when a completion wakes who waits for it.
struct Noted {
    number: usize,
    order: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.order.lock().unwrap().push(self.number);
    }
}

const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("numbers");

#[tokio::test]
async fn requests_that_wait_for_one_sync_share_the_next_and_complete_in_order() {
    let disk = Disk::default();
    let database = Arc::new(disk.database()); // held to the end, because closing it syncs once more
    let (committer, thread) = Committer::start("test", Arc::clone(&database)).unwrap();
    let before = disk.syncs();
    disk.hold(true);
    let mut pending = Vec::new();
    for number in 0..100 {
        let sync = if number % 3 == 1 { Sync::Deferred } else { Sync::Durable };
        pending.push(put(&committer, sync, number).await);
        if number == 0 {
            let disk = disk.clone();
            tokio::task::spawn_blocking(move || disk.wait_for_sync(before + 1)).await.unwrap();
        }
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    // The runtime's budget would make some of these polls wake at once.
    tokio::task::coop::unconstrained(async {
        for (number, completion) in pending.iter_mut().enumerate() {
            let waker = Arc::new(Noted { number, order: Arc::clone(&order) }).into();
            let polled = Pin::new(completion).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending(), "{number} is done before the disk says so");
        }
    })
    .await;
    disk.hold(false);
    thread.close().await;
    assert_eq!(disk.syncs() - before, 2, "the first alone, then all the others together");
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    for completion in pending {
        completion.await.unwrap();
    }
}

#[tokio::test]
async fn a_power_failure_loses_only_what_was_not_acknowledged() {
    for survivors in
        [0, u64::MAX, 0xaaaa_aaaa_aaaa_aaaa, 0x5555_5555_5555_5555, 0x0123_4567_89ab_cdef, 0xf0f0_1e1e_3c3c_8787]
    {
        let disk = Disk::default();
        let (committer, thread) = Committer::start("test", Arc::new(disk.database())).unwrap();
        for number in 0..20 {
            put(&committer, Sync::Durable, number).await.await.unwrap();
        }
        let before = disk.syncs();
        disk.hold(true);
        let unacknowledged = put(&committer, Sync::Durable, 20).await;
        let waiting = disk.clone();
        tokio::task::spawn_blocking(move || waiting.wait_for_sync(before + 1)).await.unwrap();
        let after = disk.crashed(survivors);

        let found = numbers(&after.database());
        let acknowledged: Vec<u64> = (0..20).collect();
        assert_eq!(found[..20], acknowledged[..], "survivors {survivors:#x}");
        assert!(found.len() <= 21, "survivors {survivors:#x}: {found:?}");
        disk.hold(false);
        unacknowledged.await.unwrap();
        thread.close().await;
    }
}

#[tokio::test]
async fn what_is_deferred_is_durable_with_the_next_durable_request() {
    let disk = Disk::default();
    let (committer, thread) = Committer::start("test", Arc::new(disk.database())).unwrap();
    put(&committer, Sync::Durable, 0).await.await.unwrap();
    let syncs = disk.syncs();
    put(&committer, Sync::Deferred, 1).await.await.unwrap();
    assert_eq!(disk.syncs(), syncs, "no fsync was waited for");
    assert_eq!(numbers(&disk.crashed(0).database()), [0]);
    put(&committer, Sync::Durable, 2).await.await.unwrap();
    assert_eq!(numbers(&disk.crashed(0).database()), [0, 1, 2]);
    thread.close().await;
}

#[tokio::test]
async fn after_a_failed_commit_nothing_is_taken_until_the_file_is_opened_again() {
    let disk = Disk::default();
    let (committer, thread) = Committer::start("test", Arc::new(disk.database())).unwrap();
    put(&committer, Sync::Durable, 0).await.await.unwrap();
    disk.fail();
    assert!(matches!(put(&committer, Sync::Durable, 1).await.await, Err(CommitError::Failed { file: "test", .. })));
    assert!(matches!(put(&committer, Sync::Deferred, 2).await.await, Err(CommitError::Refused { file: "test" })));
    thread.close().await;
    assert!(matches!(put(&committer, Sync::Durable, 3).await.await, Err(CommitError::Closed)));
    assert_eq!(numbers(&disk.crashed(0).database()), [0]);
}

#[tokio::test]
async fn a_request_that_fails_takes_its_group_with_it() {
    let disk = Disk::default();
    let (committer, thread) = Committer::start("test", Arc::new(disk.database())).unwrap();
    put(&committer, Sync::Durable, 0).await.await.unwrap();
    let refused: Completion = committer
        .submit(Sync::Durable, |transaction| {
            transaction.open_table(TABLE)?.insert(1, 1)?;
            Err(redb::Error::Corrupted("on purpose".into()))
        })
        .await;
    assert!(matches!(refused.await, Err(CommitError::Failed { .. })));
    thread.close().await;
    assert_eq!(numbers(&disk.crashed(u64::MAX).database()), [0]);
}

async fn put(committer: &Committer, sync: Sync, number: u64) -> Completion {
    committer
        .submit(sync, move |transaction| {
            transaction.open_table(TABLE)?.insert(number, number)?;
            Ok(())
        })
        .await
}

fn numbers(database: &Database) -> Vec<u64> {
    let table = database.begin_read().unwrap().open_table(TABLE).unwrap();
    table.iter().unwrap().map(|entry| entry.unwrap().0.value()).collect()
}
