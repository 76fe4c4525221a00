//! The lane: which process may commit for a group.
//!
//! A table property names the process that committed last for the group, and the number of that commit. Every commit
//! requires the property to be exactly as the process last wrote it, whatever the commit is about, and raises it. So once
//! another process has written it, whoever comes back from a pause cannot change anything any more: no rows, no offsets,
//! no state of detectors, no chain. Taking a lane over is therefore always safe; the lease only keeps two living
//! processes from taking turns.

use std::fmt;
use std::time::Duration;

use iceberg::table::Table;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::table::clock::now_ms;
use crate::table::names;

/// The value of a lane's property: `<instance>/<run>:<sequence>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneMark {
    pub(crate) instance: String,
    /// The id of one process.
    pub(crate) run: String,
    /// Raised by each commit; never restarts.
    pub(crate) sequence: u64,
}

impl fmt::Display for LaneMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.instance, self.run, self.sequence)
    }
}

/// No table gets here by commits. Past it two commits could have the same number, and the second would count as done.
const SEQUENCE_MAX: u64 = 1 << 62;

impl LaneMark {
    pub(crate) fn next(&self) -> Self {
        Self { sequence: self.sequence.saturating_add(1), ..self.clone() }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (holder, sequence) = text.rsplit_once(':')?;
        let (instance, run) = holder.rsplit_once('/')?;
        let sequence = sequence_of(sequence)?;
        Some(Self { instance: instance.to_owned(), run: run.to_owned(), sequence })
    }
}

/// The lane of a group in a table; `None` if no process has taken it yet.
pub(crate) fn lane_in(table: &Table, group: &str) -> Result<Option<LaneMark>, Error> {
    let property = names::lane_property(group);
    let Some(text) = table.metadata().properties().get(&property) else { return Ok(None) };
    let mark = LaneMark::parse(text).ok_or_else(|| Error::Damaged {
        what: "the table property",
        location: property,
        problem: format!("{text:?} is not INSTANCE/RUN:SEQUENCE"),
    })?;
    Ok(Some(mark))
}

/// The number of the newest epoch of the group whose dead letters are in their table.
pub(crate) fn done_in(dead_letters: &Table, group: &str) -> Result<Option<u64>, Error> {
    number_in(dead_letters, names::done_property(group))
}

/// The number of the newest epoch of the group that has dead letters.
pub(crate) fn letters_in(rows: &Table, group: &str) -> Result<Option<u64>, Error> {
    number_in(rows, names::letters_property(group))
}

fn number_in(table: &Table, property: String) -> Result<Option<u64>, Error> {
    let Some(text) = table.metadata().properties().get(&property) else { return Ok(None) };
    sequence_of(text).map(Some).ok_or_else(|| Error::Damaged {
        what: "the table property",
        location: property,
        problem: format!("{text:?} is not a number; it counts the commits of the group's lane"),
    })
}

fn sequence_of(text: &str) -> Option<u64> {
    text.parse().ok().filter(|sequence| *sequence <= SEQUENCE_MAX)
}

/// The process that holds a lane, so that another one on the same machine can tell whether it still lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) host: String,
    /// The boot of the machine, and the namespace in which the process id counts.
    space: String,
    pub(crate) pid: u32,
    /// When the process began, in the kernel's ticks: ids are used again.
    start: u64,
}

impl Holder {
    /// This process.
    pub(crate) fn this() -> Self {
        let pid = std::process::id();
        let start = start_of(pid).unwrap_or_default();
        Self { host: host_name(), space: space(), pid, start }
    }

    /// Whether the process has ended; `None` if that cannot be seen from here.
    pub(crate) fn has_ended(&self) -> Option<bool> {
        let space = space();
        if space.is_empty() || self.space != space {
            return None;
        }
        Some(start_of(self.pid) != Some(self.start))
    }
}

/// The name of this machine or container.
pub fn host_name() -> String {
    let name = read("/proc/sys/kernel/hostname");
    if name.is_empty() { "localhost".to_owned() } else { name }
}

fn space() -> String {
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let boot = read("/proc/sys/kernel/random/boot_id");
    if boot.is_empty() { boot } else { format!("{boot} {}", namespace.display()) }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Field 22 of `/proc/PID/stat`. The name before it may contain anything.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    // A zombie has ended; only its parent does not know yet.
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Who holds a lane, and how long it has been silent.
#[derive(Debug, Clone)]
pub(crate) struct LaneStatus {
    pub(crate) mark: LaneMark,
    /// `None` once it was released.
    pub(crate) holder: Option<Holder>,
    /// Since the group's newest commit, by the times in the table and the clock of this host.
    pub(crate) silent: Duration,
    /// How long ago the lane was claimed, each time.
    claims: Vec<Duration>,
}

/// Claims within a lease from which on an instance waits for its own name: two that live under one name would take the
/// lane from each other without end.
const CLAIMS_MAX: usize = 4;

impl LaneStatus {
    pub(crate) fn of(table: &Table, group: &str) -> Result<Option<Self>, Error> {
        let Some(mark) = lane_in(table, group)? else { return Ok(None) };
        let property = names::holder_property(group);
        // A holder that cannot be read is one of which nothing is known.
        let unknown = || Holder { host: String::new(), space: String::new(), pid: 0, start: 0 };
        let holder = table.metadata().properties().get(&property);
        let holder = holder.map(|json| serde_json::from_str(json).unwrap_or_else(|_| unknown()));
        let (silent, claims) = (age(newest_commit(table, group)), claims(table, group));
        Ok(Some(Self { mark, holder, silent, claims }))
    }

    /// How long `instance` must wait before it takes the lane over: not at all from a process that has ended, nor
    /// from itself before a crash, unless that looks like another one of its name.
    pub(crate) fn wait(&self, instance: &str, lease: Duration) -> Duration {
        let n_claims = self.claims.iter().filter(|age| **age <= lease).count();
        let is_free = match &self.holder {
            None => true,
            Some(holder) => match holder.has_ended() {
                Some(has_ended) => has_ended,
                None => self.mark.instance == instance && n_claims < CLAIMS_MAX,
            },
        };
        if is_free { Duration::ZERO } else { lease.saturating_sub(self.silent) }
    }
}

/// When the group committed last, in milliseconds since 1970; else when the table was changed last.
fn newest_commit(table: &Table, group: &str) -> i64 {
    let metadata = table.metadata();
    let of_group = metadata.snapshots().filter(|snapshot| {
        let summary = &snapshot.summary().additional_properties;
        summary.get(names::SUMMARY_GROUP).is_some_and(|of| of == group)
    });
    let newest = of_group.map(|snapshot| snapshot.timestamp_ms()).max();
    newest.unwrap_or_else(|| metadata.last_updated_ms())
}

fn claims(table: &Table, group: &str) -> Vec<Duration> {
    let claims = table.metadata().snapshots().filter(|snapshot| {
        let summary = &snapshot.summary().additional_properties;
        summary.contains_key(names::SUMMARY_CLAIM)
            && summary.get(names::SUMMARY_GROUP).is_some_and(|of| of == group)
    });
    claims.map(|snapshot| age(snapshot.timestamp_ms())).collect()
}

/// By the clock of this host; zero for what is ahead of it.
fn age(timestamp_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms().saturating_sub(timestamp_ms)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_whatever_the_instance_is_called() {
        for instance in ["web-1", "a/b:c", "Büro 7", ""] {
            let (instance, run) = (instance.to_owned(), "0a1b".to_owned());
            let mark = LaneMark { instance, run, sequence: 7 };
            assert_eq!(LaneMark::parse(&mark.to_string()), Some(mark.clone()));
            assert_eq!(mark.next().sequence, 8);
        }
        let end = u64::MAX.to_string();
        for bad in ["", "x", "a:1", "a/b", "a/b:", "a/b:-1", "a/b:x", &format!("a/b:{end}")] {
            assert_eq!(LaneMark::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_a_process_of_this_machine_is_known_to_have_ended() {
        let this = Holder::this();
        assert_eq!(this.has_ended(), Some(false));
        let earlier = Holder { start: this.start - 1, ..this.clone() };
        assert_eq!(earlier.has_ended(), Some(true), "its id was given to another process");
        let elsewhere = Holder { space: "other".to_owned(), ..this };
        assert_eq!(elsewhere.has_ended(), None);
    }

    #[test]
    fn who_waits_for_whom() {
        let lease = Duration::from_mins(1);
        let mark = LaneMark { instance: "a".to_owned(), run: "1".to_owned(), sequence: 1 };
        let this = Holder::this();
        let dead = Holder { start: this.start - 1, ..this.clone() };
        let elsewhere = Holder { space: "other".to_owned(), ..this.clone() };
        let silent = Duration::from_secs(20);
        let wait_after = |holder: &Option<Holder>, instance, n_claims| {
            let (mark, holder) = (mark.clone(), holder.clone());
            let claims = vec![Duration::from_secs(59); n_claims];
            let status = LaneStatus { mark, holder, silent, claims };
            status.wait(instance, lease).as_secs()
        };
        let wait = |holder: &Option<Holder>, instance| wait_after(holder, instance, 3);
        for (holder, same, other) in
            [(None, 0, 0), (Some(dead), 0, 0), (Some(this), 40, 40), (Some(elsewhere), 0, 40)]
        {
            assert_eq!((wait(&holder, "a"), wait(&holder, "b")), (same, other), "{holder:?}");
        }
        let unseen = Some(Holder { space: "other".to_owned(), ..Holder::this() });
        assert_eq!(wait_after(&unseen, "a", 4), 40, "two of one name take turns");
        assert_eq!(wait_after(&None, "a", 4), 0, "it was released");
    }
}
