//! How much memory is left for models and sessions.

use std::fs;
use std::path::Path;

/// MiB that this process could still take: what the system has available, and no more than its control group allows. 0 where
/// neither can be read (not Linux).
pub fn free_memory_mib() -> u32 {
    let available = fs::read_to_string(MEMINFO).ok().and_then(|text| available_in(&text));
    let mib = match (available, group_spare_bytes(Path::new(GROUP))) {
        (Some(system), Some(group)) => system.min(group),
        (system, group) => system.or(group).unwrap_or(0),
    } >> 20;
    u32::try_from(mib).unwrap_or(u32::MAX)
}

/// `MemAvailable` of `proc_meminfo(5)`, in bytes.
fn available_in(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What a control group (version 2) may still take; nothing where it has no limit.
fn group_spare_bytes(group: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    // Without a limit the file says `max`.
    Some(read("memory.max")?.saturating_sub(read("memory.current")?))
}

const MEMINFO: &str = "/proc/meminfo";
/// In a container the group of the process is the root of what it sees.
const GROUP: &str = "/sys/fs/cgroup";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_available_memory_is_read_in_bytes() {
        let meminfo = "MemTotal:       24683712 kB\nMemFree:         1000 kB\nMemAvailable:   2097152 kB\n";
        assert_eq!(available_in(meminfo), Some(2 << 30));
        assert_eq!(available_in("MemTotal: 1 kB\n"), None);
        assert!(free_memory_mib() > 0, "this machine has memory to spare, or the test would not run");
    }

    #[test]
    fn a_group_without_a_limit_limits_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(group_spare_bytes(folder.path()), None);
        write("memory.max", "max\n");
        write("memory.current", "1000\n");
        assert_eq!(group_spare_bytes(folder.path()), None);
        write("memory.max", "5000\n");
        assert_eq!(group_spare_bytes(folder.path()), Some(4000));
        write("memory.current", "6000\n");
        assert_eq!(group_spare_bytes(folder.path()), Some(0), "it may stand above a limit that was lowered");
    }
}
