//! What the properties of a table say of the groups that write it.

use std::collections::{BTreeMap, HashMap};

use iceberg::table::Table;
use serde::Serialize;

use crate::table::lane::{Holder, LaneStatus};
use crate::table::names;
use crate::table::outbox::Pointer;

/// One group, as the table knows it.
#[derive(Debug, Default, Serialize)]
pub struct GroupReport {
    pub group: String,
    /// `None` if no process has taken the group's lane yet.
    pub lane: Option<LaneReport>,
    /// The offset to read next, by topic and partition.
    pub offsets: BTreeMap<String, BTreeMap<i32, i64>>,
    /// Epochs that are committed, and whose dead letters and alerts may still be on their way.
    pub pending: Vec<String>,
    /// Properties that cannot be read.
    pub damaged: Vec<String>,
}

/// Who may commit for a group.
#[derive(Debug, Serialize)]
pub struct LaneReport {
    pub instance: String,
    pub run: String,
    pub sequence: u64,
    pub host: Option<String>,
    pub pid: Option<u32>,
    pub state: LaneState,
    /// Since the group's newest commit.
    pub silent_s: u64,
}

/// What is known of the process that holds a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneState {
    /// It gave the lane back when it ended.
    Released,
    /// It ran on this machine and has ended.
    Ended,
    /// It runs on this machine.
    Running,
    /// It runs, or ran, elsewhere.
    Elsewhere,
}

impl LaneReport {
    fn of(status: &LaneStatus) -> Self {
        let holder = status.holder.as_ref();
        Self {
            instance: status.mark.instance.clone(),
            run: status.mark.run.clone(),
            sequence: status.mark.sequence,
            host: holder.map(|holder| holder.host.clone()),
            pid: holder.map(|holder| holder.pid),
            state: LaneState::of(status),
            silent_s: status.silent.as_secs(),
        }
    }
}

impl LaneState {
    pub(crate) fn of(status: &LaneStatus) -> Self {
        match status.holder.as_ref().map(Holder::has_ended) {
            None => Self::Released,
            Some(Some(true)) => Self::Ended,
            Some(Some(false)) => Self::Running,
            Some(None) => Self::Elsewhere,
        }
    }
}

/// Every group of a table, by name.
pub(crate) fn groups(table: &Table) -> Vec<GroupReport> {
    let properties = table.metadata().properties();
    let mut groups: BTreeMap<String, GroupReport> = BTreeMap::new();
    let mut sorted: Vec<_> = properties.iter().collect();
    sorted.sort();
    for (key, value) in sorted {
        let Some((group, rest)) = split(key) else { continue };
        let report = groups.entry(group.clone()).or_default();
        report.group = group;
        report.add(key, rest, value);
    }
    for report in groups.values_mut() {
        match LaneStatus::of(table, &report.group) {
            Ok(status) => report.lane = status.as_ref().map(LaneReport::of),
            Err(_) => report.damaged.push(names::lane_property(&report.group)),
        }
    }
    groups.into_values().collect()
}

/// Group and rest of one of our properties; `None` for those of the table itself and of other programs.
fn split(key: &str) -> Option<(String, &str)> {
    let (group, rest) = key.strip_prefix("audit-host.")?.split_once('.')?;
    (!group.is_empty()).then(|| (group.replace("%2E", ".").replace("%25", "%"), rest))
}

impl GroupReport {
    fn add(&mut self, key: &str, rest: &str, value: &str) {
        let Some(own) = rest.strip_prefix('.') else { return self.add_offset(key, rest, value) };
        if let Some(epoch) = own.strip_prefix("pending.") {
            self.pending.push(epoch.to_owned());
            if Pointer::parse(key, value).is_err() {
                self.damaged.push(key.to_owned());
            }
        }
    }

    fn add_offset(&mut self, key: &str, at: &str, value: &str) {
        let at = at.rsplit_once('.');
        let at = at.and_then(|(topic, partition)| Some((topic, partition.parse().ok()?)));
        match (at, value.parse()) {
            (Some((topic, partition)), Ok(offset)) => {
                self.offsets.entry(topic.to_owned()).or_default().insert(partition, offset);
            }
            _ => self.damaged.push(key.to_owned()),
        }
    }
}

/// The digests of the objects that the properties name, by the folder that they lie in.
pub(crate) fn named_objects(properties: &HashMap<String, String>) -> Vec<(&'static str, String)> {
    let kind_of = |key: &str| {
        let own = key.strip_prefix("audit-host.")?.split_once("..")?.1;
        match own {
            "state" => Some("state"),
            ".history" => Some("history"),
            ".garbage" => Some("garbage"),
            own if own.starts_with("pending.") => Some("outbox"),
            _ => None,
        }
    };
    let found = properties.iter().filter_map(|(key, value)| {
        let kind = kind_of(key)?;
        Some((kind, Pointer::parse(key, value).ok()?.sha256))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_sorted_into_their_groups() {
        let cases = [
            ("audit-host.g.events.0", Some(("g", "events.0"))),
            ("audit-host.a%2Eb%25.t.1", Some(("a.b%", "t.1"))),
            ("audit-host.g..lane.all", Some(("g", ".lane.all"))),
            ("audit-host...history", None),
            ("audit-host.format", None),
            ("write.format.default", None),
        ];
        for (key, expected) in cases {
            let expected = expected.map(|(group, rest)| (group.to_owned(), rest));
            assert_eq!(split(key), expected, "{key}");
        }
    }

    #[test]
    fn a_property_that_cannot_be_read_is_named_and_hides_nothing() {
        let mut report = GroupReport::default();
        report.add("k1", "a.b.7", "12");
        report.add("k2", "a.b.8", "twelve");
        report.add("k3", "nonsense", "1");
        report.add("k4", ".pending.e1", "{torn");
        assert_eq!(report.offsets["a.b"], BTreeMap::from([(7, 12)]));
        assert_eq!(report.pending, ["e1"]);
        assert_eq!(report.damaged, ["k2", "k3", "k4"]);
    }
}
