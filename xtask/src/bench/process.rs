//! What a process takes: time, processor time, memory, as Linux shows them in `/proc`.

use std::fs;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::run;

/// How often a process is looked at: walls are so exact, and a last growth of its memory within this
/// time is missed. Its processor time is read after its end, and is exact to a tick.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Linux counts processor time for `/proc` in hundredths of a second, whatever the kernel's own clock.
const TICK: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    pub(super) wall: Duration,
    /// In user and kernel mode, of all threads.
    pub(super) cpu: Duration,
    pub(super) peak_rss_bytes: u64,
}

/// Runs to the end and measures it. After `limit` the process is killed, which is an error.
pub(super) fn measure(command: &mut Command, limit: Duration) -> Result<(ExitStatus, Usage)> {
    let line = run::shown(command);
    let begin = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let mut usage = Usage::default();
    // Nobody waits for the child before its last look, so that a dead one stays as a zombie: its
    // counters are then final.
    while let Some(look) = Look::at(&child) {
        usage.cpu = look.cpu;
        usage.wall = begin.elapsed();
        if look.is_dead {
            break;
        }
        usage.peak_rss_bytes = usage.peak_rss_bytes.max(peak_rss_bytes(&child));
        if usage.wall > limit {
            child.kill().with_context(|| format!("cannot stop `{line}`"))?;
            child.wait().with_context(|| format!("cannot wait for `{line}`"))?;
            bail!("`{line}` did not end within {limit:?}");
        }
        thread::sleep(LOOK_EVERY);
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{line}`"))?;
    Ok((status, usage))
}

/// `/proc/PID/stat`.
#[derive(Debug, PartialEq)]
struct Look {
    is_dead: bool,
    cpu: Duration,
}

impl Look {
    fn at(child: &Child) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?)
    }

    /// The fields of proc(5): 3 is the state, 14 and 15 are the ticks in user and kernel mode. The name
    /// of the program before them may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at - 3)?.parse::<u32>().ok();
        Some(Self { is_dead: *fields.first()? == "Z", cpu: TICK * (ticks(14)? + ticks(15)?) })
    }
}

/// `VmHWM`; 0 once the process is gone.
fn peak_rss_bytes(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_state_and_ticks_behind_any_name() {
        let stat = "7 (a) b (c) Z 1 7 7 0 -1 4 9 0 0 0 250 50 0 0 20 0 1 0 5 0 0";
        let expected = Look { is_dead: true, cpu: Duration::from_secs(3) };
        assert_eq!(Look::parse(stat), Some(expected));
        assert_eq!(Look::parse("7 (a) R 1"), None);
    }

    #[test]
    fn a_busy_process_has_used_its_time() {
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]);
        let (status, usage) = measure(&mut busy, Duration::from_mins(1)).unwrap();
        assert!(status.success() && usage.wall >= usage.cpu / 2, "{usage:?}");
    }
}
