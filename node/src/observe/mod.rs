//! Logs, counters and the status of this process.
