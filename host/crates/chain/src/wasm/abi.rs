//! The generated bindings, and the conversion between Arrow columns and the WIT's columns.
//!
//! On the way in nothing is copied on the host's side: the guest's memory is filled from Arrow's buffers.
//! On the way back nothing is trusted: see [`lift`].

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use audit_core::schema;

wasmtime::component::bindgen!({
    path: "../../../wit",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
});

use audit_host::plugin::types;
pub(crate) use exports::audit_host::plugin::{lifecycle, state};

/// The Arrow type of a WIT column type.
pub(crate) fn arrow_type(of: types::ColumnType) -> DataType {
    match of {
        types::ColumnType::Utf8 => DataType::Utf8,
        types::ColumnType::Int32 => DataType::Int32,
        types::ColumnType::Int64 => DataType::Int64,
        types::ColumnType::Float64 => DataType::Float64,
        types::ColumnType::Boolean => DataType::Boolean,
        types::ColumnType::TimestampUs => schema::timestamp_type(),
    }
}

/// An Arrow column whose buffers can be passed to a guest: starting at row 0, byte-aligned.
pub(crate) struct Lowered<'a> {
    name: &'a str,
    validity: Option<Vec<u8>>,
    values: LoweredValues<'a>,
}

enum LoweredValues<'a> {
    Utf8 { offsets: Cow<'a, [i32]>, values: &'a [u8] },
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float64(&'a [f64]),
    Boolean(Vec<u8>),
    TimestampUs(&'a [i64]),
}

impl<'a> Lowered<'a> {
    /// `None` for a type that the WIT lacks.
    pub(crate) fn of(name: &'a str, column: &'a dyn Array) -> Option<Self> {
        let values = match column.data_type() {
            DataType::Utf8 => lower_utf8(column.as_string::<i32>()),
            DataType::Int32 => LoweredValues::Int32(column.as_primitive::<Int32Type>().values()),
            DataType::Int64 => LoweredValues::Int64(column.as_primitive::<Int64Type>().values()),
            DataType::Float64 => {
                LoweredValues::Float64(column.as_primitive::<Float64Type>().values())
            }
            DataType::Boolean => {
                LoweredValues::Boolean(column.as_boolean().values().iter().map(u8::from).collect())
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => LoweredValues::TimestampUs(
                column.as_primitive::<TimestampMicrosecondType>().values(),
            ),
            _ => return None,
        };
        let validity = column
            .nulls()
            .filter(|nulls| nulls.null_count() > 0)
            .map(|nulls| nulls.inner().sliced().as_slice().to_vec());
        Some(Self { name, validity, values })
    }

    pub(crate) fn as_param(&self) -> types::ColumnParam<'_> {
        let values = match &self.values {
            LoweredValues::Utf8 { offsets, values } => {
                types::ColumnValuesParam::Utf8(types::Utf8ValuesParam { offsets, values })
            }
            LoweredValues::Int32(values) => types::ColumnValuesParam::Int32(values),
            LoweredValues::Int64(values) => types::ColumnValuesParam::Int64(values),
            LoweredValues::Float64(values) => types::ColumnValuesParam::Float64(values),
            LoweredValues::Boolean(values) => types::ColumnValuesParam::Boolean(values),
            LoweredValues::TimestampUs(values) => types::ColumnValuesParam::TimestampUs(values),
        };
        types::ColumnParam { name: self.name, validity: self.validity.as_deref(), values }
    }
}

fn lower_utf8(column: &StringArray) -> LoweredValues<'_> {
    let offsets: &[i32] = column.value_offsets();
    let start = offsets.first().copied().unwrap_or(0);
    let end = offsets.last().copied().unwrap_or(0);
    let values = column.value_data().get(start as usize..end as usize).unwrap_or_default();
    let offsets = if start == 0 {
        Cow::Borrowed(offsets)
    } else {
        Cow::Owned(offsets.iter().map(|offset| offset - start).collect())
    };
    LoweredValues::Utf8 { offsets, values }
}

/// Converts a column of a guest to an Arrow array, or says what is wrong with it.
pub(crate) fn lift(column: types::ColumnResult, n_rows: usize) -> Result<ArrayRef, String> {
    let validity = lift_validity(column.validity, n_rows)?;
    let check = |n: usize| {
        if n == n_rows { Ok(()) } else { Err(format!("{n} values for {n_rows} rows")) }
    };
    Ok(match column.values {
        types::ColumnValuesResult::Utf8(text) => Arc::new(lift_utf8(text, validity, n_rows)?),
        types::ColumnValuesResult::Int32(values) => {
            check(values.len())?;
            Arc::new(Int32Array::new(ScalarBuffer::from(values), validity))
        }
        types::ColumnValuesResult::Int64(values) => {
            check(values.len())?;
            Arc::new(Int64Array::new(ScalarBuffer::from(values), validity))
        }
        types::ColumnValuesResult::Float64(values) => {
            check(values.len())?;
            Arc::new(Float64Array::new(ScalarBuffer::from(values), validity))
        }
        types::ColumnValuesResult::Boolean(values) => {
            check(values.len())?;
            if let Some(row) = values.iter().position(|value| *value > 1) {
                return Err(format!("row {row}: a boolean must be 0 or 1"));
            }
            let bits = values.iter().map(|value| *value == 1).collect::<BooleanBuffer>();
            Arc::new(BooleanArray::new(bits, validity))
        }
        types::ColumnValuesResult::TimestampUs(values) => {
            check(values.len())?;
            let column = TimestampMicrosecondArray::new(ScalarBuffer::from(values), validity);
            Arc::new(column.with_timezone(schema::UTC))
        }
    })
}

fn lift_validity(validity: Option<Vec<u8>>, n_rows: usize) -> Result<Option<NullBuffer>, String> {
    let Some(bytes) = validity else { return Ok(None) };
    let n_bytes = n_rows.div_ceil(8);
    if bytes.len() != n_bytes {
        return Err(format!("{} bytes of validity, not {n_bytes} for {n_rows} rows", bytes.len()));
    }
    let bits = BooleanBuffer::new(Buffer::from_vec(bytes), 0, n_rows);
    Ok(Some(NullBuffer::new(bits)))
}

fn lift_utf8(
    text: types::Utf8ValuesResult,
    validity: Option<NullBuffer>,
    n_rows: usize,
) -> Result<StringArray, String> {
    let types::Utf8ValuesResult { offsets, values } = text;
    if offsets.len() != n_rows + 1 {
        return Err(format!("{} offsets for {n_rows} rows, not {}", offsets.len(), n_rows + 1));
    }
    if offsets.first() != Some(&0) {
        return Err("the first offset is not 0".to_owned());
    }
    if let Some(row) = offsets.windows(2).position(|pair| matches!(pair, [a, b] if a > b)) {
        return Err(format!("row {row}: the offset after it is smaller than the one before"));
    }
    if offsets.last().and_then(|last| usize::try_from(*last).ok()) != Some(values.len()) {
        return Err(format!("the last offset is not {}, the length of the values", values.len()));
    }
    // Arrow checks the UTF-8, and that every value begins and ends between two characters.
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    StringArray::try_new(offsets, Buffer::from_vec(values), validity)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf8(offsets: &[i32], values: &[u8]) -> types::ColumnResult {
        let text = types::Utf8ValuesResult { offsets: offsets.to_vec(), values: values.to_vec() };
        types::ColumnResult {
            name: "c".to_owned(),
            validity: None,
            values: types::ColumnValuesResult::Utf8(text),
        }
    }

    #[test]
    fn a_lowered_column_is_lifted_unchanged() {
        let column = StringArray::from(vec![Some("x"), Some("é"), None, Some("yz")]);
        let sliced = column.slice(1, 3);
        let lowered = Lowered::of("c", &sliced).unwrap();
        let param = lowered.as_param();
        let types::ColumnValuesParam::Utf8(text) = &param.values else { panic!("not utf8") };
        let back = types::ColumnResult {
            name: "c".to_owned(),
            validity: param.validity.map(<[u8]>::to_vec),
            values: types::ColumnValuesResult::Utf8(types::Utf8ValuesResult {
                offsets: text.offsets.to_vec(),
                values: text.values.to_vec(),
            }),
        };
        let lifted = lift(back, 3).unwrap();
        assert_eq!(lifted.as_string::<i32>(), &sliced);
    }

    #[test]
    fn hostile_columns_are_refused() {
        for (offsets, values, expect) in [
            (&[0, 1][..], &b"a"[..], "2 offsets for 2 rows, not 3"),
            (&[1, 1, 1], b"a", "the first offset is not 0"),
            (&[0, 1, 0], b"", "row 1: the offset after it is smaller than the one before"),
            (&[0, 1, 9], b"ab", "the last offset is not 2, the length of the values"),
            (&[0, -1, 2], b"ab", "row 0: the offset after it is smaller than the one before"),
            (&[0, 1, 2], b"\xff\xfe", "Invalid argument error"),
            (&[0, 1, 2], "é".as_bytes(), "Invalid argument error"),
        ] {
            let error = lift(utf8(offsets, values), 2).unwrap_err();
            assert!(error.starts_with(expect), "{error}");
        }
        let mut short = utf8(&[0, 1, 2], b"ab");
        short.validity = Some(vec![]);
        assert_eq!(lift(short, 2).unwrap_err(), "0 bytes of validity, not 1 for 2 rows");

        let column = |values| types::ColumnResult { name: "c".to_owned(), validity: None, values };
        let two = column(types::ColumnValuesResult::Boolean(vec![1, 2]));
        assert_eq!(lift(two, 2).unwrap_err(), "row 1: a boolean must be 0 or 1");
        let short = column(types::ColumnValuesResult::Int64(vec![1]));
        assert_eq!(lift(short, 2).unwrap_err(), "1 values for 2 rows");
    }
}
