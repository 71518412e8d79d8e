//! Worker threads that run models, behind one bounded queue.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hedgerow_inference::exec::{Lane, Lanes, Model, RunError};
use hedgerow_inference::tensor::Tensor;
use thiserror::Error;
use tokio::sync::oneshot;

/// Requests that may wait. A guess: at a millisecond each, a full queue is answered within a client's patience.
const QUEUE_BOUND: usize = 256;

/// The threads and their queue. Clones share them; the threads end with the last clone.
#[derive(Clone, Debug)]
pub struct Pool {
    jobs: SyncSender<Job>,
    /// Requests that wait or run.
    depth: Arc<AtomicU32>,
}

/// What a model made of a request.
#[derive(Debug)]
pub struct Ran {
    /// The outputs by name.
    pub outputs: BTreeMap<String, Tensor>,
    /// Time in the queue.
    pub queued: Duration,
    /// Time in the model.
    pub computed: Duration,
}

/// Why a request was not run, or not to its end. The model can take the next request.
#[derive(Debug, Error)]
pub enum ExecError {
    /// The queue is full; ask another node or later.
    #[error("admit a request beside {QUEUE_BOUND} others")]
    Overloaded,
    /// Its time was over before a thread was free, or before the model was done.
    #[error("answer a request before its deadline")]
    TooLate,
    /// The model refused or failed.
    #[error("run the model")]
    Run(#[source] RunError),
    /// The model panicked outside of its own boundary; its message went to the panic hook.
    #[error("run the model: it panicked")]
    Panicked,
    /// The node is stopping.
    #[error("run a request on a node that stops")]
    Stopping,
}

/// The system gave no thread to run models on; start the node when the machine is less loaded.
#[derive(Debug, Error)]
pub enum PoolStartError {
    /// None that takes requests.
    #[error("start a thread for models")]
    Worker(#[source] std::io::Error),
    /// None that helps such a thread.
    #[error("start threads that share the work of a model")]
    Lane(#[source] hedgerow_inference::exec::LaneError),
}

struct Job {
    model: Arc<Model>,
    inputs: BTreeMap<String, Tensor>,
    queued: Instant,
    deadline: Instant,
    reply: oneshot::Sender<Result<Ran, ExecError>>,
}

impl Pool {
    /// Starts the threads of the lanes.
    pub fn start(lanes: Lanes) -> Result<Self, PoolStartError> {
        let (jobs, queue) = sync_channel(QUEUE_BOUND);
        let queue = Arc::new(Mutex::new(queue));
        let depth = Arc::new(AtomicU32::new(0));
        for number in 0..lanes.count.max(1) {
            let (queue, depth) = (queue.clone(), depth.clone());
            let name = format!("model-{number}");
            let mut lane = Lane::with_threads(lanes.threads, &name).map_err(PoolStartError::Lane)?;
            std::thread::Builder::new()
                .name(name)
                .spawn(move || work(&queue, &depth, &mut lane))
                .map_err(PoolStartError::Worker)?;
        }
        Ok(Self { jobs, depth })
    }

    /// Runs a request on one of the threads.
    pub async fn run(
        &self,
        model: Arc<Model>,
        inputs: BTreeMap<String, Tensor>,
        deadline: Instant,
    ) -> Result<Ran, ExecError> {
        let (reply, answer) = oneshot::channel();
        self.depth.fetch_add(1, Ordering::Relaxed);
        let job = Job { model, inputs, queued: Instant::now(), deadline, reply };
        if let Err(refused) = self.jobs.try_send(job) {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            return Err(match refused {
                TrySendError::Full(_) => ExecError::Overloaded,
                TrySendError::Disconnected(_) => ExecError::Stopping,
            });
        }
        answer.await.unwrap_or(Err(ExecError::Stopping))
    }

    /// Requests that wait or run at this moment.
    pub fn depth(&self) -> u32 {
        self.depth.load(Ordering::Relaxed)
    }
}

fn work(queue: &Mutex<Receiver<Job>>, depth: &AtomicU32, lane: &mut Lane) {
    loop {
        // The lock is held while waiting, which is what hands jobs to the threads one by one.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { model, inputs, queued, deadline, reply }) = job else { return };
        let outcome = if reply.is_closed() {
            Err(ExecError::TooLate)
        } else {
            // A thread that ended here would be missed by every later request.
            let run = AssertUnwindSafe(|| run(&model, lane, inputs, queued, deadline));
            catch_unwind(run).unwrap_or(Err(ExecError::Panicked))
        };
        // The last use of a model that was let go meanwhile frees it here, before anybody is told.
        drop(model);
        depth.fetch_sub(1, Ordering::Relaxed);
        if reply.send(outcome).is_err() {
            tracing::debug!("a model answered after its asker had left");
        }
    }
}

fn run(
    model: &Model,
    lane: &mut Lane,
    inputs: BTreeMap<String, Tensor>,
    queued: Instant,
    deadline: Instant,
) -> Result<Ran, ExecError> {
    let started = Instant::now();
    if started >= deadline {
        return Err(ExecError::TooLate);
    }
    let outputs = model.run_in(lane, inputs, Some(deadline)).map_err(|error| match error {
        RunError::Deadline { .. } => ExecError::TooLate,
        error => ExecError::Run(error),
    })?;
    Ok(Ran { outputs, queued: started - queued, computed: started.elapsed() })
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
