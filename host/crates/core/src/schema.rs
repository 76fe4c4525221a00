//! The columns of an audit event: what decoding produces, what plugins may name, what the table holds.

use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The fields of an event as they are named in its JSON, in table order. All are text in the JSON;
/// [`EVENT_TIMESTAMP`] becomes microseconds.
pub const EVENT_FIELDS: [&str; 13] = [
    AUDIT_ID,
    EVENT_TIMESTAMP,
    "user_id",
    "user_email",
    ACTION_TYPE,
    "resource_type",
    "resource_id",
    "resource_name",
    "action_result",
    "ip_address",
    "user_agent",
    "session_id",
    "details",
];

/// The event's own id.
pub const AUDIT_ID: &str = "audit_id";
/// When the event happened, by the producer's clock. Partitions the table by day.
pub const EVENT_TIMESTAMP: &str = "event_timestamp";
/// The action that the event records. Partitions the table.
pub const ACTION_TYPE: &str = "action_type";

/// Fields without which a record becomes a dead letter: the columns that partition the table.
pub const REQUIRED_FIELDS: [&str; 2] = [EVENT_TIMESTAMP, ACTION_TYPE];

/// Bytes of an action.
pub const ACTION_BYTES_MAX: usize = 64;

/// Whether text can be an action: a plain token. It names folders of the table, and no plugin may change it, so neither
/// paths nor free text get in.
pub fn is_action(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=ACTION_BYTES_MAX).contains(&text.len())
        && text.bytes().all(is_plain)
        && text.bytes().any(|byte| byte != b'.')
}

/// When audit-host read the event, by its own clock.
pub const INGESTION_TIMESTAMP: &str = "ingestion_timestamp";
/// The Kafka topic, partition and offset that a row came from: its identity.
pub const SOURCE_TOPIC: &str = "source_topic";
pub const SOURCE_PARTITION: &str = "source_partition";
pub const SOURCE_OFFSET: &str = "source_offset";
/// The timestamp of the Kafka record. Plugins may read it; the table does not have it.
pub const SOURCE_TIMESTAMP: &str = "source_timestamp";

/// The time zone of every timestamp column, as Iceberg's `timestamptz` wants it in Arrow.
pub const UTC: &str = "+00:00";

/// Timestamps that every reader of our tables and alerts can display, in microseconds since 1970: from the year 1
/// to two hours before the end of 9999-12-30 (later ones could leave the year 9999 in some time zone).
pub const TIME_RANGE: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_207_200_000_000;

/// Microseconds since 1970 in UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// The columns of a decoded batch: the event's fields, then the record's place in Kafka.
pub fn decoded() -> SchemaRef {
    static DECODED: LazyLock<SchemaRef> = LazyLock::new(|| {
        let event = EVENT_FIELDS.iter().map(|name| {
            let data_type =
                if *name == EVENT_TIMESTAMP { timestamp_type() } else { DataType::Utf8 };
            Field::new(*name, data_type, true)
        });
        let origin = [
            Field::new(SOURCE_PARTITION, DataType::Int32, false),
            Field::new(SOURCE_OFFSET, DataType::Int64, false),
            Field::new(SOURCE_TIMESTAMP, timestamp_type(), true),
        ];
        Arc::new(Schema::new(event.chain(origin).collect::<Vec<_>>()))
    });
    Arc::clone(&DECODED)
}

/// Columns that say where a row came from. No plugin may write them.
pub fn is_host_column(name: &str) -> bool {
    [INGESTION_TIMESTAMP, SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET, SOURCE_TIMESTAMP]
        .contains(&name)
}
