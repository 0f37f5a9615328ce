//! How long processes have had a core, as Linux counts it.

use anyhow::Context as _;
use std::time::Duration;

/// The kernel counts in hundredths of a second in `/proc`, whatever its own clock does (`USER_HZ`).
const TICKS_A_SECOND: u64 = 100;

/// Of a process, by its id or `self`: in its own code and in the kernel on its behalf.
pub fn of_process(id: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    sum(fields(&stat)?.skip(11).take(2))
}

/// Of a process and all that it has started, also what has ended meanwhile.
pub fn of_family(id: &str) -> anyhow::Result<Duration> {
    // Those who have ended are counted by the parent.
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let mut all = sum(fields(&stat)?.skip(11).take(4))?;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        // Not a process, or one that has just ended.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        if fields(&stat)?.nth(1) == Some(id) {
            all += sum(fields(&stat)?.skip(11).take(2))?;
        }
    }
    Ok(all)
}

/// From the state on: before it is the name, which is in brackets and may hold anything. The parent is the second; the
/// times are the twelfth and thirteenth, and those of children the two after.
fn fields(stat: &str) -> anyhow::Result<impl Iterator<Item = &str>> {
    Ok(stat.rsplit_once(") ").context("no stat")?.1.split(' '))
}

/// Of the whole machine: of all processes, and what the kernel does on nobody's behalf. Whoever else
/// uses the machine is in it.
pub fn of_machine() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let counts: Vec<&str> = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).collect();
    // Neither idle, nor waiting for a disk, nor what the host took (3, 4 and 7).
    let busy = [0, 1, 2, 5, 6].iter().map(|n| counts.get(*n).copied().unwrap_or_default());
    sum(busy)
}

fn sum<'a>(ticks: impl Iterator<Item = &'a str>) -> anyhow::Result<Duration> {
    let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}
