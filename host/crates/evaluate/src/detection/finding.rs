//! What a detector or a query found.

/// A finding of a detector or a query.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Finding {
    pub rule: String,
    /// As in a label.
    pub key: String,
    /// The span of event time that it is about, both ends included.
    pub from: i64,
    pub until: i64,
    /// When it was found: for a detector the newest Kafka timestamp of the batch, for a query the time when it
    /// ran.
    pub found: i64,
    /// As in a label. The pattern's SQL has none.
    #[serde(default)]
    pub severity: Option<String>,
}
