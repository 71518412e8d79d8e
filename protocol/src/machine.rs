//! The shape of every state machine: inputs in, outputs pushed, one deadline.
//!
//! A driver owns a machine and loops: take the next input (a message, a completion, a command, or
//! a tick when the deadline is reached), read the clocks *after* the input was dequeued, call
//! [`Machine::step`], carry out the outputs in their order, and sleep until [`Machine::next_deadline`]. A machine asks
//! for nothing else: no clock, no socket, no disk, no global randomness. A run is a pure function of its inputs.

use crate::time::{Mono, Wall};
use rand_chacha::ChaCha8Rng;
use std::fmt;

/// What a step may use: the two clock readings, the node's own random stream, and the place for outputs.
pub struct Cx<'a, O> {
    /// The local monotonic clock, read after this input was dequeued; never earlier than in the step before.
    pub now: Mono,
    /// The wall clock at the same moment.
    pub wall: Wall,
    /// The machine's random stream, seeded by the driver: from the operating system, or from the seed of a simulation.
    pub rng: &'a mut ChaCha8Rng,
    /// Outputs in the order in which they must be carried out.
    pub out: &'a mut Vec<O>,
}

impl<O> fmt::Debug for Cx<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx")
            .field("now", &self.now)
            .field("wall", &self.wall)
            .field("outputs", &self.out.len())
            .finish()
    }
}

/// A value that decides; see the module for how it is driven.
pub trait Machine {
    /// What happens to the machine.
    type Input;
    /// What the machine wants done.
    type Output;

    /// Takes one input and pushes what follows from it. Outputs are carried out in order.
    fn step(&mut self, cx: &mut Cx<'_, Self::Output>, input: Self::Input);

    /// When the next tick is due; `None` when only an input can change anything. A tick that comes early does no harm.
    fn next_deadline(&self) -> Option<Mono>;

    /// Feeds everything that later decisions depend on, so that two runs of one seed can be compared as they go.
    fn digest(&self, hasher: &mut blake3::Hasher);
}
