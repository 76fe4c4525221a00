//! The configuration file as it is written, and its layers. Every key is optional here; `resolve` knows
//! what is needed.

use std::collections::BTreeMap;
use std::path::Path;

use audit_lookup::{CalendarDefinition, TableDefinition};
use clap::ArgMatches;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::grants;
use super::keys::KeyEntry;
use super::plugin_settings::Plugin;
use super::read;
use super::sections::{Alerts, DeadLetters, Kafka, Limits, Metrics, Plugins, Run, Table};
use super::setting::Setting;
use super::trust;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) plugins: Plugins,
    pub(crate) kafka: Kafka,
    pub(crate) table: Table,
    pub(crate) run: Run,
    pub(crate) alerts: Alerts,
    pub(crate) metrics: Metrics,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) limits: Limits,
    #[serde(rename = "plugin")]
    pub(crate) listed: Vec<Plugin>,
    pub(crate) keys: BTreeMap<String, KeyEntry>,
    pub(crate) lookups: BTreeMap<String, TableDefinition>,
    pub(crate) calendars: BTreeMap<String, CalendarDefinition>,
}

impl File {
    /// The settings of all sections, in the order of help and docs.
    pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
        [
            Plugins::ALL,
            Kafka::ALL,
            Table::ALL,
            Run::ALL,
            Alerts::ALL,
            Metrics::ALL,
            DeadLetters::ALL,
            Limits::ALL,
        ]
        .into_iter()
        .flatten()
    }

    /// What flags and variables say, as if it were a file.
    pub(super) fn given(matches: &mut ArgMatches) -> Self {
        Self {
            plugins: Plugins::given(matches),
            kafka: Kafka::given(matches),
            table: Table::given(matches),
            run: Run::given(matches),
            alerts: Alerts::given(matches),
            metrics: Metrics::given(matches),
            dead_letters: DeadLetters::given(matches),
            limits: Limits::given(matches),
            ..Self::default()
        }
    }

    /// The sections of both; `self` wins. What has no flags is the file's.
    pub(super) fn over(self, file: Self) -> Self {
        Self {
            plugins: self.plugins.over(file.plugins),
            kafka: self.kafka.over(file.kafka),
            table: self.table.over(file.table),
            run: self.run.over(file.run),
            alerts: self.alerts.over(file.alerts),
            metrics: self.metrics.over(file.metrics),
            dead_letters: self.dead_letters.over(file.dead_letters),
            limits: self.limits.over(file.limits),
            ..file
        }
    }
}

/// Reads and parses a configuration file. An unknown key is refused with the nearest known one.
pub(super) fn read(path: &Path) -> Result<File, Error> {
    parse(path)
}

/// The same, or an empty one if none is named.
pub(super) fn read_given(path: Option<&Path>) -> Result<File, Error> {
    path.map_or_else(|| Ok(File::default()), read)
}

/// What a configuration file says of Kafka, for commands that run no flow.
pub(crate) fn kafka_of(path: Option<&Path>) -> Result<Kafka, Error> {
    Ok(read_given(path)?.kafka)
}

/// The same for a file of a plugin folder: it holds what one `[[plugin]]` does, but for what grants.
pub(super) fn read_plugin(path: &Path) -> Result<Plugin, Error> {
    check_writers(path)?;
    let text = text_of(path)?;
    grants::refuse_in_folder(path, &text)?;
    parse_text(path, &text)
}

/// Refuses a file that others can write to: it says which code runs, and what it may do.
pub(super) fn check_writers(path: &Path) -> Result<(), Error> {
    match trust::problem(path) {
        None => Ok(()),
        Some(problem) => Err(Error::Untrusted { path: path.to_owned(), problem }),
    }
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    parse_text(path, &text_of(path)?)
}

fn text_of(path: &Path) -> Result<String, Error> {
    read::text(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })
}

fn parse_text<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| {
        let hint = nearest_key(error.message());
        let place = error.span().map_or(String::new(), |span| {
            let before = text.get(..span.start).unwrap_or_default();
            format!("line {}: ", before.matches('\n').count() + 1)
        });
        let hint = hint.map_or(String::new(), |key| format!("; did you mean `{key}`?"));
        let message = format!("{place}{}{hint}", without_value(error.message()));
        Error::Parse { path: path.to_owned(), message }
    })
}

/// "invalid type: integer `90210777`, expected a string" without the value, which may be a secret.
fn without_value(message: &str) -> String {
    let Some((what, rest)) = message.split_once(": ") else { return message.to_owned() };
    match rest.split_once(", expected") {
        Some((_, expected)) if what.starts_with("invalid ") => {
            format!("{what}, expected{expected}")
        }
        _ => message.to_owned(),
    }
}

/// From serde's "unknown field `x`, expected one of `a`, `b`" the known key that is most like `x`.
fn nearest_key(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return None;
    }
    let unknown = quoted.next()?;
    let nearest = quoted.max_by(|a, b| {
        strsim::jaro_winkler(a, unknown).total_cmp(&strsim::jaro_winkler(b, unknown))
    })?;
    (strsim::jaro_winkler(nearest, unknown) > 0.7).then(|| nearest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        error.split_once(": ").unwrap().1.to_owned()
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        let error = error_of("[kafka]\nbroker = \"x\"\n");
        assert!(error.starts_with("line 2: unknown field `broker`"), "{error}");
        assert!(error.ends_with("did you mean `brokers`?"), "{error}");
        assert!(error_of("[kafak]\n").ends_with("did you mean `kafka`?"));
        assert!(error_of("[kafka]\nstart = \"erliest\"\n").ends_with("`earliest`?"));
        assert!(!error_of("[kafka]\nzzz = 1\n").contains("did you mean"));
        assert!(error_of("[kafka\n").starts_with("line 1: "));
    }
}
