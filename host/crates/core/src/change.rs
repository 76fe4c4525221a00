//! What happens to the chain while it runs: plugins that are exchanged, and candidates that are not.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::offset::TopicPartition;
use crate::plugin::PluginId;

/// What became of a plugin. A closed set, so that a person can filter the table by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A plugin took its place in the chain.
    Added,
    /// Another version or configuration took the place of a plugin.
    Replaced,
    /// A plugin left the chain.
    Removed,
    /// A candidate was not taken; the chain is as it was.
    Refused,
    /// A candidate runs beside a plugin, and nothing of what it says is kept.
    ShadowStarted,
    /// A candidate does not run beside a plugin any more.
    ShadowEnded,
    /// Too many rows in a row made the plugin fail: it is not asked any more for a while.
    BreakerOpened,
    /// The plugin judges again.
    BreakerClosed,
    /// A detector lost what it remembered and began anew.
    StateLost,
    /// Plugins look things up in another version of a table or a calendar.
    LookupReplaced,
    /// A changed table or calendar was not taken; plugins go on with what it was.
    LookupRefused,
}

impl ChangeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
            Self::Refused => "refused",
            Self::ShadowStarted => "shadow-started",
            Self::ShadowEnded => "shadow-ended",
            Self::BreakerOpened => "breaker-opened",
            Self::BreakerClosed => "breaker-closed",
            Self::StateLost => "state-lost",
            Self::LookupReplaced => "lookup-replaced",
            Self::LookupRefused => "lookup-refused",
        }
    }

    /// Whether what was asked for was done.
    pub fn is_success(self) -> bool {
        !matches!(self, Self::Refused | Self::BreakerOpened | Self::StateLost | Self::LookupRefused)
    }

    /// Whether it is about a table or a calendar, and not about a plugin.
    pub fn is_of_lookup(self) -> bool {
        matches!(self, Self::LookupReplaced | Self::LookupRefused)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change of the chain, between two batches. Becomes a row of the audit table and a part of its
/// snapshot's summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginChange {
    pub kind: ChangeKind,
    /// The plugin's name; for a candidate that cannot be read, the name under which the user gave it. Of
    /// a lookup its name; `before` and `after` have the digest of its file, and no version.
    pub plugin: String,
    /// The file or `builtin:NAME`.
    pub source: String,
    /// When, in microseconds since 1970, by the host's clock.
    pub at: i64,
    pub before: Option<PluginId>,
    pub after: Option<PluginId>,
    /// Every offset from which `after` judges. A partition that is absent had not been read yet: all of
    /// it is judged by `after`.
    #[serde(with = "offsets")]
    pub from: BTreeMap<TopicPartition, i64>,
    /// Why: what a person did, or what is wrong with the candidate.
    pub reason: String,
}

/// What is new about the chain since it was last asked.
#[derive(Debug, Default)]
pub struct Changes {
    pub changes: Vec<PluginChange>,
    pub alerts: Vec<Alert>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.alerts.is_empty()
    }

    pub fn extend(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.alerts.extend(other.alerts);
    }
}

/// JSON has text keys only: `{topic: {partition: offset}}`.
mod offsets {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::offset::TopicPartition;

    type Wire = BTreeMap<Arc<str>, BTreeMap<i32, i64>>;

    pub(super) fn serialize<S: Serializer>(
        offsets: &BTreeMap<TopicPartition, i64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut wire = Wire::new();
        for (at, offset) in offsets {
            wire.entry(at.topic.clone()).or_default().insert(at.partition, *offset);
        }
        wire.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<TopicPartition, i64>, D::Error> {
        let wire = Wire::deserialize(from)?;
        let mut offsets = BTreeMap::new();
        for (topic, of_topic) in &wire {
            for (partition, offset) in of_topic {
                offsets.insert(TopicPartition::new(topic, *partition), *offset);
            }
        }
        Ok(offsets)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_change_survives_json() {
        let at = TopicPartition::new(&Arc::from("t"), 3);
        let change = PluginChange {
            kind: ChangeKind::Replaced,
            plugin: "p".to_owned(),
            source: "p.wasm".to_owned(),
            at: 7,
            before: None,
            after: None,
            from: BTreeMap::from([(at, 42)]),
            reason: String::new(),
        };
        let json = serde_json::to_string(&change).unwrap();
        assert!(json.contains(r#""kind":"replaced""#), "{json}");
        assert!(json.contains(r#""from":{"t":{"3":42}}"#), "{json}");
        assert_eq!(serde_json::from_str::<PluginChange>(&json).unwrap(), change);
    }
}
