//! A batch of events as typed columns.
//!
//! The buffers that the host wrote are used as they are, without a copy. Their shape is checked once, so that
//! reading a value needs no further checks.

use crate::abi::audit_host::plugin::types::{self as abi, ColumnValues, Fault, Utf8Values};

/// The columns that the binding requested.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    rows: usize,
    // Invariant: every column has `rows` rows.
    columns: Vec<(String, Column)>,
}

impl Batch {
    /// The number of rows, the same for every column.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A column of text.
    pub fn utf8(&self, name: &str) -> Result<&Utf8Column, Fault> {
        match self.column(name)? {
            Column::Utf8(column) => Ok(column),
            other => Err(wrong_type(name, other, "utf8")),
        }
    }

    /// A column of 32-bit integers.
    pub fn int32(&self, name: &str) -> Result<&Fixed<i32>, Fault> {
        match self.column(name)? {
            Column::Int32(column) => Ok(column),
            other => Err(wrong_type(name, other, "int32")),
        }
    }

    /// A column of 64-bit integers.
    pub fn int64(&self, name: &str) -> Result<&Fixed<i64>, Fault> {
        match self.column(name)? {
            Column::Int64(column) => Ok(column),
            other => Err(wrong_type(name, other, "int64")),
        }
    }

    /// A column of floating-point numbers.
    pub fn float64(&self, name: &str) -> Result<&Fixed<f64>, Fault> {
        match self.column(name)? {
            Column::Float64(column) => Ok(column),
            other => Err(wrong_type(name, other, "float64")),
        }
    }

    /// A column of booleans.
    pub fn boolean(&self, name: &str) -> Result<&BooleanColumn, Fault> {
        match self.column(name)? {
            Column::Boolean(column) => Ok(column),
            other => Err(wrong_type(name, other, "boolean")),
        }
    }

    /// A column of microseconds since 1970-01-01T00:00:00Z.
    pub fn timestamp(&self, name: &str) -> Result<&Fixed<i64>, Fault> {
        match self.column(name)? {
            Column::Timestamp(column) => Ok(column),
            other => Err(wrong_type(name, other, "timestamp")),
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn columns(&self) -> &[(String, Column)] {
        &self.columns
    }

    fn column(&self, name: &str) -> Result<&Column, Fault> {
        self.columns.iter().find_map(|(own, column)| (own == name).then_some(column)).ok_or_else(
            || {
                Fault::BadInput(format!(
                    "no column {name} in the batch: `configure` did not ask for it"
                ))
            },
        )
    }

    pub(crate) fn from_abi(batch: abi::Batch) -> Result<Self, Fault> {
        let rows = batch.rows as usize;
        let mut columns = Vec::with_capacity(batch.columns.len());
        for column in batch.columns {
            let name = column.name;
            let values = Column::from_abi(rows, column.validity, column.values)
                .ok_or_else(|| Fault::BadInput(format!("column {name} is not of {rows} rows")))?;
            columns.push((name, values));
        }
        Ok(Self { rows, columns })
    }
}

fn wrong_type(name: &str, column: &Column, wanted: &str) -> Fault {
    let is = match column {
        Column::Utf8(_) => "utf8",
        Column::Int32(_) => "int32",
        Column::Int64(_) => "int64",
        Column::Float64(_) => "float64",
        Column::Boolean(_) => "boolean",
        Column::Timestamp(_) => "timestamp",
    };
    Fault::BadInput(format!("column {name} is {is}, not {wanted}"))
}

/// One column of a batch or of a judgement.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Text.
    Utf8(Utf8Column),
    /// 32-bit integers.
    Int32(Fixed<i32>),
    /// 64-bit integers.
    Int64(Fixed<i64>),
    /// Floating-point numbers.
    Float64(Fixed<f64>),
    /// Booleans.
    Boolean(BooleanColumn),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(Fixed<i64>),
}

impl Column {
    /// `None` if the lengths do not match the number of rows.
    fn from_abi(rows: usize, validity: Option<Vec<u8>>, values: ColumnValues) -> Option<Self> {
        let validity = Validity::new(rows, validity)?;
        Some(match values {
            ColumnValues::Utf8(values) => Self::Utf8(Utf8Column::new(rows, validity, values)?),
            ColumnValues::Int32(values) => Self::Int32(Fixed::new(rows, validity, values)?),
            ColumnValues::Int64(values) => Self::Int64(Fixed::new(rows, validity, values)?),
            ColumnValues::Float64(values) => Self::Float64(Fixed::new(rows, validity, values)?),
            ColumnValues::Boolean(values) => {
                Self::Boolean(BooleanColumn(Fixed::new(rows, validity, values)?))
            }
            ColumnValues::TimestampUs(values) => {
                Self::Timestamp(Fixed::new(rows, validity, values)?)
            }
        })
    }

    pub(crate) fn into_abi(self, name: String) -> abi::Column {
        let (validity, values) = match self {
            Self::Utf8(column) => (column.validity, ColumnValues::Utf8(column.values)),
            Self::Int32(column) => (column.validity, ColumnValues::Int32(column.values)),
            Self::Int64(column) => (column.validity, ColumnValues::Int64(column.values)),
            Self::Float64(column) => (column.validity, ColumnValues::Float64(column.values)),
            Self::Boolean(column) => (column.0.validity, ColumnValues::Boolean(column.0.values)),
            Self::Timestamp(column) => (column.validity, ColumnValues::TimestampUs(column.values)),
        };
        abi::Column { name, validity: validity.bits, values }
    }
}

/// A column of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Utf8Column {
    validity: Validity,
    // Invariant: offsets start at 0, never fall, and end at the length of the values.
    values: Utf8Values,
}

impl Utf8Column {
    pub(crate) fn new(rows: usize, validity: Validity, values: Utf8Values) -> Option<Self> {
        let well_formed = values.offsets.len() == rows + 1
            && values.offsets.first() == Some(&0)
            && values.offsets.last().is_some_and(|&end| end as usize == values.values.len())
            && values.offsets.is_sorted();
        well_formed.then_some(Self { validity, values })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.offsets.len() - 1
    }

    /// The bytes of a value. `None` for a null row and for a row that does not exist.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        if self.validity.is_null(row) {
            return None;
        }
        let start = *self.values.offsets.get(row)? as usize;
        let end = *self.values.offsets.get(row + 1)? as usize;
        self.values.values.get(start..end)
    }

    /// A value as text. `None` for a null row, for a row that does not exist, and for bytes that are
    /// not UTF-8, which the host does not send.
    pub fn get_str(&self, row: usize) -> Option<&str> {
        std::str::from_utf8(self.get(row)?).ok()
    }

    /// The bytes of all values, concatenated, to process the whole column at once.
    pub fn bytes(&self) -> &[u8] {
        &self.values.values
    }

    /// Rows + 1 positions in [`Self::bytes`].
    pub fn offsets(&self) -> &[i32] {
        &self.values.offsets
    }

    /// Replaces bytes of a value by the same number of others. Does nothing if the value has fewer bytes after
    /// the position.
    pub fn overwrite(&mut self, row: usize, at: usize, bytes: &[u8]) {
        let offset = |row: usize| self.values.offsets.get(row).map(|&offset| offset as usize);
        if let (Some(start), Some(end)) = (offset(row), offset(row + 1))
            && let Some(value) = self.values.values.get_mut(start..end)
            && let Some(place) = value.get_mut(at..at + bytes.len())
        {
            place.copy_from_slice(bytes);
        }
    }

    /// Whether any row is null.
    pub fn has_nulls(&self) -> bool {
        self.validity.bits.is_some()
    }

    pub(crate) fn validity(&self) -> &Validity {
        &self.validity
    }

    pub(crate) fn abi(&self) -> &Utf8Values {
        &self.values
    }
}

/// A column of fixed-width values.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixed<T> {
    validity: Validity,
    values: Vec<T>,
}

impl<T: Copy> Fixed<T> {
    fn new(rows: usize, validity: Validity, values: Vec<T>) -> Option<Self> {
        (values.len() == rows).then_some(Self { validity, values })
    }

    /// A column from one value or null per row.
    pub fn from_options(values: &[Option<T>], null: T) -> Self {
        let mut bits = ValidityBuilder::default();
        for value in values {
            bits.push(value.is_some());
        }
        Self {
            validity: bits.finish(),
            values: values.iter().map(|value| value.unwrap_or(null)).collect(),
        }
    }

    /// The value of a row. `None` for a null row and for a row that does not exist.
    #[inline]
    pub fn get(&self, row: usize) -> Option<T> {
        if self.validity.is_null(row) {
            return None;
        }
        self.values.get(row).copied()
    }
}

/// A column of booleans.
#[derive(Debug, Clone, PartialEq)]
pub struct BooleanColumn(Fixed<u8>);

impl BooleanColumn {
    /// A column from one value or null per row.
    pub fn from_options(values: &[Option<bool>]) -> Self {
        let bytes: Vec<Option<u8>> = values.iter().map(|value| value.map(u8::from)).collect();
        Self(Fixed::from_options(&bytes, 0))
    }

    /// The value of a row. `None` for a null row and for a row that does not exist.
    #[inline]
    pub fn get(&self, row: usize) -> Option<bool> {
        self.0.get(row).map(|byte| byte != 0)
    }
}

/// Which rows hold a value: one bit per row, least significant first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Validity {
    bits: Option<Vec<u8>>,
}

impl Validity {
    pub(crate) fn new(rows: usize, bits: Option<Vec<u8>>) -> Option<Self> {
        let fits = bits.as_ref().is_none_or(|bits| bits.len() == rows.div_ceil(8));
        fits.then_some(Self { bits })
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        match &self.bits {
            None => false,
            Some(bits) => bits.get(row / 8).is_some_and(|byte| byte & (1 << (row % 8)) == 0),
        }
    }
}

/// Collects validity bits; no bitmap exists before the first null.
#[derive(Debug, Default)]
pub(crate) struct ValidityBuilder {
    rows: usize,
    bits: Option<Vec<u8>>,
}

impl ValidityBuilder {
    pub(crate) fn push(&mut self, valid: bool) {
        if !valid {
            self.bits.get_or_insert_with(|| ones(self.rows));
        }
        if let Some(bits) = &mut self.bits {
            if self.rows.is_multiple_of(8) {
                bits.push(0);
            }
            if valid && let Some(last) = bits.last_mut() {
                *last |= 1 << (self.rows % 8);
            }
        }
        self.rows += 1;
    }

    pub(crate) fn push_valid_run(&mut self, rows: usize) {
        if self.bits.is_none() {
            self.rows += rows;
            return;
        }
        for _ in 0..rows {
            self.push(true);
        }
    }

    pub(crate) fn finish(self) -> Validity {
        Validity { bits: self.bits }
    }
}

/// A bitmap of `rows` ones, the bits after the last row zero.
fn ones(rows: usize) -> Vec<u8> {
    let mut bits = vec![0xff; rows / 8];
    if !rows.is_multiple_of(8) {
        bits.push((1 << (rows % 8)) - 1);
    }
    bits
}
