//! Changes of the chain while it runs: plugins that are reloaded, candidates that are rejected, lookups that
//! are reloaded.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::offset::TopicPartition;
use crate::plugin::PluginId;

/// What happened to a plugin. A closed set, so that users can filter the table by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A plugin was added to the chain.
    Added,
    /// A plugin was replaced by another version or configuration of it.
    Replaced,
    /// A plugin left the chain.
    Removed,
    /// A candidate was rejected; the running version was kept.
    Refused,
    /// A candidate runs beside a plugin; its output is compared and thrown away.
    ShadowStarted,
    /// A candidate no longer runs beside a plugin.
    ShadowEnded,
    /// The plugin failed on too many rows: it gets small parts of batches, and the source waits.
    BreakerOpened,
    /// The plugin gets whole batches again.
    BreakerClosed,
    /// A detector lost its state and started over with an empty one.
    StateLost,
    /// A column that had to be replaced may be stored as it comes: a person said so.
    UnredactedAllowed,
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
            Self::UnredactedAllowed => "unredacted-allowed",
        }
    }

    /// Whether the change was intended and succeeded.
    pub fn is_success(self) -> bool {
        !matches!(self, Self::Refused | Self::BreakerOpened | Self::StateLost)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to a lookup, which is a table or a calendar. A closed set, as [`ChangeKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LookupChangeKind {
    /// Plugins read another version of it.
    #[serde(rename = "lookup-replaced")]
    Replaced,
    /// The new version was rejected; plugins keep reading the old one.
    #[serde(rename = "lookup-refused")]
    Refused,
}

impl LookupChangeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "lookup-replaced",
            Self::Refused => "lookup-refused",
        }
    }

    /// Whether the change was intended and succeeded.
    pub fn is_success(self) -> bool {
        self == Self::Replaced
    }
}

impl fmt::Display for LookupChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Wire")]
pub struct PluginChange {
    pub kind: ChangeKind,
    /// The plugin's name; for a candidate that cannot be read, the name that the user gave it.
    pub plugin: String,
    /// The file or `builtin:NAME`.
    pub source: String,
    /// When, in microseconds since 1970, by the host's clock.
    pub at: i64,
    pub before: Option<PluginId>,
    pub after: Option<PluginId>,
    /// Every offset from which `after` judges. A partition that is absent had not been read yet: all of
    /// it is judged by `after`.
    pub from: BTreeMap<TopicPartition, i64>,
    /// Why: what a person did, or what is wrong with the candidate.
    pub reason: String,
}

/// A change of one lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupChange {
    pub kind: LookupChangeKind,
    /// The lookup's name.
    pub lookup: String,
    /// The file.
    pub source: String,
    /// When, in microseconds since 1970, by the host's clock.
    pub at: i64,
    /// SHA-256 of the file in hex, as for `after`.
    pub before: Option<String>,
    pub after: Option<String>,
    /// Every offset from which plugins read `after`, as in [`PluginChange::from`].
    pub from: BTreeMap<TopicPartition, i64>,
    /// Why: what a person did, or what is wrong with the file.
    pub reason: String,
}

/// One change, made between two batches. Becomes a row of the audit table and a part of its snapshot's
/// summary, there in the form of [`Wire`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub enum Change {
    Plugin(PluginChange),
    Lookup(LookupChange),
}

impl Change {
    /// Whether the change was intended and succeeded.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Plugin(change) => change.kind.is_success(),
            Self::Lookup(change) => change.kind.is_success(),
        }
    }

    /// The name of the plugin or the lookup.
    pub fn name(&self) -> &str {
        match self {
            Self::Plugin(change) => &change.plugin,
            Self::Lookup(change) => &change.lookup,
        }
    }

    /// The file or `builtin:NAME`.
    pub fn source(&self) -> &str {
        match self {
            Self::Plugin(change) => &change.source,
            Self::Lookup(change) => &change.source,
        }
    }

    /// When, in microseconds since 1970, by the host's clock.
    pub fn at(&self) -> i64 {
        match self {
            Self::Plugin(change) => change.at,
            Self::Lookup(change) => change.at,
        }
    }

    /// Every offset from which the change holds.
    pub fn from(&self) -> &BTreeMap<TopicPartition, i64> {
        match self {
            Self::Plugin(change) => &change.from,
            Self::Lookup(change) => &change.from,
        }
    }

    /// The change, if it is one of a plugin.
    pub fn as_plugin(&self) -> Option<&PluginChange> {
        match self {
            Self::Plugin(change) => Some(change),
            Self::Lookup(_) => None,
        }
    }
}

impl From<PluginChange> for Change {
    fn from(change: PluginChange) -> Self {
        Self::Plugin(change)
    }
}

impl From<LookupChange> for Change {
    fn from(change: LookupChange) -> Self {
        Self::Lookup(change)
    }
}

/// What the chain reports since it was last asked.
#[derive(Debug, Default)]
pub struct Changes {
    pub changes: Vec<Change>,
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

    /// The changes of plugins.
    pub fn of_plugins(&self) -> impl Iterator<Item = &PluginChange> {
        self.changes.iter().filter_map(Change::as_plugin)
    }
}

/// A change as tables hold it, the same for plugins and lookups: the digest of a lookup is in the place of a
/// component's, with the lookup's name, an empty version and an empty digest of the configuration.
#[derive(Serialize, Deserialize)]
struct Wire {
    kind: WireKind,
    plugin: String,
    source: String,
    at: i64,
    before: Option<PluginId>,
    after: Option<PluginId>,
    #[serde(with = "offsets")]
    from: BTreeMap<TopicPartition, i64>,
    reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "unknown kind of change")]
enum WireKind {
    Plugin(ChangeKind),
    Lookup(LookupChangeKind),
}

impl From<PluginChange> for Wire {
    fn from(change: PluginChange) -> Self {
        let PluginChange { kind, plugin, source, at, before, after, from, reason } = change;
        let kind = WireKind::Plugin(kind);
        Self { kind, plugin, source, at, before, after, from, reason }
    }
}

impl From<LookupChange> for Wire {
    fn from(change: LookupChange) -> Self {
        let LookupChange { kind, lookup, source, at, before, after, from, reason } = change;
        let id = |sha256| PluginId {
            name: lookup.clone(),
            version: String::new(),
            sha256,
            config_sha256: String::new(),
        };
        let (before, after) = (before.map(id), after.map(id));
        let kind = WireKind::Lookup(kind);
        Self { kind, plugin: lookup, source, at, before, after, from, reason }
    }
}

impl From<Change> for Wire {
    fn from(change: Change) -> Self {
        match change {
            Change::Plugin(change) => change.into(),
            Change::Lookup(change) => change.into(),
        }
    }
}

impl From<Wire> for Change {
    fn from(wire: Wire) -> Self {
        let Wire { kind, plugin, source, at, before, after, from, reason } = wire;
        match kind {
            WireKind::Plugin(kind) => {
                Self::Plugin(PluginChange { kind, plugin, source, at, before, after, from, reason })
            }
            WireKind::Lookup(kind) => Self::Lookup(LookupChange {
                kind,
                lookup: plugin,
                source,
                at,
                before: before.map(|id| id.sha256),
                after: after.map(|id| id.sha256),
                from,
                reason,
            }),
        }
    }
}

/// JSON has text keys only: `{topic: {partition: offset}}`.
mod offsets {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::offset::TopicPartition;

    type ByTopic = BTreeMap<Arc<str>, BTreeMap<i32, i64>>;

    pub(super) fn serialize<S: Serializer>(
        offsets: &BTreeMap<TopicPartition, i64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut by_topic = ByTopic::new();
        for (at, offset) in offsets {
            by_topic.entry(at.topic.clone()).or_default().insert(at.partition, *offset);
        }
        by_topic.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<TopicPartition, i64>, D::Error> {
        let by_topic = ByTopic::deserialize(from)?;
        let mut offsets = BTreeMap::new();
        for (topic, of_topic) in &by_topic {
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

    /// The table keeps this text for years, and other programs read it: it must not change.
    fn check(change: impl Into<Change>, json: &str) {
        let change = change.into();
        assert_eq!(serde_json::to_string(&change).unwrap(), json);
        assert_eq!(serde_json::from_str::<Change>(json).unwrap(), change);
    }

    fn from() -> BTreeMap<TopicPartition, i64> {
        BTreeMap::from([(TopicPartition::new(&Arc::from("t"), 3), 42)])
    }

    #[test]
    fn a_change_of_a_plugin_has_the_json_that_tables_hold() {
        let id = |sha256: &str| PluginId {
            name: "p".to_owned(),
            version: "1".to_owned(),
            sha256: sha256.to_owned(),
            config_sha256: "c".to_owned(),
        };
        let change = PluginChange {
            kind: ChangeKind::Replaced,
            plugin: "p".to_owned(),
            source: "p.wasm".to_owned(),
            at: 7,
            before: Some(id("a")),
            after: Some(id("b")),
            from: from(),
            reason: "the file changed".to_owned(),
        };
        let json = concat!(
            r#"{"kind":"replaced","plugin":"p","source":"p.wasm","at":7,"#,
            r#""before":{"name":"p","version":"1","sha256":"a","config_sha256":"c"},"#,
            r#""after":{"name":"p","version":"1","sha256":"b","config_sha256":"c"},"#,
            r#""from":{"t":{"3":42}},"reason":"the file changed"}"#,
        );
        check(change.clone(), json);

        let (before, after, from) = (None, None, BTreeMap::new());
        let change = PluginChange { kind: ChangeKind::ShadowEnded, before, after, from, ..change };
        let json = concat!(
            r#"{"kind":"shadow-ended","plugin":"p","source":"p.wasm","at":7,"before":null,"after":null,"#,
            r#""from":{},"reason":"the file changed"}"#,
        );
        check(change, json);
    }

    #[test]
    fn a_change_of_a_lookup_has_the_json_that_tables_hold() {
        let change = LookupChange {
            kind: LookupChangeKind::Replaced,
            lookup: "roles".to_owned(),
            source: "roles.csv".to_owned(),
            at: 7,
            before: Some("aa".to_owned()),
            after: Some("bb".to_owned()),
            from: from(),
            reason: "SIGHUP".to_owned(),
        };
        let json = concat!(
            r#"{"kind":"lookup-replaced","plugin":"roles","source":"roles.csv","at":7,"#,
            r#""before":{"name":"roles","version":"","sha256":"aa","config_sha256":""},"#,
            r#""after":{"name":"roles","version":"","sha256":"bb","config_sha256":""},"#,
            r#""from":{"t":{"3":42}},"reason":"SIGHUP"}"#,
        );
        check(change.clone(), json);

        let change = LookupChange { kind: LookupChangeKind::Refused, after: None, ..change };
        let json = concat!(
            r#"{"kind":"lookup-refused","plugin":"roles","source":"roles.csv","at":7,"#,
            r#""before":{"name":"roles","version":"","sha256":"aa","config_sha256":""},"#,
            r#""after":null,"from":{"t":{"3":42}},"reason":"SIGHUP"}"#,
        );
        check(change, json);
    }

    #[test]
    fn a_kind_has_the_same_name_everywhere() {
        use ChangeKind::{
            Added, BreakerClosed, BreakerOpened, Refused, Removed, Replaced, ShadowEnded,
            ShadowStarted, StateLost, UnredactedAllowed,
        };
        for kind in [
            Added,
            Replaced,
            Removed,
            Refused,
            ShadowStarted,
            ShadowEnded,
            BreakerOpened,
            BreakerClosed,
            StateLost,
            UnredactedAllowed,
        ] {
            assert_eq!(serde_json::json!(kind), kind.as_str());
        }
        for kind in [LookupChangeKind::Replaced, LookupChangeKind::Refused] {
            assert_eq!(serde_json::json!(kind), kind.as_str());
        }
        let unknown = r#"{"kind":"x","plugin":"","source":"","at":0,"from":{},"reason":""}"#;
        let error = serde_json::from_str::<Change>(unknown).unwrap_err().to_string();
        assert!(error.contains("unknown kind of change"), "{error}");
    }
}
