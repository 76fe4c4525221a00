//! Reads columns and returns some as they came: what this costs is what the boundary costs.
//!
//! By itself it reads four and returns one. The configuration names others:
//! `{"read": ["details"], "copy": ["user_agent", {"column": "details", "to": "copy", "type": "int64"}]}`.

use audit_plugin_sdk::{
    Batch, Binding, Column, ColumnType, Config, ConfigError, Context, Description, Fault,
    Judgement, Transform, export_transform, serde,
};

/// The configuration. Unknown keys are refused.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default)]
struct Settings {
    /// Read and not returned.
    read: Vec<String>,
    /// Read and returned.
    copy: Vec<Copied>,
}

/// A column that is returned.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", untagged)]
enum Copied {
    /// Text, in its own place.
    Replaced(String),
    /// Any type, as a column of another name.
    Added {
        column: String,
        to: String,
        #[serde(rename = "type")]
        of: Type,
    },
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(crate = "serde", rename_all = "lowercase")]
enum Type {
    Utf8,
    Int64,
    Timestamp,
    Boolean,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            read: ["user_email", "action_result", "ip_address"].map(str::to_owned).into(),
            copy: vec![Copied::Replaced("user_agent".to_owned())],
        }
    }
}

impl Type {
    fn abi(self) -> ColumnType {
        match self {
            Self::Utf8 => ColumnType::Utf8,
            Self::Int64 => ColumnType::Int64,
            Self::Timestamp => ColumnType::TimestampUs,
            Self::Boolean => ColumnType::Boolean,
        }
    }

    fn copy(self, batch: &Batch, column: &str) -> Result<Column, Fault> {
        Ok(match self {
            Self::Utf8 => Column::Utf8(batch.utf8(column)?.clone()),
            Self::Int64 => Column::Int64(batch.int64(column)?.clone()),
            Self::Timestamp => Column::Timestamp(batch.timestamp(column)?.clone()),
            Self::Boolean => Column::Boolean(batch.boolean(column)?.clone()),
        })
    }
}

/// The plugin.
#[derive(Debug)]
pub(crate) struct CopyColumn {
    copy: Vec<Copied>,
}

impl Transform for CopyColumn {
    const DESCRIPTION: Description = Description::new("copy_column", "0.1.0");

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let Settings { read, copy } = config.parse()?;
        let reading =
            read.iter().fold(Binding::default(), |binding, column| binding.reading(column));
        let binding = copy.iter().fold(reading, |binding, copied| match copied {
            Copied::Replaced(column) => binding.replacing_utf8_keeping_equality(column),
            Copied::Added { column, to, of } => binding.reading(column).adding(to, of.abi()),
        });
        Ok((Self { copy }, binding))
    }

    fn process(&self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        for copied in &self.copy {
            match copied {
                Copied::Replaced(column) => out.write_utf8(column, batch.utf8(column)?.clone()),
                Copied::Added { column, to, of } => out.write(to, of.copy(batch, column)?),
            }
        }
        Ok(())
    }
}

export_transform!(CopyColumn);
