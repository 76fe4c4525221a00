//! The stages that read, judge and write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use audit_core::stage::{Chain, Decoder, Polled, Source, Writer};
use audit_core::{
    Alert, Batch, Change, Changes, DeadLetter, Error, Judged, Outbox, PluginId, PluginState,
    RawBatch, ReasonClass, Rejected, Severity, Span, Staged, TopicPartition,
};

use crate::kept::Lane;
use crate::world::{World, mix};

pub(crate) const PARTITIONS: i32 = 3;
pub(crate) const RECORDS_EACH: i64 = 120;

/// Every 17th record does not decode.
pub(crate) fn is_bad(offset: i64) -> bool {
    offset % 17 == 0
}

/// Every 23rd raises an alert.
fn raises_alert(offset: i64) -> bool {
    offset % 23 == 5
}

pub(crate) fn encode(partition: i32, offset: i64) -> i64 {
    i64::from(partition) * 1_000_000 + offset
}

/// The part of every stage: the same world, seen through another trait.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) world: Arc<World>,
    pub(crate) topic: Arc<str>,
    /// The instance's lane as it last wrote it.
    pub(crate) lane: Lane,
    /// The offset to read next.
    pub(crate) next: BTreeMap<i32, i64>,
    /// The detector's state: a hash of everything judged so far, in order.
    pub(crate) state: u64,
    /// Alerts of the chain itself, not yet drained.
    pub(crate) events: Vec<Alert>,
    /// Rows and dead letters of the open epoch.
    pub(crate) open: (Vec<i64>, Vec<String>),
    /// Outboxes that are done, but still named in the table.
    pub(crate) finished: Vec<Outbox>,
}

impl Source for Part {
    fn poll(&mut self, _: Duration) -> Result<Polled, Error> {
        self.world.survive("poll")?;
        let Some((&partition, &start)) = self.next.iter().min_by_key(|(_, next)| **next) else {
            return Ok(Polled::Ended);
        };
        if start >= RECORDS_EACH {
            return Ok(Polled::Ended);
        }
        let next = (start + 7).min(RECORDS_EACH);
        let mut raw = RawBatch::empty(Arc::clone(&self.topic));
        for offset in start..next {
            raw.push(partition, offset, Some(0), b"x");
        }
        let span = Span { start, next, records: (next - start).unsigned_abs(), leader_epoch: None };
        raw.covered.cover(TopicPartition::new(&self.topic, partition), span).unwrap();
        self.next.insert(partition, next);
        Ok(Polled::Batch(raw))
    }
}

impl Decoder for Part {
    fn decode(&mut self, raw: RawBatch) -> Result<Batch, Error> {
        self.world.survive("decode")?;
        let (mut values, mut record_of_row, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        for (record_idx, record) in raw.records.iter().enumerate() {
            if is_bad(record.offset) {
                let (class, reason) = (ReasonClass::InvalidJson, String::new());
                rejected.push(Rejected { record_idx, class, reason });
            } else {
                values.push(encode(record.partition, record.offset));
                record_of_row.push(u32::try_from(record_idx).unwrap());
            }
        }
        let schema = Arc::new(Schema::new(vec![Field::new("at", DataType::Int64, false)]));
        let columns =
            RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(values))]).unwrap();
        Ok(Batch { raw, columns, record_of_row, rejected })
    }
}

/// The id is a hash of the finding, as a detector's is: judged again after the same records, it is the same.
fn alert(found: String) -> Alert {
    let id = found.bytes().fold(0, |hash, byte| mix(hash, u64::from(byte)));
    Alert {
        id: format!("{id:016x}"),
        rule: "r".to_owned(),
        severity: Severity::Low,
        message: found,
        key: BTreeMap::new(),
        window_start: 0,
        first_event: 0,
        last_event: 0,
        count: 1,
        events: Vec::new(),
        labels: BTreeMap::new(),
        plugin: plugin(),
    }
}

fn plugin() -> PluginId {
    PluginId {
        name: "p".to_owned(),
        version: "1".to_owned(),
        sha256: String::new(),
        config_sha256: String::new(),
    }
}

impl Chain for Part {
    fn judge(&mut self, batch: Batch) -> Result<Judged, Error> {
        self.world.survive("judge")?;
        let Batch { raw, columns, rejected, .. } = batch;
        let letter = |one: &Rejected| {
            DeadLetter::of_record(&raw, one.record_idx, one.class, String::new(), None)
        };
        let dead_letters = rejected.iter().filter_map(letter).collect();
        let mut alerts = Vec::new();
        for at in &raw.records {
            self.state = mix(self.state, encode(at.partition, at.offset).unsigned_abs());
            if !raises_alert(at.offset) {
                continue;
            }
            let found = alert(format!("{}@{} in {:016x}", at.partition, at.offset, self.state));
            // Some are returned with the batch, others are events of the chain.
            if at.partition == 0 { alerts.push(found) } else { self.events.push(found) }
        }
        let topic = Arc::clone(&raw.topic);
        Ok(Judged { topic, rows: columns, covered: raw.covered, dead_letters, alerts })
    }

    fn take_changes(&mut self) -> Changes {
        self.drain_events()
    }

    fn drain_events(&mut self) -> Changes {
        Changes { alerts: std::mem::take(&mut self.events), ..Changes::default() }
    }

    fn snapshot(&mut self) -> Result<Vec<PluginState>, Error> {
        self.world.survive("snapshot")?;
        let (plugin, bytes) = (plugin(), self.state.to_le_bytes().to_vec());
        Ok(vec![PluginState { plugin, partition: None, state_version: 1, bytes }])
    }

    fn plugins(&self) -> Vec<PluginId> {
        vec![plugin()]
    }
}

impl Writer for Part {
    fn write(&mut self, _: &Arc<str>, rows: RecordBatch) -> Result<(), Error> {
        self.world.survive("write")?;
        self.open.0.extend(rows.column(0).as_primitive::<Int64Type>().values());
        Ok(())
    }

    fn write_dead_letters(&mut self, letters: Vec<DeadLetter>) -> Result<(), Error> {
        self.world.survive("write dead letters")?;
        self.open.1.extend(letters.iter().map(|l| format!("{}@{}", l.partition, l.offset)));
        Ok(())
    }

    fn write_changes(&mut self, _: &[Change]) -> Result<(), Error> {
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.open.1.len() > 3
    }

    fn seal(&mut self) -> Result<Staged, Error> {
        self.world.survive("seal")?;
        let (rows, dead_letters) = std::mem::take(&mut self.open);
        let id = self.world.n_epochs.fetch_add(1, Ordering::Relaxed);
        Ok(Staged {
            epoch_id: format!("{id:08}"),
            n_rows: rows.len() as u64,
            n_dead_letters: dead_letters.len() as u64,
            data_files: rows.iter().map(ToString::to_string).collect(),
            dead_letter_files: dead_letters,
            ..Staged::default()
        })
    }
}
