//! Columns that are replaced as a whole.

use audit_plugin_sdk::{Fault, Utf8Builder, Utf8Column, Utf8Edit};

use crate::action::{self, Action};
use crate::known::Known;
use crate::output::{self, Origin, Output};
use crate::prefilter::VALUE_BYTES_MAX;
use crate::text::{Searcher, Style};

/// Does the same to every value. Nulls stay null.
pub(crate) fn rewrite(
    name: &str,
    column: &Utf8Column,
    action: Action,
    subjects: Option<&Utf8Column>,
    searcher: &mut Searcher<'_>,
) -> Result<Utf8Column, Fault> {
    if action.needs_key() {
        let made = output::keyed(&searcher.settings.keys, action, name, subjects, column)?;
        return Ok(match (action, subjects) {
            (Action::Encrypt, Some(subjects)) => without_the_nameless(&made, subjects),
            _ => made,
        });
    }
    if action == Action::SqlLiterals {
        return without_literals(name, column, subjects, searcher);
    }
    let distinct = Known::default().list(column);
    let made = each(&distinct.values(column), action);
    let mut builder = Utf8Builder::with_capacity(column.rows(), column.bytes().len());
    for row in 0..column.rows() {
        match column.get(row).and_then(|_| made.get(distinct.number(row))) {
            Some(value) => builder.push(value),
            None => builder.push_null(),
        }
    }
    Ok(builder.finish())
}

/// Does the same to every value, without a key.
fn each(column: &Utf8Column, action: Action) -> Utf8Column {
    let mut builder = Utf8Builder::with_capacity(column.rows(), column.bytes().len());
    for row in 0..column.rows() {
        match (column.get(row), action) {
            (None, _) | (_, Action::Drop) => builder.push_null(),
            (Some(value), Action::Mask) => builder.push_with(|out| action::mask(value, out)),
            (Some(value), Action::Generalise) => {
                builder.push_with(|out| action::generalise(value, out));
            }
            (Some(value), Action::Keep) => builder.push(value),
            (Some(_), _) => builder.push(action::REDACTED.as_bytes()),
        }
    }
    builder.finish()
}

/// A value that has no subject to be encrypted for is redacted.
fn without_the_nameless(made: &Utf8Column, subjects: &Utf8Column) -> Utf8Column {
    let mut edit = Utf8Edit::new(made);
    for row in 0..made.rows() {
        if made.get(row).is_some() && !output::has_subject(subjects, row) {
            edit.set(row, action::REDACTED.as_bytes());
        }
    }
    edit.finish()
}

fn without_literals(
    name: &str,
    column: &Utf8Column,
    subjects: Option<&Utf8Column>,
    searcher: &mut Searcher<'_>,
) -> Result<Utf8Column, Fault> {
    let settings = searcher.settings;
    let mut out = Output::new(&settings.keys, subjects);
    for row in 0..column.rows() {
        let Some(value) = column.get(row) else {
            continue;
        };
        out.start_row(row);
        let mark = out.mark();
        let written = (value.len() <= VALUE_BYTES_MAX).then(|| {
            searcher.within_budget(value, |searcher| {
                searcher.without_literals(value, Style::Plain, &mut out);
            })
        });
        if written.flatten().is_none() {
            out.rewind(mark);
            out.literal(action::REDACTED.as_bytes());
        }
        out.keep_row();
    }
    out.finish(column, |_: Origin| name.to_owned())
}
