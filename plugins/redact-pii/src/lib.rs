//! Masks, redacts, drops or hashes personal data: whole columns by name, values inside `details` by
//! path, and whatever looks like personal data in free text.
//!
//! It fails closed: a value that cannot be looked through is replaced as a whole, and nothing found
//! is ever written to the log. See `docs/plugins/redact_pii.md`.

mod action;
mod config;
mod details;
mod detect;
mod escape;
mod output;
mod path;
mod prefilter;
mod text;
mod whole;

use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Fault, Judgement, Transform,
    Utf8Column, Utf8Edit, export_transform,
};

use config::{Job, Settings};
use output::Output;
use text::Searcher;

/// The largest value that is looked through. A longer one is replaced as a whole, so that one event
/// cannot use up the time of its batch.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// The transform.
#[derive(Debug)]
pub struct RedactPii {
    settings: Settings,
}

impl Transform for RedactPii {
    const DESCRIPTION: Description = Description {
        config_schema: config::SCHEMA,
        ..Description::new("redact_pii", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let settings = Settings::from_config(config)?;
        let mut binding = Binding::default();
        for (column, job) in &settings.jobs {
            binding = if job.keeps_equality() {
                binding.replacing_utf8_keeping_equality(column)
            } else {
                binding.replacing_utf8(column)
            };
        }
        Ok((Self { settings }, binding))
    }

    fn process(&self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        for (name, job) in &self.settings.jobs {
            let column = batch.utf8(name)?;
            let replaced = match job {
                Job::Whole(action) => whole::rewrite(column, *action, &self.settings)?,
                Job::Text => self.rewrite(column, text::rewrite)?,
                Job::Details => self.rewrite(column, details::rewrite)?,
            };
            out.write_utf8(name, replaced);
        }
        Ok(())
    }
}

export_transform!(RedactPii);

impl RedactPii {
    /// Rewrites the values that may need it and copies the others.
    fn rewrite(
        &self,
        column: &Utf8Column,
        rewrite: impl Fn(&mut Searcher<'_>, &[u8], &mut Output) -> bool,
    ) -> Result<Utf8Column, Fault> {
        let settings = &self.settings;
        let mut edit = Utf8Edit::new(column);
        let mut searcher = Searcher::new(settings);
        let mut out = Output::new(settings.hash_key.as_deref());
        for row in 0..column.rows() {
            let Some(value) = column.get(row) else {
                continue;
            };
            if !settings.prefilter.may_change(value) {
                continue;
            }
            out.start_row(row);
            let is_changed = if value.len() > VALUE_BYTES_MAX {
                out.literal(action::REDACTED.as_bytes());
                true
            } else {
                rewrite(&mut searcher, value, &mut out)
            };
            if is_changed {
                edit.set(row, out.row());
            }
        }
        out.fill(edit.finish())
    }
}
