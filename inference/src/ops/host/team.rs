//! The threads that share the work of one operator, and until when they may.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// Work below which sharing costs more than it saves, in multiply-adds: a thread is woken within some
/// five microseconds, in which one core does about so many.
const SHARED_WORK_MIN: usize = 1 << 18;
/// Work from which the deadline is looked at between pieces: some ten milliseconds without vectors.
const ASKED_WORK_MIN: usize = 1 << 24;

/// How the work of a kernel is shared. Halves of it are given away, never parts of a sum, so that how
/// many threads there are changes no bit.
#[derive(Debug)]
pub(crate) struct Team {
    threads: usize,
    deadline: Option<Instant>,
    is_over: AtomicBool,
}

impl Team {
    /// More than one thread needs a rayon pool in which the caller runs.
    pub(crate) fn new(threads: usize, deadline: Option<Instant>) -> Self {
        Self { threads, deadline, is_over: AtomicBool::new(false) }
    }

    /// One thread of these, with the same deadline.
    pub(crate) fn alone(&self) -> Self {
        Self::new(1, self.deadline)
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Parts into which so much work is worth splitting.
    pub(crate) fn parts(&self, work: usize) -> usize {
        if work < SHARED_WORK_MIN { 1 } else { self.threads }
    }

    /// Both, at the same time where there are threads.
    pub(crate) fn both(&self, left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
        if self.threads > 1 {
            rayon::join(left, right);
        } else {
            left();
            right();
        }
    }

    /// Whether the deadline has passed. Kernels ask before each block of rows and leave the rest undone;
    /// the executor then asks once more and drops what was made.
    pub(crate) fn is_over(&self) -> bool {
        let Some(deadline) = self.deadline else { return false };
        if !self.is_over.load(Ordering::Relaxed) && Instant::now() >= deadline {
            self.is_over.store(true, Ordering::Relaxed);
        }
        self.is_over.load(Ordering::Relaxed)
    }

    /// Whom to ask about the deadline in the middle of so much work, if it is much.
    pub(crate) fn asks(&self, work: usize) -> Option<&Self> {
        (work >= ASKED_WORK_MIN).then_some(self)
    }

    /// Gives each of the equal pieces of `whole` to `each`, with its number.
    pub(crate) fn pieces<T: Send>(
        &self,
        whole: &mut [T],
        piece: usize,
        work: usize,
        each: &(impl Fn(usize, &mut [T]) + Sync),
    ) {
        self.shares(whole, piece, &mut [], work, &|first, part, _| {
            for (at, part) in part.chunks_mut(piece).enumerate() {
                if self.asks(work).is_some_and(Self::is_over) {
                    return;
                }
                each(first + at, part);
            }
        });
    }

    /// Cuts `whole` between pieces into a share for each thread, and gives each share to `each` with the
    /// number of its first piece and an equal part of `scratch`.
    pub(crate) fn shares<T: Send>(
        &self,
        whole: &mut [T],
        piece: usize,
        scratch: &mut [f32],
        work: usize,
        each: &(impl Fn(usize, &mut [T], &mut [f32]) + Sync),
    ) {
        if piece == 0 || whole.is_empty() {
            return;
        }
        let parts = self.parts(work).min(whole.len().div_ceil(piece));
        self.halved(Share { whole, piece, first: 0, scratch, parts }, each);
    }

    fn halved<T: Send>(&self, share: Share<'_, T>, each: &(impl Fn(usize, &mut [T], &mut [f32]) + Sync)) {
        let Share { whole, piece, first, scratch, parts } = share;
        if parts <= 1 {
            each(first, whole, scratch);
            return;
        }
        let count = whole.len().div_ceil(piece);
        let (more, fewer) = (parts.div_ceil(2), parts / 2);
        let left = (count * more).div_ceil(parts);
        let (front, back) = whole.split_at_mut(left * piece);
        let (near, far) = scratch.split_at_mut(scratch.len() / parts * more);
        let front = Share { whole: front, piece, first, scratch: near, parts: more };
        let back = Share { whole: back, piece, first: first + left, scratch: far, parts: fewer };
        self.both(|| self.halved(front, each), || self.halved(back, each));
    }
}

/// Pieces that some threads share.
struct Share<'a, T> {
    whole: &'a mut [T],
    piece: usize,
    /// Number of the first piece.
    first: usize,
    scratch: &'a mut [f32],
    parts: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_given_once_whatever_the_number_of_threads() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for threads in 1..=5 {
            let team = Team::new(threads, None);
            let mut whole = [0; 23];
            pool.install(|| {
                team.pieces(&mut whole, 4, SHARED_WORK_MIN, &|at, part| part.iter_mut().for_each(|x| *x += at + 1));
            });
            let expected: Vec<_> = (0..23).map(|at| at / 4 + 1).collect();
            assert_eq!(whole.to_vec(), expected, "{threads} threads");
        }
        Team::new(1, None).pieces(&mut [0; 3], 0, 1, &|_, _| unreachable!("nothing to give"));
    }

    #[test]
    fn nothing_more_is_begun_after_the_deadline() {
        let team = Team::new(1, Some(Instant::now()));
        assert!(team.is_over());
        team.pieces(&mut [0; 8], 1, ASKED_WORK_MIN, &|_, _| unreachable!("the time is over"));
    }
}
