//! A plugin's code without a sandbox: the very functions that its component exports.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use audit_core::{Batch, RawBatch};
use audit_plugin_sdk::abi::audit_host::plugin::types as abi;
use audit_plugin_sdk::export::Slot;
use audit_plugin_sdk::{Context, Detector, Transform};

/// All batches through a new transform. Making its columns does not count.
pub(crate) fn transform<T: Transform>(config: &str, batches: &[Batch]) -> Result<Duration> {
    let slot = Slot::<T>::new();
    let binding = slot.configure_transform(config.to_owned());
    let binding = binding.map_err(|refused| anyhow!("{}: {}", refused.key, refused.message))?;
    timed(batches, &binding.reads, |ctx, batch| slot.transform(ctx, batch))
}

/// All batches through a new detector. Making its columns does not count.
pub(crate) fn detect<D: Detector>(config: &str, batches: &[Batch]) -> Result<Duration> {
    let slot = Slot::<D>::new();
    let binding = slot.configure_detector(config.to_owned());
    let binding = binding.map_err(|refused| anyhow!("{}: {}", refused.key, refused.message))?;
    timed(batches, &binding.reads, |ctx, batch| slot.detect(ctx, batch))
}

fn timed(
    batches: &[Batch],
    reads: &[String],
    mut judge: impl FnMut(&Context, abi::Batch) -> Result<abi::Judgement, audit_plugin_sdk::Fault>,
) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for batch in batches {
        let context = Context { topic: batch.raw.topic.to_string(), clock: clock_of(&batch.raw) };
        let given = columns(batch, reads)?;
        let started = Instant::now();
        let judged = black_box(judge(&context, black_box(given)));
        total += started.elapsed();
        let judged = judged.map_err(|fault| anyhow!("{fault:?}"))?;
        ensure!(judged.quarantined.is_empty(), "a generated event was quarantined");
    }
    Ok(total)
}

/// As the chain has it: the newest Kafka time, in microseconds.
fn clock_of(raw: &RawBatch) -> i64 {
    let newest = raw.records.iter().filter_map(|record| record.timestamp_ms).max();
    newest.unwrap_or(0) * 1000
}

/// The columns that a plugin reads, as they are when they have crossed the boundary.
pub(crate) fn columns(batch: &Batch, reads: &[String]) -> Result<abi::Batch> {
    let columns = reads.iter().map(|name| {
        let column = batch.columns.column_by_name(name);
        let column = column.with_context(|| format!("no column {name}"))?;
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
        let validity = nulls.map(|nulls| nulls.inner().sliced().as_slice().to_vec());
        Ok(abi::Column { name: name.clone(), validity, values: values(column.as_ref())? })
    });
    let rows = u32::try_from(batch.columns.num_rows())?;
    Ok(abi::Batch { rows, columns: columns.collect::<Result<_>>()? })
}

fn values(column: &dyn Array) -> Result<abi::ColumnValues> {
    Ok(match column.data_type() {
        DataType::Utf8 => {
            let column = column.as_string::<i32>();
            abi::ColumnValues::Utf8(abi::Utf8Values {
                offsets: column.value_offsets().to_vec(),
                values: column.value_data().to_vec(),
            })
        }
        DataType::Int32 => {
            abi::ColumnValues::Int32(column.as_primitive::<Int32Type>().values().to_vec())
        }
        DataType::Int64 => {
            abi::ColumnValues::Int64(column.as_primitive::<Int64Type>().values().to_vec())
        }
        DataType::Timestamp(..) => {
            let column = column.as_primitive::<TimestampMicrosecondType>();
            abi::ColumnValues::TimestampUs(column.values().to_vec())
        }
        other => return Err(anyhow!("no plugin reads {other}")),
    })
}
