//! The configuration file as it is written. Every key is optional here; `resolve` knows what is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use audit_lookup::{CalendarDefinition, TableDefinition};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Error, KeyEntry, read};
use crate::cli::{OnGap, StartAt};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) kafka: Kafka,
    pub(super) table: Table,
    pub(super) run: Run,
    pub(super) alerts: Alerts,
    pub(super) dead_letters: DeadLetters,
    pub(super) limits: Limits,
    #[serde(rename = "plugins")]
    pub(super) plugins_place: PluginsPlace,
    #[serde(rename = "plugin")]
    pub(super) plugins: Vec<Plugin>,
    pub(super) keys: BTreeMap<String, KeyEntry>,
    pub(super) lookups: BTreeMap<String, TableDefinition>,
    pub(super) calendars: BTreeMap<String, CalendarDefinition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Kafka {
    pub(super) brokers: Option<String>,
    pub(super) topics: Vec<String>,
    pub(super) group: Option<String>,
    pub(super) start: Option<StartAt>,
    pub(super) on_gap: Option<OnGap>,
    /// librdkafka's own, for example `"security.protocol" = "ssl"`.
    pub(super) properties: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Table {
    pub(super) name: Option<String>,
    pub(super) catalog: Option<String>,
    pub(super) catalog_name: Option<String>,
    pub(super) warehouse: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Run {
    pub(super) trigger_interval: Option<String>,
    pub(super) duration: Option<String>,
    pub(super) until_end: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Alerts {
    pub(super) to: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct DeadLetters {
    pub(super) key_file: Option<PathBuf>,
    pub(super) payload: Option<Payload>,
}

/// What is kept of a dead letter's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Payload {
    Sealed,
    DigestOnly,
    Raw,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) max_record_bytes: Option<u64>,
    pub(super) epoch_rows_max: Option<u64>,
    pub(super) open_partitions_max: Option<u64>,
}

/// Where plugins are, beside those that are listed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct PluginsPlace {
    pub(super) dir: Option<PathBuf>,
    /// A folder for compiled code, or `off`.
    pub(super) cache: Option<String>,
    /// Whether files are watched.
    pub(super) watch: Option<bool>,
    /// By plugin the file of a candidate that runs beside it.
    pub(super) shadow: BTreeMap<String, String>,
    pub(super) shadow_report: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Plugin {
    /// A component file or `builtin:NAME`.
    pub(super) path: String,
    pub(super) config: toml::Table,
    /// Names of `[keys]` that the plugin may use.
    pub(super) keys: Vec<String>,
    /// Names of `[lookups]` and `[calendars]` that the plugin may ask.
    pub(super) lookups: Vec<String>,
    pub(super) on_error: OnError,
    pub(super) scope: Scope,
    pub(super) keyed_by: Vec<String>,
    pub(super) limits: PluginLimits,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnError {
    #[default]
    Quarantine,
    Halt,
    Pass,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scope {
    #[default]
    Merged,
    Partition,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct PluginLimits {
    pub(super) batch_time: Option<String>,
    pub(super) setup_time: Option<String>,
    pub(super) breaker_pause: Option<String>,
    pub(super) memory_bytes_max: Option<u64>,
    pub(super) output_bytes_max: Option<u64>,
    pub(super) table_elements_max: Option<u64>,
    pub(super) instances_max: Option<u64>,
    pub(super) file_bytes_max: Option<u64>,
    pub(super) poison_rows_max: Option<u64>,
}

/// Reads and parses a configuration file. An unknown key is refused with the nearest known one.
pub(super) fn read(path: &Path) -> Result<File, Error> {
    parse(path)
}

/// The same for a file that holds what one `[[plugin]]` does.
pub(super) fn read_plugin(path: &Path) -> Result<Plugin, Error> {
    parse(path)
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = read::text(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
    toml::from_str(&text).map_err(|error| {
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
