//! What a thread that runs models keeps between them: memory, and threads that help it.

use aligned_vec::AVec;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Memory beyond this is given back after a run: one large model that is rarely asked should not hold
/// it for ever. A guess: four times what models of some megabytes need.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Runs one model at a time. Its memory serves every model, and grows to the largest.
#[derive(Debug)]
pub struct Lane {
    pool: Option<ThreadPool>,
    threads: usize,
    arena: AVec<u8>,
}

/// The system gave no threads; ask again when the machine is less loaded, or for fewer.
#[derive(Debug, thiserror::Error)]
#[error("start threads that share the work of a model")]
pub struct LaneError(#[source] ThreadPoolBuildError);

impl Lane {
    /// Computes on the calling thread alone.
    pub fn single() -> Self {
        Self { pool: None, threads: 1, arena: AVec::new(64) }
    }

    /// Computes on `threads` threads of its own, named `NAME-0` and so on.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn with_threads(threads: usize, name: &str) -> Result<Self, LaneError> {
        if threads < 2 {
            return Ok(Self::single());
        }
        let name = name.to_owned();
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(move |at| format!("{name}-{at}"));
        let pool = pool.build().map_err(LaneError)?;
        Ok(Self { pool: Some(pool), threads, arena: AVec::new(64) })
    }

    /// Threads that share the work of a run.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs work among the threads, with memory of at least so many bytes.
    pub(super) fn enter<R: Send>(&mut self, bytes: usize, work: impl FnOnce(&mut [u8]) -> R + Send) -> R {
        if self.arena.len() < bytes {
            // What is there need not be copied.
            self.arena = AVec::new(64);
            self.arena.resize(bytes, 0);
        }
        let arena = &mut self.arena[..];
        let result = match &self.pool {
            Some(pool) => pool.install(|| work(arena)),
            None => work(arena),
        };
        if self.arena.len() > KEPT_BYTES_MAX {
            self.arena = AVec::new(64);
        }
        result
    }
}

/// How many models run at the same time, and on how many threads each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// Models at the same time, at least one.
    pub count: usize,
    /// Threads that share the work of one.
    pub threads: usize,
}

impl Lanes {
    /// Lanes for the cores that this process may use, of which one is left to everything else.
    pub fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::of_cores(cores.saturating_sub(1).max(1))
    }

    /// Lanes for so many cores. From four on, two share a model: a request is answered sooner, and some
    /// of the cores' throughput is lost to waiting. A guess; models of the mesh are small.
    pub fn of_cores(cores: usize) -> Self {
        let threads = if cores < 4 { 1 } else { 2 };
        Self { count: (cores / threads).max(1), threads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_never_take_more_cores_than_there_are() {
        for cores in 0..=64 {
            let lanes = Lanes::of_cores(cores);
            assert!(lanes.count >= 1 && lanes.count * lanes.threads <= cores.max(1), "{cores}: {lanes:?}");
        }
    }
}
