//! Names of tables, of the table properties that hold offsets and pointers, and of the keys of a summary.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use audit_core::{KeyMark, LeaderEpoch, TopicPartition};
use iceberg::{NamespaceIdent, TableIdent};

use crate::catalog::pointer::PointerError;
use crate::error::Error;

/// `namespace.table`; the namespace may have several levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    namespace: Vec<String>,
    name: String,
}

impl TableName {
    /// Parses `NS.NAME`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let parts: Vec<&str> = text.split('.').collect();
        let ok = parts.iter().all(|part| !part.is_empty() && part.chars().all(is_plain));
        match parts.split_last() {
            Some((name, namespace)) if ok && !namespace.is_empty() => Ok(Self {
                namespace: namespace.iter().map(|part| (*part).to_owned()).collect(),
                name: (*name).to_owned(),
            }),
            _ => Err(Error::BadName { name: text.to_owned() }),
        }
    }

    /// The table of dead letters, beside this one.
    #[must_use]
    pub fn dead_letters(&self) -> Self {
        Self { namespace: self.namespace.clone(), name: format!("{}_dead_letters", self.name) }
    }

    pub(crate) fn ident(&self) -> Result<TableIdent, iceberg::Error> {
        let namespace = NamespaceIdent::from_vec(self.namespace.clone())?;
        Ok(TableIdent::new(namespace, self.name.clone()))
    }

    /// The folder of the table's files below a warehouse, where the catalog puts a new table.
    pub(crate) fn folder(&self, warehouse: &str) -> String {
        format!("{warehouse}/{}/{}", self.namespace.join("/"), self.name)
    }

    /// What was attempted with this table, and why it failed.
    pub(crate) fn failed(&self, attempted: &'static str, cause: iceberg::Error) -> Error {
        Error::Table { attempted, table: self.to_string(), cause }
    }

    /// The catalog did not say where the table is.
    pub(crate) fn unreadable(&self, cause: PointerError) -> Error {
        let table = self.to_string();
        if cause.is_transient() {
            Error::Pointer { table, cause }
        } else {
            Error::OtherCatalogFile { table, cause }
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace.join("."), self.name)
    }
}

/// The property that holds the offset to read next: one for each group, topic and partition, so that
/// instances that own other partitions never overwrite one another.
pub(crate) fn offset_property(group: &str, partition: &TopicPartition) -> String {
    format!("{}{}", offset_prefix(group, &partition.topic), partition.partition)
}

fn offset_prefix(group: &str, topic: &str) -> String {
    format!("audit-host.{}.{topic}.", escape_group(group))
}

/// A dot in the group would make `a.b` + `c` and `a` + `b.c` the same.
fn escape_group(group: &str) -> String {
    group.replace('%', "%25").replace('.', "%2E")
}

/// The process that committed last for the group, and the number of that commit.
pub(crate) fn lane_property(group: &str) -> String {
    own_property(group, &format!("lane.{LANE}"))
}

/// More about the process in [`lane_property`]; absent once it has released the lane.
pub(crate) fn holder_property(group: &str) -> String {
    own_property(group, &format!("holder.{LANE}"))
}

/// The only lane until the partitions of a group are shared: it owns all of them.
pub(crate) const LANE: &str = "all";

/// The topics of the group, as a JSON list.
pub(crate) fn topics_property(group: &str) -> String {
    own_property(group, "topics")
}

/// Where one row of the newest commit comes from.
pub(crate) fn witness_property(group: &str) -> String {
    own_property(group, "witness")
}

/// In the table of dead letters: the lane's number of the newest epoch whose dead letters are there.
pub(crate) fn done_property(group: &str) -> String {
    own_property(group, &format!("done.{LANE}"))
}

/// The lane's number of the newest epoch that has dead letters: [`done_property`] gets there.
pub(crate) fn letters_property(group: &str) -> String {
    own_property(group, &format!("letters.{LANE}"))
}

/// The format of these properties and of the objects that they point at.
pub(crate) const FORMAT_PROPERTY: &str = "audit-host.format";
/// What this version writes.
pub(crate) const FORMAT: u32 = 2;

/// The pointer to the stored state of the group's detectors.
pub(crate) fn state_property(group: &str) -> String {
    own_property(group, "state")
}

/// The plugins as they were when the group's last epoch ended.
pub(crate) fn plugins_property(group: &str) -> String {
    own_property(group, "plugins")
}

/// What the group's plugins may read and write, and what must stay replaced.
pub(crate) fn pins_property(group: &str) -> String {
    own_property(group, "pins")
}

/// Whether it is [`pins_property`] of any group.
pub(crate) fn is_pins_property(name: &str) -> bool {
    name.starts_with("audit-host.") && name.ends_with("..pins")
}

/// The epoch whose dead letters were appended last.
pub(crate) fn epoch_property(group: &str) -> String {
    own_property(group, "epoch")
}

/// Kafka's id of a topic whose offsets the table holds: a topic that was recreated has another id.
pub(crate) fn topic_id_property(group: &str, topic: &str) -> String {
    own_property(group, &format!("topic-id.{topic}"))
}

/// Which leader of a partition wrote the last record before the group's offset, and where that record ends.
pub(crate) fn leader_epoch_property(group: &str, at: &TopicPartition) -> String {
    format!("{}{}", leader_epoch_prefix(group, &at.topic), at.partition)
}

fn leader_epoch_prefix(group: &str, topic: &str) -> String {
    own_property(group, &format!("leader-epoch.{topic}."))
}

/// Points at the outbox of an epoch that is committed and not finished.
pub(crate) fn pending_property(group: &str, epoch_id: &str) -> String {
    format!("{}{epoch_id}", pending_prefix(group))
}

/// What every [`pending_property`] of a group begins with.
pub(crate) fn pending_prefix(group: &str) -> String {
    own_property(group, "pending.")
}

/// The fingerprint of a key's secret. It belongs to the table and not to a group, as do the values made with it;
/// no group has an empty name.
pub(crate) fn key_property(mark: &KeyMark) -> String {
    format!("{KEY_PREFIX}{}.{}", escape_group(&mark.name), mark.id)
}

/// What every [`key_property`] begins with.
pub(crate) const KEY_PREFIX: &str = "audit-host...key.";

/// A property of the group itself. No topic has an empty name, so it cannot be taken for an offset.
fn own_property(group: &str, name: &str) -> String {
    format!("audit-host.{}..{name}", escape_group(group))
}

/// Keys of a snapshot's summary.
pub(crate) const SUMMARY_EPOCH: &str = "audit-host.epoch";
pub(crate) const SUMMARY_GROUP: &str = "audit-host.group";
pub(crate) const SUMMARY_OFFSETS: &str = "audit-host.offsets";
pub(crate) const SUMMARY_PLUGINS: &str = "audit-host.plugins";
pub(crate) const SUMMARY_PLUGIN_CHANGES: &str = "audit-host.plugin-changes";
pub(crate) const SUMMARY_LOOKUPS: &str = "audit-host.lookups";
pub(crate) const SUMMARY_VERSION: &str = "audit-host.version";
pub(crate) const SUMMARY_DEAD_LETTERS: &str = "audit-host.dead-letters";
pub(crate) const SUMMARY_ALERTS: &str = "audit-host.alerts";
pub(crate) const SUMMARY_LANE: &str = "audit-host.lane";
pub(crate) const SUMMARY_SEQUENCE: &str = "audit-host.sequence";
/// SHA-256 of the objects that the commit points at.
pub(crate) const SUMMARY_STATE: &str = "audit-host.state";
pub(crate) const SUMMARY_OUTBOX: &str = "audit-host.outbox";
/// In the empty snapshot by which a process takes a lane.
pub(crate) const SUMMARY_CLAIM: &str = "audit-host.claim";

/// The topics of which a table has offsets of the group.
pub(crate) fn topics_in(properties: &HashMap<String, String>, group: &str) -> Vec<String> {
    let prefix = format!("audit-host.{}.", escape_group(group));
    let mut topics: Vec<_> = properties
        .keys()
        .filter_map(|key| key.strip_prefix(&prefix)?.rsplit_once('.'))
        .filter(|(topic, partition)| {
            !topic.is_empty() && !topic.starts_with('.') && partition.parse::<i32>().is_ok()
        })
        .map(|(topic, _)| topic.to_owned())
        .collect();
    topics.sort();
    topics.dedup();
    topics
}

/// The offset to read next of every partition of `topics` that the table knows.
pub(crate) fn offsets_in(
    properties: &HashMap<String, String>,
    group: &str,
    topics: &[String],
) -> Result<HashMap<TopicPartition, i64>, Error> {
    let mut offsets = HashMap::new();
    for topic in topics {
        let prefix = offset_prefix(group, topic);
        let topic: Arc<str> = Arc::from(topic.as_str());
        for (key, value) in properties {
            let partition = key.strip_prefix(&prefix).and_then(|rest| rest.parse().ok());
            if let Some(partition) = partition {
                let at = TopicPartition::new(&topic, partition);
                offsets.insert(at, parse_offset(key, value)?);
            }
        }
    }
    Ok(offsets)
}

/// The leader epochs of every partition of `topics` that the table knows.
pub(crate) fn leader_epochs_in(
    properties: &HashMap<String, String>,
    group: &str,
    topics: &[String],
) -> Result<HashMap<TopicPartition, LeaderEpoch>, Error> {
    let mut epochs = HashMap::new();
    for topic in topics {
        let prefix = leader_epoch_prefix(group, topic);
        let topic: Arc<str> = Arc::from(topic.as_str());
        for (key, value) in properties {
            let partition = key.strip_prefix(&prefix).and_then(|rest| rest.parse().ok());
            if let Some(partition) = partition {
                epochs.insert(TopicPartition::new(&topic, partition), parse_epoch(key, value)?);
            }
        }
    }
    Ok(epochs)
}

/// The text of a [`leader_epoch_property`]: `EPOCH:END`.
pub(crate) fn leader_epoch_text(last: &LeaderEpoch) -> String {
    format!("{}:{}", last.epoch, last.end)
}

fn parse_epoch(property: &str, value: &str) -> Result<LeaderEpoch, Error> {
    let parse = || {
        let (epoch, end) = value.split_once(':')?;
        Some(LeaderEpoch { epoch: epoch.parse().ok()?, end: end.parse().ok()? })
    };
    parse().ok_or_else(|| Error::Damaged {
        what: "the table property",
        location: property.to_owned(),
        problem: format!(
            "{value:?} is not LEADER-EPOCH:OFFSET; remove the property to go on without validating the log"
        ),
    })
}

/// An offset that is not a number must be an error: if it were ignored, every row would be written again.
pub(crate) fn parse_offset(property: &str, value: &str) -> Result<i64, Error> {
    value.parse().map_err(|_| Error::Damaged {
        what: "the table property",
        location: property.to_owned(),
        problem: format!("{value:?} is not an offset; set it to the offset to read next"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_are_checked() {
        let name = TableName::parse("demo.audit_trail").unwrap();
        assert_eq!(name.dead_letters().to_string(), "demo.audit_trail_dead_letters");
        assert_eq!(TableName::parse("a.b.c").unwrap().to_string(), "a.b.c");
        for bad in ["", "t", ".t", "a.", "a..b", "a.b/c", "a.../x", "a.é"] {
            assert!(TableName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn offsets_are_found_for_the_right_group_and_topic_only() {
        let topic: Arc<str> = Arc::from("b.c");
        let ours = offset_property("a", &TopicPartition::new(&topic, 3));
        let theirs = offset_property("a.b", &TopicPartition::new(&Arc::from("c"), 3));
        assert_ne!(ours, theirs);
        let properties = HashMap::from([
            (ours, "7".to_owned()),
            (theirs, "9".to_owned()),
            (state_property("a"), "x".to_owned()),
        ]);
        let topics = ["b.c".to_owned(), "c".to_owned()];
        let found = offsets_in(&properties, "a", &topics).unwrap();
        assert_eq!(found, HashMap::from([(TopicPartition::new(&topic, 3), 7)]));

        let damaged = HashMap::from([(offset_property("a", &TopicPartition::new(&topic, 3)), "x")]);
        let damaged = damaged.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
        assert!(offsets_in(&damaged, "a", &topics).is_err());
    }

    #[test]
    fn leader_epochs_are_read_back_and_a_torn_one_is_an_error() {
        let at = TopicPartition::new(&Arc::from("b.c"), 3);
        let last = LeaderEpoch { epoch: 7, end: 1500 };
        let property = leader_epoch_property("a.b", &at);
        let topics = ["b.c".to_owned()];
        let properties = HashMap::from([(property.clone(), leader_epoch_text(&last))]);
        let found = leader_epochs_in(&properties, "a.b", &topics).unwrap();
        assert_eq!(found, HashMap::from([(at, last)]));
        assert!(leader_epochs_in(&properties, "a", &topics).unwrap().is_empty());

        for torn in ["", "7", "7:", "x:1500"] {
            let properties = HashMap::from([(property.clone(), torn.to_owned())]);
            assert!(leader_epochs_in(&properties, "a.b", &topics).is_err(), "{torn:?}");
        }
    }

    #[test]
    fn no_group_or_topic_can_forge_a_property_of_another_kind() {
        let topic = |name: &str| TopicPartition::new(&Arc::from(name), 0);
        let offset = offset_property("pending", &topic("t"));
        assert!(!offset.starts_with(&pending_prefix("pending")), "{offset}");
        assert!(!offset_property("g", &topic("state")).starts_with(&state_property("g")));
        assert_ne!(pending_prefix("a"), pending_prefix("a."));
    }
}
