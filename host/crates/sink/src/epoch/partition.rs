//! Which rows belong to which partition: the day of the event, and its action.

use std::collections::HashMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use audit_core::schema;
use iceberg::spec::{Literal, Struct};

use crate::error::Error;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The values of the table's two partition fields. Null where the row has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Partition {
    day: Option<i32>,
    action_type: Option<String>,
}

impl Partition {
    pub(crate) fn to_struct(&self) -> Struct {
        Struct::from_iter([
            self.day.map(Literal::date),
            self.action_type.as_ref().map(Literal::string),
        ])
    }
}

/// Rows by partition. A row is named by the index of its batch and its index there.
pub(crate) type Groups = HashMap<Partition, Vec<(usize, usize)>>;

/// Groups the rows of several batches by partition.
pub(crate) fn group(batches: &[&RecordBatch]) -> Result<Groups, Error> {
    // Keyed by borrowed text while grouping: an owned key per row would cost more than everything else, and the
    // standard library's hashes more than a hundredth of a run.
    let mut groups: HashMap<_, Vec<(usize, usize)>, ahash::RandomState> = HashMap::default();
    for (batch_idx, batch) in batches.iter().enumerate() {
        let times = column(batch, schema::EVENT_TIMESTAMP)?
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| wrong(schema::EVENT_TIMESTAMP))?;
        let actions = column(batch, schema::ACTION_TYPE)?
            .as_string_opt::<i32>()
            .ok_or_else(|| wrong(schema::ACTION_TYPE))?;
        for row in 0..batch.num_rows() {
            let day = times.is_valid(row).then(|| day_of(times.value(row)));
            let action = actions.is_valid(row).then(|| actions.value(row));
            groups.entry((day, action)).or_default().push((batch_idx, row));
        }
    }
    let owned = groups.into_iter().map(|((day, action), rows)| {
        (Partition { day, action_type: action.map(str::to_owned) }, rows)
    });
    Ok(owned.collect())
}

fn column<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a dyn Array, Error> {
    batch.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| wrong(name))
}

fn wrong(column: &'static str) -> Error {
    Error::BatchColumn { column }
}

/// Days since 1970, as Iceberg's `day` transform counts them: before 1970 they are negative.
fn day_of(micros: i64) -> i32 {
    i32::try_from(micros.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_1970_are_negative() {
        assert_eq!(day_of(0), 0);
        assert_eq!(day_of(-1), -1);
        assert_eq!(day_of(MICROS_PER_DAY - 1), 0);
        assert_eq!(day_of(-MICROS_PER_DAY), -1);
    }
}
