//! Names of tables, of the table properties that hold offsets and pointers, and of the keys of a summary.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use audit_core::{KeyMark, TopicPartition};
use iceberg::{NamespaceIdent, TableIdent};

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

    /// What was attempted with this table, and why it failed.
    pub(crate) fn failed(&self, attempted: &'static str, cause: iceberg::Error) -> Error {
        Error::Table { attempted, table: self.to_string(), cause }
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

/// The pointer to the stored state of the group's detectors.
pub(crate) fn state_property(group: &str) -> String {
    own_property(group, "state")
}

/// The plugins as they were when the group's last epoch ended.
pub(crate) fn plugins_property(group: &str) -> String {
    own_property(group, "plugins")
}

/// The epoch whose dead letters were appended last.
pub(crate) fn epoch_property(group: &str) -> String {
    own_property(group, "epoch")
}

/// Kafka's id of a topic whose offsets the table holds: a topic that was recreated has another id.
pub(crate) fn topic_id_property(group: &str, topic: &str) -> String {
    own_property(group, &format!("topic-id.{topic}"))
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
    fn no_group_or_topic_can_forge_a_property_of_another_kind() {
        let topic = |name: &str| TopicPartition::new(&Arc::from(name), 0);
        let offset = offset_property("pending", &topic("t"));
        assert!(!offset.starts_with(&pending_prefix("pending")), "{offset}");
        assert!(!offset_property("g", &topic("state")).starts_with(&state_property("g")));
        assert_ne!(pending_prefix("a"), pending_prefix("a."));
    }
}
