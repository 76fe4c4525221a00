//! The two kinds of plugins and their descriptions.

use crate::abi::audit_host::plugin::types::{ColumnType, Context, Fault};
use crate::abi::exports::audit_host::plugin::lifecycle::{self, ConfigError, OutputColumn};
use crate::abi::exports::audit_host::plugin::state::RestoreError;
use crate::batch::Batch;
use crate::config::Config;
use crate::judgement::Judgement;

/// A plugin that replaces or adds columns and has no state: several instances may run side by side.
pub trait Transform: Sized {
    /// The description, which does not depend on the configuration.
    const DESCRIPTION: Description;

    /// Takes the configuration and returns the columns that the plugin reads and writes. An error stops the
    /// host at its start. It must name the key.
    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError>;

    /// Writes every column that the binding declares, with every row. On a fault the host retries with halves
    /// of the batch until it has found the rows that fail; they become dead letters.
    fn process(&self, ctx: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault>;
}

/// A plugin that keeps state and raises alerts: one instance, fed in order.
pub trait Detector: Sized {
    /// The description, which does not depend on the configuration.
    const DESCRIPTION: Description;

    /// Takes the configuration and returns the columns that the plugin reads. An error stops the host at its
    /// start. It must name the key.
    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError>;

    /// Judges a batch. The same batches in the same order must give the same alerts. On a fault the state must
    /// be unchanged: get the columns first (`?`), change the state afterwards. The host then retries with
    /// halves of the batch.
    fn process(&mut self, ctx: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault>;

    /// The whole state in the format of [`Description::state_version`]. Equal states give equal bytes.
    fn snapshot(&self) -> Vec<u8>;

    /// Restores what `snapshot` of that version wrote. The bytes may be damaged or hostile: return an error,
    /// never panic, and leave the state unchanged. The host then does not start, or keeps the running version.
    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError>;
}

/// The description of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// Lower case, words joined by `_`, at most 64 characters.
    pub name: &'static str,
    /// The plugin's own version, semantic versioning.
    pub version: &'static str,
    /// JSON Schema of the configuration.
    pub config_schema: &'static str,
    /// The columns that identify what a detector counts.
    pub key_columns: &'static [&'static str],
    /// The version of the format that `snapshot` writes, 0 for a plugin without state.
    pub state_version: u32,
}

impl Description {
    /// A plugin that accepts any configuration, without key columns or state.
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            config_schema: r#"{"type": "object"}"#,
            key_columns: &[],
            state_version: 0,
        }
    }

    pub(crate) fn to_abi(self, kind: lifecycle::Kind) -> lifecycle::Description {
        lifecycle::Description {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            kind,
            config_schema: self.config_schema.to_owned(),
            key_columns: self.key_columns.iter().map(|&column| column.to_owned()).collect(),
            state_version: self.state_version,
        }
    }
}

/// The columns that a configured plugin reads and writes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Binding {
    reads: Vec<String>,
    writes: Vec<OutputColumn>,
}

impl Binding {
    /// Reads a column. Naming it twice has no effect.
    #[must_use]
    pub fn reading(mut self, column: &str) -> Self {
        if !self.reads.iter().any(|read| read == column) {
            self.reads.push(column.to_owned());
        }
        self
    }

    /// Reads a UTF-8 column and returns it changed. Equal values need not stay equal.
    #[must_use]
    pub fn replacing_utf8(self, column: &str) -> Self {
        self.reading(column).writing(column, ColumnType::Utf8, false)
    }

    /// Reads a UTF-8 column and returns it so that equal values stay equal and different ones stay
    /// different: detectors after this plugin may use it as a key.
    #[must_use]
    pub fn replacing_utf8_keeping_equality(self, column: &str) -> Self {
        self.reading(column).writing(column, ColumnType::Utf8, true)
    }

    /// Returns a UTF-8 column without reading it.
    #[must_use]
    pub fn adding_utf8(self, column: &str) -> Self {
        self.adding(column, ColumnType::Utf8)
    }

    /// Returns a column of any type that is not among those of an event.
    #[must_use]
    pub fn adding(self, column: &str, of: ColumnType) -> Self {
        self.writing(column, of, false)
    }

    /// The columns read, in the order in which the host gives them.
    pub fn reads(&self) -> &[String] {
        &self.reads
    }

    /// The names of the columns written.
    pub fn writes(&self) -> Vec<&str> {
        self.writes.iter().map(|column| column.name.as_str()).collect()
    }

    /// Whether equal values of a written column stay equal.
    pub fn preserves_equality(&self, column: &str) -> bool {
        self.writes.iter().any(|write| write.name == column && write.preserves_equality)
    }

    fn writing(mut self, name: &str, type_: ColumnType, preserves_equality: bool) -> Self {
        self.writes.push(OutputColumn { name: name.to_owned(), type_, preserves_equality });
        self
    }

    pub(crate) fn into_abi(self) -> lifecycle::Binding {
        lifecycle::Binding { reads: self.reads, writes: self.writes }
    }
}
