//! Logs, counters and the status of this process.

mod clock;
mod counters;
mod logs;
mod process;
mod told;

pub use clock::{JumpDetector, WALL_JUMP_MAX, mono, wall};
pub use counters::{COUNTERS_MAX, Counters, OVERFLOW_LABEL};
pub use logs::{LogError, start_logs};
pub use process::{MemoryError, ProcessStatus, rss_bytes};
pub use told::{chain, milliseconds};
