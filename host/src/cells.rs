//! Rows of Arrow columns as JSON, for people and for expected files.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// All columns of a row that are not null, by name.
pub(crate) fn row(rows: &RecordBatch, row_idx: usize) -> Map<String, Value> {
    let schema = rows.schema_ref();
    let cells = schema.fields().iter().zip(rows.columns());
    cells
        .map(|(field, column)| (field.name().clone(), cell(column.as_ref(), row_idx)))
        .filter(|(_, value)| !value.is_null())
        .collect()
}

/// A value of a column; null where there is none. Times are RFC 3339 in UTC. Numbers that JSON does not
/// have (`NaN`) are text.
pub(crate) fn cell(column: &dyn Array, row_idx: usize) -> Value {
    if row_idx >= column.len() || column.is_null(row_idx) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row_idx).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row_idx).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row_idx).into(),
        DataType::Boolean => column.as_boolean().value(row_idx).into(),
        DataType::Float64 => {
            let number = column.as_primitive::<Float64Type>().value(row_idx);
            let finite = serde_json::Number::from_f64(number);
            finite.map_or_else(|| number.to_string().into(), Value::Number)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            time(column.as_primitive::<TimestampMicrosecondType>().value(row_idx))
        }
        // Columns of events and plugins have the types above and no other.
        other => format!("({other})").into(),
    }
}

/// Microseconds since 1970 as RFC 3339; the number where no year can hold it.
fn time(micros: i64) -> Value {
    Timestamp::from_microsecond(micros)
        .map_or_else(|_| micros.into(), |time| time.to_string().into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_of_a_column_is_shown() {
        let times = TimestampMicrosecondArray::from(vec![Some(1), None, Some(i64::MAX)]);
        let columns: [(&str, ArrayRef); 6] = [
            ("text", Arc::new(StringArray::from(vec![Some("a"), None, Some("")]))),
            ("small", Arc::new(Int32Array::from(vec![Some(-1), None, Some(2)]))),
            ("large", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(2)]))),
            ("yes", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
            ("number", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::NAN)]))),
            ("time", Arc::new(times.with_timezone("+00:00"))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let shown = |idx| Value::Object(row(&rows, idx));
        let first = json!({
            "text": "a", "small": -1, "large": i64::MIN, "yes": true, "number": 0.1,
            "time": "1970-01-01T00:00:00.000001Z",
        });
        let last = json!({
            "text": "", "small": 2, "large": 2, "yes": false, "number": "NaN", "time": i64::MAX,
        });
        assert_eq!((shown(0), shown(1), shown(2)), (first, json!({}), last));
        assert_eq!(cell(rows.column(0).as_ref(), 9), Value::Null);
    }
}
