//! The table of dead letters.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;
use audit_core::{DeadLetter, schema as event};
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};

use crate::epoch::columns::Projection;
use crate::epoch::digest::Digests;
use crate::error::Error;
use crate::vault::Vault;

/// What is stored of a dead letter's bytes. Redaction has not seen them.
#[derive(Debug, Clone)]
pub enum Payloads {
    /// Size and digest: the record can be read again from Kafka until it is deleted there.
    DigestOnly,
    /// Everything, sealed.
    Sealed(Arc<Vault>),
    /// Everything, readable for everybody who reads the table. Must be requested.
    Raw,
}

const COLUMNS: [(&str, PrimitiveType); 16] = [
    (event::SOURCE_TOPIC, PrimitiveType::String),
    (event::SOURCE_PARTITION, PrimitiveType::Int),
    (event::SOURCE_OFFSET, PrimitiveType::Long),
    (event::SOURCE_TIMESTAMP, PrimitiveType::Timestamptz),
    ("reason_class", PrimitiveType::String),
    ("reason", PrimitiveType::String),
    ("plugin", PrimitiveType::String),
    ("plugin_version", PrimitiveType::String),
    ("plugin_sha256", PrimitiveType::String),
    ("payload_bytes", PrimitiveType::Long),
    // Keyed since 0.2: `Digests::of`. Rows of earlier versions have the plain SHA-256 in hex.
    ("payload_sha256", PrimitiveType::String),
    ("payload_form", PrimitiveType::String),
    ("payload_key_id", PrimitiveType::String),
    ("payload", PrimitiveType::Binary),
    ("epoch", PrimitiveType::String),
    ("recorded_at", PrimitiveType::Timestamptz),
];

pub(crate) fn schema() -> Result<Schema, iceberg::Error> {
    let fields = (1..).zip(COLUMNS).map(|(id, (name, data_type))| {
        NestedField::optional(id, name, Type::Primitive(data_type)).into()
    });
    Schema::builder().with_fields(fields).build()
}

/// Rows of the dead-letter table.
pub(crate) fn to_rows(
    letters: &[DeadLetter],
    payloads: &Payloads,
    digests: &Digests,
    payload_bytes_max: usize,
    epoch_id: &str,
    recorded_us: i64,
    projection: &Projection,
) -> Result<RecordBatch, Error> {
    let stored: Vec<StoredPayload> = letters
        .iter()
        .map(|letter| StoredPayload::of(letter, payloads, payload_bytes_max))
        .collect::<Result<_, _>>()?;
    let plugin = |part: fn(&audit_core::PluginId) -> &str| -> ArrayRef {
        Arc::new(letters.iter().map(|l| l.plugin.as_ref().map(part)).collect::<StringArray>())
    };
    let text = |part: &dyn Fn(&DeadLetter) -> String| -> ArrayRef {
        Arc::new(letters.iter().map(|l| Some(part(l))).collect::<StringArray>())
    };
    // Timestamps that no reader can display are left out: the producer chooses them.
    let times = letters.iter().map(|l| {
        let micros = l.timestamp_ms.and_then(|ms| ms.checked_mul(1000));
        micros.filter(|micros| event::TIME_RANGE.contains(micros))
    });
    let columns: Vec<ArrayRef> = vec![
        text(&|l| l.topic.to_string()),
        Arc::new(letters.iter().map(|l| Some(l.partition)).collect::<Int32Array>()),
        Arc::new(letters.iter().map(|l| Some(l.offset)).collect::<Int64Array>()),
        Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone(event::UTC)),
        text(&|l| l.class.to_string()),
        text(&|l| l.reason.clone()),
        plugin(|id| &id.name),
        plugin(|id| &id.version),
        plugin(|id| &id.sha256),
        Arc::new(letters.iter().map(|l| Some(l.payload.len() as i64)).collect::<Int64Array>()),
        text(&|l| digests.of(&l.payload)),
        Arc::new(stored.iter().map(|k| Some(k.form)).collect::<StringArray>()),
        Arc::new(stored.iter().map(|k| k.key_id).collect::<StringArray>()),
        Arc::new(stored.iter().map(|k| k.bytes.as_deref()).collect::<BinaryArray>()),
        text(&|_| epoch_id.to_owned()),
        Arc::new(
            TimestampMicrosecondArray::from_value(recorded_us, letters.len())
                .with_timezone(event::UTC),
        ),
    ];
    let columns = projection.schema().fields().iter().zip(columns).map(|(field, column)| {
        // Iceberg's binary is Arrow's large binary in some versions: follow the table.
        arrow::compute::cast(&column, field.data_type())
    });
    projection.retype(columns.collect::<Result<_, _>>()?)
}

/// What is stored of one payload.
struct StoredPayload<'a> {
    form: &'static str,
    key_id: Option<&'a str>,
    bytes: Option<Vec<u8>>,
}

impl<'a> StoredPayload<'a> {
    fn of(letter: &DeadLetter, payloads: &'a Payloads, bytes_max: usize) -> Result<Self, Error> {
        let nothing = Self { form: "digest-only", key_id: None, bytes: None };
        if letter.payload.len() > bytes_max {
            return Ok(nothing);
        }
        Ok(match payloads {
            Payloads::DigestOnly => nothing,
            Payloads::Raw => {
                Self { form: "raw", key_id: None, bytes: Some(letter.payload.clone()) }
            }
            Payloads::Sealed(vault) => {
                let place = format!("{}[{}]@{}", letter.topic, letter.partition, letter.offset);
                Self {
                    form: "xchacha20poly1305",
                    key_id: Some(vault.key_id()),
                    bytes: Some(vault.seal(&letter.payload, &place)?),
                }
            }
        })
    }
}
