//! Logs, events, counters and the status of this process.

mod clock;
mod conditions;
mod counters;
mod events;
mod happening;
mod logs;
mod power;
mod process;
mod ring;
mod spare;
mod told;
mod trace;

pub use clock::{behind, clocks, mono, raise_floor, system, wall};
pub use conditions::{Condition, Conditions, EXPIRY_NOTICE_S};
pub use counters::{COUNTERS_MAX, Counters, OVERFLOW_LABEL};
pub use events::{EVENTS_MAX, EventLog, Recorded};
pub use happening::{Happening, LinkChange, LinkSeen};
pub use logs::{LogError, start_logs};
pub use power::energy;
pub use process::{MemoryError, ProcessStatus, rss_bytes};
pub use ring::Batch;
pub use spare::free_memory_mib;
pub use told::{chain, milliseconds, whole_milliseconds};
pub use trace::{TRACE_BYTES, TraceContext, current_trace, traced};
