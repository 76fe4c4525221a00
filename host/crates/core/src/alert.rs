//! What detectors find.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::plugin::PluginId;

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// The place of an event in Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

/// A finding, as it is stored in the outbox and delivered: what a plugin returned, after the host has
/// checked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The same finding has the same id in every delivery and every replay: a hash of the rule, the
    /// plugin's version, the key and the start of the window.
    pub id: String,
    pub rule: String,
    pub severity: Severity,
    pub message: String,
    /// Who or what it is about: the detector's key columns.
    pub key: BTreeMap<String, String>,
    /// RFC 3339 in UTC, as the next two.
    #[serde(with = "rfc3339")]
    pub window_start: i64,
    #[serde(with = "rfc3339")]
    pub first_event: i64,
    #[serde(with = "rfc3339")]
    pub last_event: i64,
    /// Events counted; `events` may hold fewer.
    pub count: u64,
    pub events: Vec<Position>,
    pub labels: BTreeMap<String, String>,
    pub plugin: PluginId,
}

impl Alert {
    /// What the alert is about.
    pub fn finding(&self) -> Finding {
        let (rule, key) = (self.rule.clone(), self.key.clone());
        Finding { rule, key, window_start: self.window_start }
    }
}

/// What an alert is about, without the version of the plugin that its id holds: two versions of a rule
/// agree on a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub rule: String,
    pub key: BTreeMap<String, String>,
    /// Microseconds since 1970.
    pub window_start: i64,
}

impl Finding {
    /// The bytes of memory that it takes, approximately.
    pub fn size(&self) -> usize {
        let key: usize = self.key.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<Self>() + self.rule.len() + key
    }
}

/// Microseconds since 1970 as RFC 3339 text.
mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub(super) fn serialize<S: Serializer>(micros: &i64, to: S) -> Result<S::Ok, S::Error> {
        let time = Timestamp::from_microsecond(*micros).map_err(ser::Error::custom)?;
        to.collect_str(&time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        let text = String::deserialize(from)?;
        let time: Timestamp = text.parse().map_err(de::Error::custom)?;
        Ok(time.as_microsecond())
    }
}
