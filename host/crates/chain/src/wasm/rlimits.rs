//! The limits that the compiling process gives itself, so that what it compiles cannot take the machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, Signal};

/// Seconds of a processor for one component: the largest that are known, with a whole language inside, take 20.
pub(super) const CPU_SECONDS: u64 = 120;
/// From the signal that says so until it is ended, if that did not end it.
const CPU_SECONDS_MORE: u64 = 5;
/// Memory that no component needs, wherever it is.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// The limit where the system does not say what is left.
const MEMORY_BYTES_UNKNOWN: u64 = 1 << 30;
/// What the program itself maps where the system does not say: its code and libraries.
const MAPPED_BYTES_UNKNOWN: u64 = 512 << 20;
/// The system takes from this process first.
const OOM_SCORE: &str = "1000";
/// A little behind the stream, and not so far that a busy machine never compiles.
const NICENESS: i32 = 5;
const PAGE_BYTES: u64 = 4096;

/// Limits this process, before it has read anything that a stranger wrote.
pub(super) fn limit() -> io::Result<()> {
    // Without /proc, or where it is read-only, the other limits still hold.
    drop(fs::write("/proc/self/oom_score_adj", OOM_SCORE));
    // Ends with the host. Elsewhere than on Linux the limit of its time ends it.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let _ = rustix::process::nice(NICENESS);
    let memory = memory_left().unwrap_or(2 * MEMORY_BYTES_UNKNOWN) / 2;
    let mapped = mapped_bytes().unwrap_or(MAPPED_BYTES_UNKNOWN);
    let limits = [
        (Resource::As, mapped.saturating_add(memory.min(MEMORY_BYTES_MAX))),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Core, 0),
        // It writes to pipes only.
        (Resource::Fsize, 0),
    ];
    for (resource, limit) in limits {
        // A service may have less already.
        let before = rustix::process::getrlimit(resource);
        let limit = before.maximum.map_or(limit, |maximum| maximum.min(limit));
        let limit = before.current.map_or(limit, |current| current.min(limit));
        // The host reads from the signal why it ended.
        let maximum = if resource == Resource::Cpu { limit + CPU_SECONDS_MORE } else { limit };
        let maximum = before.maximum.map_or(maximum, |before| before.min(maximum));
        let limit = Rlimit { current: Some(limit), maximum: Some(maximum) };
        rustix::process::setrlimit(resource, limit)?;
    }
    Ok(())
}

/// Bytes that the machine or the tightest control group has left; `None` if neither says.
fn memory_left() -> Option<u64> {
    let of_machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let folders = folders(&groups).into_iter();
    folders.filter_map(|folder| left_in(&folder)).chain(of_machine).min()
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The folders of the control groups that count this process's memory, of both versions. A container may show
/// its own group as the root, or name one that is not there.
fn folders(groups: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            _ if controllers.split(',').any(|one| one == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        let whole = Path::new(root).join(path.trim_start_matches('/'));
        folders
            .extend(whole.ancestors().take_while(|one| one.starts_with(root)).map(PathBuf::from));
    }
    folders
}

/// What a group has left. Pages of files that nobody used lately are given back before anything is refused.
fn left_in(folder: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let number = |names: [&str; 2]| -> Option<u64> {
        let text = names.into_iter().find_map(read)?;
        text.trim().parse().ok()
    };
    // Version 2 says "max" where there is no limit, version 1 a number larger than any memory.
    let limit = number(["memory.max", "memory.limit_in_bytes"])?;
    let used = number(["memory.current", "memory.usage_in_bytes"])?;
    let stat = read("memory.stat").unwrap_or_default();
    let reclaimable = stat
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| matches!(*name, "total_inactive_file" | "inactive_file"))
        .and_then(|(_, bytes)| bytes.trim().parse::<u64>().ok());
    let used = used.saturating_sub(reclaimable.unwrap_or(0));
    Some(limit.saturating_sub(used))
}

/// What this process has mapped by now.
fn mapped_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().next()?.parse().ok()?;
    pages.checked_mul(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_its_own_limit_and_those_above_it() {
        let found = folders("0::/system.slice/audit.service\n");
        let expected = [
            "/sys/fs/cgroup/system.slice/audit.service",
            "/sys/fs/cgroup/system.slice",
            "/sys/fs/cgroup",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
        let found = folders("5:cpu,cpuacct:/a\n4:memory:/docker/1\nnonsense\n");
        let expected =
            ["/docker/1", "/docker", ""].map(|path| format!("/sys/fs/cgroup/memory{path}"));
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn what_is_left_does_not_count_pages_that_can_be_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(left_in(folder.path()), None);
        write("memory.current", "900\n");
        write("memory.max", "max\n");
        assert_eq!(left_in(folder.path()), None);
        write("memory.max", "1000\n");
        assert_eq!(left_in(folder.path()), Some(100));
        write("memory.stat", "anon 1\ninactive_file 300\nactive_file 5\n");
        assert_eq!(left_in(folder.path()), Some(400));
        write("memory.current", "2000\n");
        assert_eq!(left_in(folder.path()), Some(0));
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   4 kB\n"), Some(4096));
        assert!(memory_left().is_some_and(|left| left > 0), "this machine does not say");
    }
}
