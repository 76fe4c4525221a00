//! A mock of the host for unit tests: batches from literals, captured log lines, keys, tables and calendars
//! from the test, and the host's checks of what a plugin returns.
//!
//! Everything is per thread, as tests are, so that tests do not affect each other.

use crate::abi::audit_host::plugin::types::{self as abi, Context, Fault};
use crate::abi::exports::audit_host::plugin::lifecycle::{self, ConfigError};
use crate::abi::exports::audit_host::plugin::state::RestoreError;
use crate::batch::{Batch, BooleanColumn, Column, Fixed, Utf8Column};
use crate::builder::Utf8Builder;
use crate::export::Slot;
use crate::judgement::Judgement;
use crate::plugin::{Detector, Transform};

pub(crate) mod crypto;
pub(crate) mod log;
pub(crate) mod lookup;

pub use crypto::grant_key;
pub use log::take_log;
pub use lookup::{Table, give_calendar, give_table};

/// Makes a batch.
#[derive(Debug)]
pub struct BatchBuilder {
    rows: usize,
    columns: Vec<abi::Column>,
}

impl BatchBuilder {
    /// A batch with this number of rows.
    pub fn new(rows: usize) -> Self {
        Self { rows, columns: Vec::new() }
    }

    /// Adds a column of text.
    #[must_use]
    pub fn utf8(self, name: &str, values: &[Option<&str>]) -> Self {
        self.column(name, values.len(), Column::Utf8(utf8(values)))
    }

    /// Adds a column of 32-bit integers.
    #[must_use]
    pub fn int32(self, name: &str, values: &[Option<i32>]) -> Self {
        self.column(name, values.len(), Column::Int32(Fixed::from_options(values, 0)))
    }

    /// Adds a column of 64-bit integers.
    #[must_use]
    pub fn int64(self, name: &str, values: &[Option<i64>]) -> Self {
        self.column(name, values.len(), Column::Int64(Fixed::from_options(values, 0)))
    }

    /// Adds a column of floating-point numbers.
    #[must_use]
    pub fn float64(self, name: &str, values: &[Option<f64>]) -> Self {
        self.column(name, values.len(), Column::Float64(Fixed::from_options(values, 0.0)))
    }

    /// Adds a column of booleans.
    #[must_use]
    pub fn boolean(self, name: &str, values: &[Option<bool>]) -> Self {
        self.column(name, values.len(), Column::Boolean(BooleanColumn::from_options(values)))
    }

    /// Adds a column of microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn timestamp(self, name: &str, values: &[Option<i64>]) -> Self {
        self.column(name, values.len(), Column::Timestamp(Fixed::from_options(values, 0)))
    }

    /// The batch.
    pub fn build(self) -> Batch {
        let batch = abi::Batch { rows: self.rows as u32, columns: self.columns };
        Batch::from_abi(batch).expect("lengths were checked as columns came")
    }

    fn column(mut self, name: &str, rows: usize, column: Column) -> Self {
        assert_eq!(rows, self.rows, "rows of column {name}");
        self.columns.push(column.into_abi(name.to_owned()));
        self
    }
}

/// A column of text.
pub fn utf8(values: &[Option<&str>]) -> Utf8Column {
    let mut builder = Utf8Builder::with_capacity(values.len(), 0);
    for value in values {
        match value {
            Some(value) => builder.push(value.as_bytes()),
            None => builder.push_null(),
        }
    }
    builder.finish()
}

/// The values of a column of text that a plugin returned.
pub fn texts<'a>(judgement: &'a Judgement, column: &str) -> Vec<Option<&'a str>> {
    let found = judgement.columns().iter().find(|(name, _)| name == column);
    let Some((_, Column::Utf8(column))) = found else {
        panic!("no column {column} of text was returned");
    };
    (0..column.rows()).map(|row| column.get_str(row)).collect()
}

/// A context with a clock.
pub fn context(clock: i64) -> Context {
    Context { topic: "audit_events".to_owned(), clock }
}

/// A transform with its configuration, run as the host runs it.
#[derive(Debug)]
pub struct Transformer<T> {
    slot: Slot<T>,
    binding: lifecycle::Binding,
}

impl<T: Transform> Transformer<T> {
    /// Configures the plugin.
    pub fn new(config: &str) -> Result<Self, ConfigError> {
        let slot = Slot::new();
        let binding = slot.configure_transform(config.to_owned())?;
        Ok(Self { slot, binding })
    }

    /// The columns that the plugin reads.
    pub fn reads(&self) -> &[String] {
        &self.binding.reads
    }

    /// The columns that the plugin writes.
    pub fn writes(&self) -> &[lifecycle::OutputColumn] {
        &self.binding.writes
    }

    /// Judges a batch and checks the result as the host does.
    pub fn process(&mut self, batch: &Batch) -> Result<Judgement, Fault> {
        let answer = self.slot.transform(&context(0), projected(batch, &self.binding.reads))?;
        assert!(answer.alerts.is_empty(), "a transform raises no alerts");
        Ok(checked(answer, batch.rows(), &self.binding))
    }
}

/// A detector with its configuration, run as the host runs it.
#[derive(Debug)]
pub struct Detection<D> {
    slot: Slot<D>,
    binding: lifecycle::Binding,
}

impl<D: Detector> Detection<D> {
    /// Configures the plugin.
    pub fn new(config: &str) -> Result<Self, ConfigError> {
        let slot = Slot::new();
        let binding = slot.configure_detector(config.to_owned())?;
        Ok(Self { slot, binding })
    }

    /// The columns that the plugin reads.
    pub fn reads(&self) -> &[String] {
        &self.binding.reads
    }

    /// Judges a batch at a time of the clock and checks the result as the host does.
    pub fn process(&mut self, clock: i64, batch: &Batch) -> Result<Judgement, Fault> {
        let answer = self.slot.detect(&context(clock), projected(batch, &self.binding.reads))?;
        for alert in &answer.alerts {
            let keys = alert.key.iter().map(|field| field.name.as_str());
            assert!(keys.eq(D::DESCRIPTION.key_columns.iter().copied()) || alert.key.is_empty());
            assert!(alert.events.len() <= 100, "the host keeps 100 events");
        }
        Ok(checked(answer, batch.rows(), &self.binding))
    }

    /// The state.
    pub fn snapshot(&self) -> Vec<u8> {
        self.slot.snapshot()
    }

    /// Restores a state.
    pub fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        self.slot.restore(version, bytes)
    }
}

/// The columns that a plugin requested, in its order.
fn projected(batch: &Batch, reads: &[String]) -> abi::Batch {
    let columns = reads.iter().map(|name| {
        let column = batch.columns().iter().find(|(own, _)| own == name);
        let (_, column) = column.unwrap_or_else(|| panic!("the test gives no column {name}"));
        column.clone().into_abi(name.clone())
    });
    abi::Batch { rows: batch.rows() as u32, columns: columns.collect() }
}

/// The host's checks: the declared columns, every row in each, UTF-8, and rows that exist.
fn checked(answer: abi::Judgement, rows: usize, binding: &lifecycle::Binding) -> Judgement {
    let mut judgement = Judgement::default();
    let declared: Vec<&str> = binding.writes.iter().map(|column| column.name.as_str()).collect();
    let returned: Vec<&str> = answer.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(returned, declared, "the columns that the binding declares");
    let batch = abi::Batch { rows: rows as u32, columns: answer.columns };
    let columns = Batch::from_abi(batch).expect("columns of the batch's length");
    for (name, column) in columns.columns() {
        if let Column::Utf8(column) = column {
            for row in 0..rows {
                let is_text = column.get(row).is_none() || column.get_str(row).is_some();
                assert!(is_text, "row {row} of {name} is not UTF-8");
            }
        }
        judgement.write(name, column.clone());
    }
    for quarantined in answer.quarantined {
        assert!((quarantined.row as usize) < rows, "row {} does not exist", quarantined.row);
        judgement.quarantine(quarantined.row as usize, quarantined.reason);
    }
    for alert in answer.alerts {
        judgement.alert(alert);
    }
    judgement
}
