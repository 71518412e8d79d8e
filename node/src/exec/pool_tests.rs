//! Tests of the pool with a real model.

use super::super::testing::{model, payment};
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_request_is_run_and_counted_while_it_is_there() {
    let (pool, model) = (Pool::start(Lanes { count: 2, threads: 2 }).unwrap(), Arc::new(model()));
    let expected = model.run(payment()).unwrap();
    let ran = pool.run(model, payment(), Instant::now() + MINUTE).await.unwrap();
    assert_eq!(ran.outputs, expected);
    assert_eq!(pool.depth(), 0);
}

#[tokio::test]
async fn what_is_too_late_or_does_not_fit_is_refused_and_the_next_is_run() {
    let (pool, model) = (Pool::start(Lanes::of_cores(1)).unwrap(), Arc::new(model()));
    let late = pool.run(model.clone(), payment(), Instant::now()).await;
    assert!(matches!(late, Err(ExecError::TooLate)), "{late:?}");
    let empty = pool.run(model.clone(), BTreeMap::new(), Instant::now() + MINUTE).await;
    assert!(matches!(empty, Err(ExecError::Run(RunError::MissingInput { .. }))), "{empty:?}");
    assert_eq!(pool.run(model, payment(), Instant::now() + MINUTE).await.unwrap().outputs.len(), 1);
    assert_eq!(pool.depth(), 0);
}

/// A pool without threads is one whose threads are all busy.
#[tokio::test]
async fn a_full_queue_refuses_and_a_request_whose_asker_left_is_not_run() {
    let (jobs, queue) = sync_channel(1);
    let pool = Pool { jobs, depth: Arc::default() };
    let model = Arc::new(model());
    let mut waits = Box::pin(pool.run(model.clone(), payment(), Instant::now() + MINUTE));
    assert!(futures::poll!(waits.as_mut()).is_pending());
    let refused = pool.run(model.clone(), payment(), Instant::now() + MINUTE).await;
    assert!(matches!(refused, Err(ExecError::Overloaded)), "{refused:?}");
    assert_eq!(pool.depth(), 1);
    drop(waits);
    let depth = pool.depth.clone();
    drop(pool);
    work(&Mutex::new(queue), &depth, &mut Lane::single());
    assert_eq!((depth.load(Ordering::Relaxed), Arc::strong_count(&model)), (0, 1));
}
