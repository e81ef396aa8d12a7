//! What the connections cost.

use std::fs;

/// The private memory of this process, in bytes; `None` where the system is not Linux.
pub(crate) fn memory() -> Option<usize> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? * 1024)
}
