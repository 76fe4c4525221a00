//! Columns that are replaced as a whole.

use audit_plugin_sdk::{Fault, Utf8Builder, Utf8Column};

use crate::action::{self, Action};
use crate::config::Settings;
use crate::output;

/// Does the same to every value. Nulls stay null.
pub(crate) fn rewrite(
    column: &Utf8Column,
    action: Action,
    settings: &Settings,
) -> Result<Utf8Column, Fault> {
    if let (Action::Hash, Some(key)) = (action, &settings.hash_key) {
        return output::hashed(column, key);
    }
    let mut builder = Utf8Builder::with_capacity(column.rows(), column.bytes().len());
    for row in 0..column.rows() {
        match (column.get(row), action) {
            (None, _) | (_, Action::Drop) => builder.push_null(),
            (Some(value), Action::Mask) => builder.push_with(|out| action::mask(value, out)),
            (Some(value), Action::Keep) => builder.push(value),
            (Some(_), Action::Redact | Action::Hash) => builder.push(action::REDACTED.as_bytes()),
        }
    }
    Ok(builder.finish())
}
