//! Every state that three voters, two of them candidates, can reach within bounds, explored breadth first by `stateright`.
//!
//! What is explored is the machine itself: each state holds three [`Cell`](super::Cell)s, and a step calls the one of a
//! node as the core does. Letters, clocks, disks and crashes are the explorer's:
//!
//! - *Time* goes on in ticks of which a lease lasts two. Clocks are wrong by all of the bound on rates, which is 25 % so
//!   that slow and fast ones stay on one grid: a slow holder stops and a fast voter forgets in the same tick. A node that
//!   is due may look at its clock at any moment of a tick, or not at all.
//! - *Letters* arrive in any order or never; so many as [`Bounds`](setting::Bounds) says may be late, by as many ticks as
//!   there are, and so many arrive twice. Where `notes` is off, refusals and releases are always lost.
//! - *Writes* are durable at once, or what is not yet durable is lost in a crash after which the node starts again; with a
//!   slow disk anything may happen in between.
//! - *Openings* ([`scene`]) are made by hand and lead to where an exploration begins.
//!
//! Signatures take no time. What was decided spreads from disk to disk at any moment, instead of by gossip. No hints about
//! leases are heard, so that nobody waits for one that it could know of. Every placement is fit; a change of voters is if
//! the rules allow it. Clocks neither jump nor come under suspicion.
//!
//! States are compared by [`mark`]: times relative to the node's clock, numbers of writes relative to the last.
//!
//! `cargo test -p hedgerow-protocol --lib cell::model` explores 347,532 states of the sound machine in eighteen
//! explorations, and for each of the ten defects of a cell as many as it takes to break a property: 27 s of one core without
//! optimisation. `all_of_it_further --ignored` explores 3,424,413 states in ten: five minutes. With `--nocapture` each
//! prints its bounds and counts, and the steps that lead to what a defect breaks.

mod check;
mod defect_tests;
mod history;
mod letter;
mod mark;
mod scene;
mod setting;
mod sound_tests;
mod turn;
mod world;
