//! Logs, counters and the status of this process.

mod counters;
mod logs;
mod process;

pub use counters::{COUNTERS_MAX, Counters, OVERFLOW_LABEL};
pub use logs::{LogError, start_logs};
pub use process::{MemoryError, ProcessStatus, rss_bytes};
