//! What this process is and takes.

use std::io;
use std::time::Instant;

use serde::Serialize;

/// The part of a node's status that is about its process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessStatus {
    /// Version of the program.
    pub version: &'static str,
    /// Process id.
    pub pid: u32,
    /// Milliseconds since its start.
    pub uptime_ms: u64,
    /// Bytes of memory that are resident; nothing where the system does not say.
    pub memory_rss_bytes: Option<u64>,
}

/// Why the memory in use is not known.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// There is no such file: not Linux, or `/proc` is not mounted.
    #[error("read {STATUS_FILE}")]
    Read(#[source] io::Error),
    /// The file has no line `VmRSS: N kB`.
    #[error("find VmRSS in {STATUS_FILE}")]
    NoSuchLine,
}

impl ProcessStatus {
    /// The status of this process, which began at `started`.
    pub fn read(started: Instant) -> Self {
        let memory_rss_bytes = rss_bytes().inspect_err(|error| tracing::debug!(%error, "memory in use is not known"));
        Self {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            uptime_ms: super::told::whole_milliseconds(started.elapsed()),
            memory_rss_bytes: memory_rss_bytes.ok(),
        }
    }
}

/// Bytes of this process's memory that are resident, as the kernel counts them (`VmRSS` in `proc_pid_status(5)`).
pub fn rss_bytes() -> Result<u64, MemoryError> {
    let status = std::fs::read_to_string(STATUS_FILE).map_err(MemoryError::Read)?;
    rss_in(&status).ok_or(MemoryError::NoSuchLine)
}

fn rss_in(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

const STATUS_FILE: &str = "/proc/self/status";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_memory_is_read_in_bytes() {
        assert_eq!(rss_in("Name:\thedgerow\nVmHWM:\t   60000 kB\nVmRSS:\t   40960 kB\n"), Some(40 << 20));
        assert_eq!(rss_in("VmRSS:\t40960"), None);
        assert_eq!(rss_in(""), None);
    }

    #[test]
    fn memory_that_is_touched_is_counted() {
        let before = rss_bytes().unwrap();
        let touched = vec![1_u8; 64 << 20];
        let after = rss_bytes().unwrap();
        assert!(after >= before + (48 << 20), "{before} then {after} with {} bytes more", touched.len());
    }
}
