//! Rows by key and time. The rows of a key are a group, ordered by their validity.

use crate::error::Place;

/// The validity of a row in microseconds since 1970: start (inclusive) and end (exclusive).
pub(crate) type Validity = (i64, i64);

/// The groups, in the order of their keys.
#[derive(Debug)]
pub(crate) struct Groups {
    /// Rows, group by group.
    rows: Vec<u32>,
    /// The start of each group in `rows`, and the end of the last one.
    starts: Vec<u32>,
    /// By position in `rows`. Empty for a table without validity.
    validity: Vec<Validity>,
}

/// Two rows that exclude each other.
pub(crate) struct Conflict {
    pub(crate) row: u32,
    pub(crate) earlier: u32,
}

impl Groups {
    /// `keys` has one key per row. `validity` has one entry per row, or is empty.
    pub(crate) fn new<K: Ord>(keys: &[K], validity: &[Validity]) -> Result<Self, Conflict> {
        let key = |row: &u32| keys.get(*row as usize);
        let valid = |row: &u32| validity.get(*row as usize).copied();
        let mut rows: Vec<u32> = (0..keys.len() as u32).collect();
        // By row as well, so that an error names the rows in order.
        rows.sort_unstable_by(|a, b| (key(a), valid(a), a).cmp(&(key(b), valid(b), b)));
        let mut starts = Vec::new();
        for (position, row) in rows.iter().enumerate() {
            let before = position.checked_sub(1).and_then(|before| rows.get(before));
            let Some(before) = before.filter(|before| key(before) == key(row)) else {
                starts.push(position as u32);
                continue;
            };
            let follows = match (valid(before), valid(row)) {
                (Some((_, end)), Some((start, _))) => end <= start,
                _ => false,
            };
            if !follows {
                return Err(Conflict { row: *row.max(before), earlier: *row.min(before) });
            }
        }
        starts.push(rows.len() as u32);
        let validity =
            if validity.is_empty() { Vec::new() } else { rows.iter().filter_map(valid).collect() };
        Ok(Self { rows, starts, validity })
    }

    pub(crate) fn len(&self) -> u32 {
        (self.starts.len() - 1) as u32
    }

    /// Any row of the group: all have its key.
    pub(crate) fn any_row(&self, group: u32) -> u32 {
        let start = self.starts.get(group as usize).copied().unwrap_or_default();
        self.rows.get(start as usize).copied().unwrap_or_default()
    }

    /// The row of the group that is valid at a time. Without validity, its only row.
    #[inline]
    pub(crate) fn row_at(&self, group: u32, time: Option<i64>) -> Option<u32> {
        let group = group as usize;
        let start = *self.starts.get(group)? as usize;
        if self.validity.is_empty() {
            return self.rows.get(start).copied();
        }
        let (end, time) = (*self.starts.get(group + 1)? as usize, time?);
        let of_group = self.validity.get(start..end)?;
        let position = of_group.partition_point(|(from, _)| *from <= time).checked_sub(1)?;
        let (_, to) = of_group.get(position)?;
        if time < *to { self.rows.get(start + position).copied() } else { None }
    }
}

/// The text of an error about two rows that exclude each other.
pub(crate) fn conflict_text(is_temporal: bool, earlier: Place) -> String {
    if is_temporal {
        format!(
            "its validity overlaps {earlier} with the same key: let one end where the other begins"
        )
    } else {
        format!("duplicate key: {earlier} has it already")
    }
}
