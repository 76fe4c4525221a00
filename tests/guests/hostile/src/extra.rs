//! Wrong values in a column that the plugin adds, of types that no column of an event has.

use crate::abi::audit_host::plugin::types::{Column, ColumnType, ColumnValues, Judgement};
use crate::options::{Behavior, Call, Table};

pub(crate) const TABLE: Table = &[
    ("bad-boolean", Behavior::SpoilExtra(ColumnType::Boolean, bad_boolean)),
    ("extreme-time", Behavior::SpoilExtra(ColumnType::TimestampUs, extreme_time)),
    ("extreme-float", Behavior::SpoilExtra(ColumnType::Float64, extreme_float)),
    ("short-int64", Behavior::SpoilExtra(ColumnType::Int64, short_int64)),
    ("long-int32", Behavior::SpoilExtra(ColumnType::Int32, long_int32)),
];

/// The name of the column.
pub(crate) const NAME: &str = "hostile_extra";

/// The column of a well-behaved answer.
pub(crate) fn column(of: ColumnType, n_rows: usize) -> Column {
    let values = match of {
        ColumnType::Int32 => ColumnValues::Int32(vec![0; n_rows]),
        ColumnType::Int64 | ColumnType::Utf8 => ColumnValues::Int64(vec![0; n_rows]),
        ColumnType::Float64 => ColumnValues::Float64(vec![0.0; n_rows]),
        ColumnType::Boolean => ColumnValues::Boolean(vec![0; n_rows]),
        ColumnType::TimestampUs => ColumnValues::TimestampUs(vec![0; n_rows]),
    };
    Column { name: NAME.to_owned(), validity: None, values }
}

fn values(answer: &mut Judgement) -> Option<&mut ColumnValues> {
    answer.columns.iter_mut().find(|column| column.name == NAME).map(|column| &mut column.values)
}

/// A byte that is neither 0 nor 1.
fn bad_boolean(call: &Call, answer: &mut Judgement) {
    if let Some(ColumnValues::Boolean(values)) = values(answer) {
        values[call.row] = 7;
    }
}

/// A time that no calendar of four digits has.
fn extreme_time(call: &Call, answer: &mut Judgement) {
    if let Some(ColumnValues::TimestampUs(values)) = values(answer) {
        values[call.row] = if call.row.is_multiple_of(2) { i64::MAX } else { i64::MIN };
    }
}

/// Not wrong by the contract: not a number, with bits of its own.
fn extreme_float(call: &Call, answer: &mut Judgement) {
    if let Some(ColumnValues::Float64(values)) = values(answer) {
        values[call.row] = f64::from_bits(0xfff8_dead_beef_0001);
    }
}

fn short_int64(_: &Call, answer: &mut Judgement) {
    if let Some(ColumnValues::Int64(values)) = values(answer) {
        values.pop();
    }
}

fn long_int32(_: &Call, answer: &mut Judgement) {
    if let Some(ColumnValues::Int32(values)) = values(answer) {
        values.push(0);
    }
}
