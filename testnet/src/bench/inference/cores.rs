//! The cores that an engine is bound to, and what they are.

use std::fs;

use anyhow::Context as _;

/// So many of the cores on which this process may run, the last ones: the first serve most interrupts.
pub(super) fn last(count: usize) -> anyhow::Result<Vec<usize>> {
    let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let allowed = parsed(list.context("find the cores of this process")?.trim())?;
    let first = allowed.len().checked_sub(count).filter(|_| count > 0);
    let first =
        first.with_context(|| format!("use {count} threads: this process may run on {} cores", allowed.len()))?;
    Ok(allowed[first..].to_vec())
}

/// The processor's name.
pub(super) fn processor() -> anyhow::Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
    };
    let name = field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    // What decides about eight-bit products, and is not in the name of a virtual processor.
    let flags = field("flags").unwrap_or_default();
    let known = ["avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"];
    let known: Vec<_> = known.into_iter().filter(|known| flags.split(' ').any(|flag| flag == *known)).collect();
    Ok(format!("{name} ({})", known.join(" ")))
}

/// Tasks that wanted a core, averaged over the last minute.
pub(super) fn load() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("read /proc/loadavg")?;
    text.split(' ').next().unwrap_or_default().parse().context("understand /proc/loadavg")
}

/// `0-2,5` is 0, 1, 2 and 5.
fn parsed(list: &str) -> anyhow::Result<Vec<usize>> {
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cores.extend(first.parse::<usize>()?..=last.parse()?);
    }
    Ok(cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_is_read_as_the_kernel_writes_it() {
        assert_eq!(parsed("0-2,5,7-8").unwrap(), [0, 1, 2, 5, 7, 8]);
        assert!(parsed("").is_err());
    }

    #[test]
    fn nobody_is_bound_to_no_core_or_to_more_than_there_are() {
        assert!(last(0).is_err());
        assert!(last(100_000).is_err());
        assert_eq!(last(1).unwrap().len(), 1);
    }
}
