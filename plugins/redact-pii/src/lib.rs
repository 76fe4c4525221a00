//! Masks, redacts, drops, hashes, tokenizes, encrypts or generalizes personal data: whole columns by name,
//! values inside `details` by path, and anything that looks like personal data in free text.
//!
//! It fails closed: a value that cannot be searched is redacted as a whole. Nothing found is ever written to
//! the log. See `docs/plugins/redact_pii.md`.

mod action;
mod config;
mod details;
mod detect;
mod escape;
mod identity;
mod keys;
mod known;
mod lanes;
mod output;
mod path;
mod prefilter;
mod sql;
mod text;
mod whole;

#[cfg(test)]
#[path = "../tests/plugin/costly.rs"]
#[allow(dead_code, reason = "shared: the benchmark and the fuzz target use the rest")]
mod costly;
#[cfg(test)]
mod counted;
#[cfg(test)]
#[path = "../tests/plugin/search.rs"]
mod search;
#[cfg(test)]
mod sifted;
#[cfg(test)]
#[path = "../tests/plugin/soup.rs"]
mod soup;

use std::cell::RefCell;

use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Fault, Judgement, Transform,
    Utf8Column, export_transform, log,
};

use config::{Job, Settings};
use detect::Kind;
use known::{Known, Suspects};
use output::{Origin, Output};
use prefilter::VALUE_BYTES_MAX;
use text::Searcher;

/// The transform.
#[derive(Debug)]
pub struct RedactPii {
    settings: Settings,
    /// By job. It changes how long a batch takes, and nothing else.
    known: Vec<RefCell<Known>>,
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
        if let Some(subject) = &settings.subject {
            binding = binding.reading(subject);
        }
        let known = settings.jobs.iter().map(|_| RefCell::default()).collect();
        Ok((Self { settings, known }, binding))
    }

    fn process(&self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let subject = self.settings.subject.as_deref();
        let subjects = subject.map(|subject| batch.utf8(subject)).transpose()?;
        let mut searcher = Searcher::new(&self.settings);
        for ((name, job), known) in self.settings.jobs.iter().zip(&self.known) {
            let known = &mut *known.borrow_mut();
            let column = batch.utf8(name)?;
            let replaced = match job {
                Job::Whole(action) => {
                    whole::rewrite(name, column, *action, subjects, &mut searcher)?
                }
                Job::Text => rewrite(name, column, subjects, known, &mut searcher, text::rewrite)?,
                Job::Identity(action) => {
                    let whole =
                        |searcher: &mut Searcher<'_>, value: &[u8], out: &mut Output<'_>| {
                            identity::rewrite(searcher, value, *action, out)
                        };
                    rewrite(name, column, subjects, known, &mut searcher, whole)?
                }
                Job::Address => rewrite(
                    name,
                    column,
                    subjects,
                    known,
                    &mut searcher,
                    identity::rewrite_address,
                )?,
                Job::Details => {
                    rewrite(name, column, subjects, known, &mut searcher, details::rewrite)?
                }
            };
            out.write_utf8(name, replaced);
        }
        if self.settings.logs_counts {
            log_counts(&searcher.counts);
        }
        if searcher.n_exhausted > 0 {
            let n = searcher.n_exhausted;
            log::warn(&format!(
                "{n} values were redacted as a whole, because their search exhausted its work budget"
            ));
        }
        Ok(())
    }
}

export_transform!(RedactPii);

/// Rewrites the values that may need it and copies the others.
fn rewrite<'a>(
    name: &str,
    column: &Utf8Column,
    subjects: Option<&Utf8Column>,
    known: &mut Known,
    searcher: &mut Searcher<'a>,
    rewrite: impl Fn(&mut Searcher<'a>, &[u8], &mut Output) -> bool,
) -> Result<Utf8Column, Fault> {
    let settings = searcher.settings;
    let mut out = Output::new(&settings.keys, subjects);
    let mut suspects = Suspects::of(&settings.prefilter, column, known);
    while let Some((row, replacement)) = suspects.next() {
        let Some(value) = column.get(row) else {
            continue;
        };
        out.start_row(row);
        if let Some(text) = replacement {
            out.literal(text);
            out.keep_row();
            continue;
        }
        let mark = out.mark();
        let is_changed = if value.len() > VALUE_BYTES_MAX {
            None
        } else {
            searcher.within_budget(value, |searcher| rewrite(searcher, value, &mut out))
        };
        match is_changed {
            None => {
                out.rewind(mark);
                out.literal(action::REDACTED.as_bytes());
                out.keep_row();
            }
            Some(true) => {
                // A value under a key or for a subject has another text in each batch or row, and counts count rows.
                let is_same_everywhere = subjects.is_none() && !settings.logs_counts;
                if let Some(text) = out.text_since(mark).filter(|_| is_same_everywhere) {
                    suspects.replace(row, text);
                }
                out.keep_row();
            }
            Some(false) => {
                out.rewind(mark);
                suspects.rule_out(row);
            }
        }
    }
    suspects.remember();
    out.finish(column, |origin| match origin {
        Origin::Column => name.to_owned(),
        Origin::Path(rule) => format!("{name}.{}", settings.paths.name(rule)),
    })
}

/// Logs how much was found, never what.
fn log_counts(counts: &[u64; Kind::COUNT]) {
    let found: Vec<String> = Kind::ALL
        .into_iter()
        .chain([Kind::Unreadable])
        .filter(|&kind| counts[kind as usize] > 0)
        .map(|kind| format!("{} {}", kind.name(), counts[kind as usize]))
        .collect();
    if !found.is_empty() {
        log::debug(&format!("found {}", found.join(", ")));
    }
}
