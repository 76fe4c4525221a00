//! Batches that a component may meet: small, large, empty of values, and full of odd ones.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use audit_core::{Batch, Offsets, RawBatch, Span, TopicPartition, schema};

/// Noon of a Thursday, a day without meaning for any rule.
const NOON_US: i64 = 1_737_028_800_000_000;
/// Rows of a full batch.
const FULL: usize = 8192;

/// One more than the rule's limit, from this address.
pub(crate) const N_FAILURES: i64 = 6;
pub(crate) const ATTACKER: &str = "203.0.113.77";

/// A batch with a name for messages.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) make: fn() -> Result<Batch>,
}

/// A value of one field in one row.
type Value = Option<String>;

pub(crate) fn all() -> Vec<Named> {
    vec![
        Named { name: "no row", make: || batch(0, |_, _| None) },
        Named { name: "one row", make: || batch(1, |row, field| Some(ordinary(row, field))) },
        Named { name: "all null", make: || batch(3, |_, _| None) },
        Named { name: "all null, full", make: || batch(FULL, |_, _| None) },
        Named { name: "all empty", make: || batch(3, |_, _| Some(String::new())) },
        Named { name: "every other null", make: || batch(9, every_other) },
        Named { name: "odd text", make: || batch(ODD.len(), |row, _| Some(ODD[row].to_owned())) },
        Named {
            name: "odd details",
            make: || batch(DETAILS.len(), |row, field| Some(odd_details(row, field))),
        },
        Named { name: "long values", make: || batch(2, |_, _| Some("ä1.2.3.4 ".repeat(20_000))) },
        attack(),
        Named { name: "full", make: || batch(FULL, |row, field| Some(ordinary(row, field))) },
    ]
}

pub(crate) fn attack() -> Named {
    Named {
        name: "attack",
        make: || {
            batch(N_FAILURES as usize, |row, field| match field {
                "action_type" => Some("user_login".to_owned()),
                "action_result" => Some("failure".to_owned()),
                "ip_address" => Some(ATTACKER.to_owned()),
                _ => Some(ordinary(row, field)),
            })
        },
    }
}

const ODD: &[&str] = &[
    "",
    " ",
    "\0",
    "\u{feff}",
    "\u{202e}moc.elpmaxe@ecila",
    "🦀 ünïcödé 漢字 \u{1F469}\u{200D}\u{1F4BB}",
    "e\u{301}@exa\u{301}mple.com",
    "@@@@",
    "a@b",
    "4111 1111 1111 1111",
    "999.999.999.999 ::ffff:1.2.3.4 fe80::1%eth0",
    "\"\\\u{1}\u{7f}",
];

const DETAILS: &[&str] = &[
    "{}",
    "[]",
    "null",
    "{",
    "{\"a\":",
    "{\"a\":{\"b\":[{\"c\":\"alice@company.com\"}]}}",
    "{\"\":\"\",\"a\":1e400,\"a\":2}",
    "\"{\\\"ssn\\\":\\\"123-45-6789\\\"}\"",
    "{\"note\":\"\\u0061lice@company.com \\ud83e\\udd80\"}",
];

fn odd_details(row: usize, field: &str) -> String {
    if field == "details" { DETAILS[row].to_owned() } else { ordinary(row, field) }
}

fn every_other(row: usize, field: &str) -> Value {
    (!row.is_multiple_of(2)).then(|| ordinary(row, field))
}

/// An event as the pattern has them.
pub(crate) fn ordinary(row: usize, field: &str) -> String {
    match field {
        "user_email" => format!("user{row}@company.com"),
        "action_type" => ["user_login", "data_read", "user_logout"][row % 3].to_owned(),
        "action_result" => if row.is_multiple_of(5) { "failure" } else { "success" }.to_owned(),
        "ip_address" => format!("10.{}.{}.{}", row % 7, row / 256 % 256, row % 256),
        "details" => format!("{{\"query\":\"select 1 where card = '4111111111111111' -- {row}\"}}"),
        other => format!("{other}-{row}"),
    }
}

/// Ordinary events of one partition from that offset on.
pub(crate) fn ordinary_from(first: i64, n_rows: usize) -> Result<Batch> {
    batch_of(0, first, n_rows, |row, field| Some(ordinary(row, field)))
}

/// The same of another partition.
pub(crate) fn ordinary_of(partition: i32, first: i64, n_rows: usize) -> Result<Batch> {
    batch_of(partition, first, n_rows, |row, field| Some(ordinary(row, field)))
}

fn batch(n_rows: usize, value: impl Fn(usize, &str) -> Value) -> Result<Batch> {
    batch_of(0, 0, n_rows, value)
}

/// Rows of one partition, a second of event time apart.
pub(crate) fn batch_of(
    partition: i32,
    first: i64,
    n_rows: usize,
    value: impl Fn(usize, &str) -> Value,
) -> Result<Batch> {
    let topic: Arc<str> = Arc::from("conformance");
    let mut raw = RawBatch::empty(Arc::clone(&topic));
    let end = first + n_rows as i64;
    for offset in first..end {
        raw.push(partition, offset, Some(NOON_US / 1000 + offset), b"{}");
    }
    if n_rows > 0 {
        let span = Span { start: first, next: end, records: n_rows as u64, leader_epoch: None };
        raw.covered.cover(TopicPartition::new(&topic, partition), span)?;
    } else {
        raw.covered = Offsets::default();
    }
    let rows = first..end;
    let time = |step: i64| {
        let times = rows.clone().map(move |row| NOON_US + row * step);
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone(schema::UTC))
    };
    let decoded = schema::decoded();
    let columns = decoded.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            schema::EVENT_TIMESTAMP => time(1_000_000),
            schema::SOURCE_TIMESTAMP => time(1_000),
            schema::SOURCE_PARTITION => Arc::new(Int32Array::from(vec![partition; n_rows])),
            schema::SOURCE_OFFSET => Arc::new(Int64Array::from_iter_values(rows.clone())),
            name => Arc::new((0..n_rows).map(|row| value(row, name)).collect::<StringArray>()),
        }
    });
    Ok(Batch {
        columns: RecordBatch::try_new(Arc::clone(&decoded), columns.collect())?,
        record_of_row: (0..n_rows as u32).collect(),
        rejected: Vec::new(),
        raw,
    })
}
