//! From flags, variables and file to typed settings, every default explicit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_alert::Target;
use audit_chain::{OnError, Scope};
use audit_sink::{CatalogSettings, TableName};
use serde_json::json;

use super::file::{self, File, Payload};
use super::plugins::{PluginEntry, PluginPlaces, Wanted};
use super::{Error, secret};
use crate::cli::{OnGap, RunArgs, StartAt};

const GROUP: &str = "audit-host";
const CATALOG_NAME: &str = "audit_host";
const TRIGGER_INTERVAL: Duration = Duration::from_secs(5);
/// Shorter commits would spend more on metadata than on rows.
const TRIGGER_INTERVAL_MIN: Duration = Duration::from_millis(100);
const TRIGGER_INTERVAL_MAX: Duration = Duration::from_hours(1);
/// A record larger than this is no audit event.
pub(crate) const RECORD_BYTES_MAX: u64 = 16 << 20;
/// Rows of one commit: at 40 bytes a row in open files, about 100 MiB of memory.
const EPOCH_ROWS_MAX: u64 = 2_000_000;
/// Partitions that are written at a time: three months of days, or a few days of many actions.
const OPEN_PARTITIONS_MAX: u64 = 128;

/// What a table may be called.
const TABLE_NAMES: &str = "must be NAMESPACE.TABLE, of letters, digits, _ and -";

/// Everything a run needs to know.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub(crate) struct Settings {
    pub(crate) brokers: String,
    pub(crate) topics: Vec<String>,
    pub(crate) group: String,
    pub(crate) start: StartAt,
    pub(crate) on_gap: OnGap,
    pub(crate) kafka_properties: BTreeMap<String, String>,
    pub(crate) catalog: CatalogSettings,
    pub(crate) table: TableName,
    pub(crate) trigger_interval: Duration,
    pub(crate) duration: Option<Duration>,
    pub(crate) until_end: bool,
    pub(crate) alerts: Target,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) keep_raw_payloads: bool,
    pub(crate) keep_payloads: bool,
    pub(crate) max_record_bytes: u64,
    pub(crate) epoch_rows_max: u64,
    pub(crate) open_partitions_max: u64,
    /// Where plugins come from, to look there again.
    pub(crate) places: PluginPlaces,
    pub(crate) wanted: Wanted,
    pub(crate) plugin_cache: PluginCache,
    pub(crate) watch_plugins: bool,
    pub(crate) shadow_report: Option<PathBuf>,
}

/// Flags and variables (clap has merged them) over the file over the defaults.
pub(crate) fn resolve(args: RunArgs) -> Result<Settings, Error> {
    let file = match &args.config {
        Some(path) => file::read(path)?,
        None => File::default(),
    };
    let places = PluginPlaces {
        config: args.config.clone(),
        flags: args.plugins.clone(),
        folder: args.plugin_dir.clone(),
        shadows: shadows(&args.shadows)?,
    };
    let wanted = places.wanted(&file)?;
    let catalog = catalog(&args, &file)?;
    let File { kafka, table, run, alerts, dead_letters, limits, plugins_place, .. } = file;
    let (duration, until_end) =
        end(args.duration.or(run.duration), args.until_end.or(run.until_end))?;
    let alerts = args.alerts.or(alerts.to).unwrap_or_else(|| "stdout".to_owned());
    let payload = dead_letters.payload;
    if payload == Some(Payload::Sealed) && dead_letters.key_file.is_none() {
        let problem = "needs dead-letters.key-file: the key that seals";
        return Err(value("dead-letters.payload", "sealed", problem));
    }
    Ok(Settings {
        brokers: args.brokers.or(kafka.brokers).ok_or(missing(
            "the list of brokers",
            "brokers",
            "kafka.brokers",
        ))?,
        topics: topics(args.topic, kafka.topics)?,
        group: group(args.group.or(kafka.group))?,
        start: args.start.or(kafka.start).unwrap_or(StartAt::Earliest),
        on_gap: args.on_gap.or(kafka.on_gap).unwrap_or(OnGap::Stop),
        kafka_properties: kafka.properties,
        catalog,
        table: table_name(args.table.or(table.name))?,
        trigger_interval: trigger_interval(args.trigger_interval.or(run.trigger_interval))?,
        duration,
        until_end,
        alerts: alerts.parse().map_err(|e| value("--alerts", &alerts, &format!("{e}")))?,
        keep_raw_payloads: payload == Some(Payload::Raw),
        keep_payloads: payload != Some(Payload::DigestOnly),
        key_file: dead_letters.key_file,
        max_record_bytes: positive(
            "limits.max-record-bytes",
            limits.max_record_bytes,
            RECORD_BYTES_MAX,
        )?,
        epoch_rows_max: positive("limits.epoch-rows-max", limits.epoch_rows_max, EPOCH_ROWS_MAX)?,
        open_partitions_max: positive(
            "limits.open-partitions-max",
            limits.open_partitions_max,
            OPEN_PARTITIONS_MAX,
        )?,
        places,
        wanted,
        plugin_cache: PluginCache::resolve(args.plugin_cache.or(plugins_place.cache).as_deref())?,
        watch_plugins: args.watch_plugins.or(plugins_place.watch).unwrap_or(true),
        shadow_report: args.shadow_report.or(plugins_place.shadow_report),
    })
}

/// `PLUGIN=FILE`, each plugin once.
fn shadows(flags: &[String]) -> Result<Vec<(String, String)>, Error> {
    let mut shadows: Vec<(String, String)> = Vec::new();
    for flag in flags {
        let problem = "must be PLUGIN=FILE, for example redact_pii=new.wasm";
        let (plugin, candidate) =
            flag.split_once('=').ok_or_else(|| value("--shadow", flag, problem))?;
        if plugin.is_empty() || candidate.is_empty() {
            return Err(value("--shadow", flag, problem));
        }
        if shadows.iter().any(|(known, _)| known == plugin) {
            return Err(value(
                "--shadow",
                flag,
                "gives a plugin a second candidate: one at a time",
            ));
        }
        shadows.push((plugin.to_owned(), candidate.to_owned()));
    }
    Ok(shadows)
}

/// Where compiled plugins are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PluginCache {
    Off,
    /// Nobody named it: a start goes on without it.
    Default(PathBuf),
    /// A start insists on it.
    Named(PathBuf),
}

impl PluginCache {
    /// By default a folder in the user's cache; without a home there is none.
    fn resolve(given: Option<&str>) -> Result<Self, Error> {
        match given {
            Some("off") => Ok(Self::Off),
            Some("") => Err(value("--plugin-cache", "", "is empty: name a folder, or write off")),
            Some(folder) => Ok(Self::Named(PathBuf::from(folder))),
            None => {
                let variable = |name| std::env::var_os(name).filter(|dir| !dir.is_empty());
                let base = variable("XDG_CACHE_HOME")
                    .map(PathBuf::from)
                    .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")));
                let folder = base.map(|base| base.join("audit-host/compiled"));
                Ok(folder.map_or(Self::Off, Self::Default))
            }
        }
    }

    /// As the configuration file has it; the default is left out.
    fn shown(&self) -> Option<String> {
        match self {
            Self::Off => Some("off".to_owned()),
            Self::Default(_) => None,
            Self::Named(folder) => Some(folder.display().to_string()),
        }
    }
}

fn topics(flag: Vec<String>, file: Vec<String>) -> Result<Vec<String>, Error> {
    let topics = if flag.is_empty() { file } else { flag };
    if topics.is_empty() {
        return Err(missing("the topic", "topic", "kafka.topics"));
    }
    if topics.iter().any(String::is_empty) {
        return Err(value("--topic", &topics.join(","), "holds an empty name"));
    }
    Ok(topics)
}

pub(super) fn table_name(given: Option<String>) -> Result<TableName, Error> {
    let name = given.ok_or(missing("the table", "table", "table.name"))?;
    TableName::parse(&name).map_err(|_| value("--table", &name, TABLE_NAMES))
}

pub(super) fn group(given: Option<String>) -> Result<String, Error> {
    let group = given.unwrap_or_else(|| GROUP.to_owned());
    if group.is_empty() {
        return Err(value("--group", &group, "is empty: name the group"));
    }
    Ok(group)
}

fn trigger_interval(given: Option<String>) -> Result<Duration, Error> {
    let Some(text) = given else { return Ok(TRIGGER_INTERVAL) };
    let interval = parse_duration("--trigger-interval", &text)?;
    if (TRIGGER_INTERVAL_MIN..=TRIGGER_INTERVAL_MAX).contains(&interval) {
        return Ok(interval);
    }
    Err(value("--trigger-interval", &text, "must be from 100ms to 1h"))
}

/// When a run ends by itself: after a time, at the end of the topic, or (most of the time) never.
fn end(
    duration: Option<String>,
    until_end: Option<bool>,
) -> Result<(Option<Duration>, bool), Error> {
    let until_end = until_end.unwrap_or(false);
    let Some(text) = duration else { return Ok((None, until_end)) };
    if until_end {
        let problem = "cannot be used with --until-end: give one of them";
        return Err(value("--duration", &text, problem));
    }
    Ok((Some(parse_duration("--duration", &text)?), false))
}

/// `5s`, `500ms`, `1h 30m`: as jiff's friendly durations.
pub(crate) fn parse_duration(key: &str, text: &str) -> Result<Duration, Error> {
    let parsed: Option<Duration> =
        text.parse::<jiff::SignedDuration>().ok().and_then(|parsed| parsed.try_into().ok());
    let problem = "is no time: write a number and a unit, for example 5s, 500ms or 1h";
    parsed.filter(|parsed| !parsed.is_zero()).ok_or_else(|| value(key, text, problem))
}

fn missing(what: &'static str, flag: &'static str, key: &'static str) -> Error {
    let (flag, variable) = match flag {
        "table" => ("--table", "AUDIT_HOST_TABLE"),
        "topic" => ("--topic", "AUDIT_HOST_TOPIC"),
        "brokers" => ("--brokers", "AUDIT_HOST_BROKERS"),
        _ => ("--catalog or --warehouse", "AUDIT_HOST_CATALOG"),
    };
    Error::Missing { what, flag, variable, key }
}

pub(super) fn value(key: &str, value: &str, problem: &str) -> Error {
    Error::Value { key: key.to_owned(), value: value.to_owned(), problem: problem.to_owned() }
}

fn positive(key: &str, given: Option<u64>, default: u64) -> Result<u64, Error> {
    match given {
        Some(0) => Err(value(key, "0", "must be larger than 0")),
        Some(given) => Ok(given),
        None => Ok(default),
    }
}

/// One of catalog and warehouse is enough: the other is put beside it.
pub(super) fn catalog(args: &RunArgs, file: &File) -> Result<CatalogSettings, Error> {
    let uri = args.catalog.clone().or_else(|| file.table.catalog.clone());
    let warehouse = args.warehouse.clone().or_else(|| file.table.warehouse.clone());
    let (uri, warehouse) = match (uri, warehouse) {
        (Some(uri), Some(warehouse)) => (uri, warehouse),
        (Some(uri), None) => {
            let path = uri.strip_prefix("sqlite:").unwrap_or_default();
            let path = Path::new(path.strip_prefix("//").unwrap_or(path));
            let beside = path.parent().unwrap_or(Path::new(".")).join("warehouse");
            let beside = beside.display().to_string();
            (uri, beside)
        }
        (None, Some(warehouse)) => {
            let folder = warehouse.strip_prefix("file://").unwrap_or(&warehouse);
            (format!("sqlite:{}/catalog.db", folder.trim_end_matches('/')), warehouse)
        }
        (None, None) => return Err(missing("the catalog", "catalog", "table.catalog")),
    };
    let name = file.table.catalog_name.clone().unwrap_or_else(|| CATALOG_NAME.to_owned());
    Ok(CatalogSettings { uri, warehouse, name })
}

impl Settings {
    /// The settings as a configuration file, secrets masked.
    pub(crate) fn to_toml(&self) -> String {
        let shown =
            |(key, value): (&String, &String)| (key.clone(), secret::shown(key, value).to_owned());
        let properties: BTreeMap<_, _> = self.kafka_properties.iter().map(shown).collect();
        let plugins =
            self.wanted.plugins.iter().filter(|plugin| !plugin.from_folder).map(shown_plugin);
        let payload = match (self.keep_raw_payloads, self.keep_payloads && self.key_file.is_some())
        {
            (true, _) => "raw",
            (false, true) => "sealed",
            (false, false) => "digest-only",
        };
        let mut file = json!({
            "kafka": {
                "brokers": self.brokers, "topics": self.topics, "group": self.group,
                "start": self.start, "on-gap": self.on_gap, "properties": properties,
            },
            "table": {
                "name": self.table.to_string(), "catalog": self.catalog.uri,
                "catalog-name": self.catalog.name, "warehouse": self.catalog.warehouse,
            },
            "run": {
                "trigger-interval": format_duration(self.trigger_interval),
                "duration": self.duration.map(format_duration), "until-end": self.until_end,
            },
            "alerts": { "to": self.alerts.to_string() },
            "dead-letters": { "payload": payload, "key-file": self.key_file },
            "limits": {
                "max-record-bytes": self.max_record_bytes,
                "epoch-rows-max": self.epoch_rows_max,
                "open-partitions-max": self.open_partitions_max,
            },
            "plugins": {
                "dir": self.wanted.folder, "watch": self.watch_plugins,
                "cache": self.plugin_cache.shown(),
                "shadow": self.wanted.shadows, "shadow-report": self.shadow_report,
            },
            "plugin": plugins.collect::<Vec<_>>(),
            "keys": self.wanted.keys,
            "lookups": self.wanted.lookups.tables,
            "calendars": self.wanted.lookups.calendars,
        });
        drop_nulls(&mut file);
        toml::to_string_pretty(&file).unwrap_or_else(|error| format!("# not printable: {error}\n"))
    }
}

fn shown_plugin(plugin: &PluginEntry) -> serde_json::Value {
    let config: serde_json::Value = serde_json::from_str(&plugin.config).unwrap_or_default();
    let limits = &plugin.limits;
    json!({
        "path": plugin.path, "keys": plugin.keys, "lookups": plugin.lookups, "config": config,
        "on-error": match plugin.on_error {
            OnError::Quarantine => "quarantine",
            OnError::Halt => "halt",
            OnError::Pass => "pass",
        },
        "scope": match plugin.scope {
            Scope::Merged => "merged",
            Scope::Partition => "partition",
        },
        "keyed-by": plugin.keyed_by,
        "limits": {
            "batch-time": format_duration(limits.batch_time),
            "setup-time": format_duration(limits.setup_time),
            "breaker-pause": format_duration(limits.breaker_pause),
            "memory-bytes-max": limits.memory_bytes,
            "output-bytes-max": limits.output_bytes,
            "table-elements-max": limits.table_elements,
            "instances-max": limits.instances,
            "file-bytes-max": limits.file_bytes,
            "poison-rows-max": limits.poison_rows,
        },
    })
}

fn format_duration(duration: Duration) -> String {
    jiff::SignedDuration::try_from(duration).map_or_else(|_| String::new(), |d| format!("{d:#}"))
}

/// TOML has no null: what is not set is not there.
fn drop_nulls(value: &mut serde_json::Value) {
    if let serde_json::Value::Object(fields) = value {
        fields.retain(|_, field| !field.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(catalog: Option<&str>, warehouse: Option<&str>) -> RunArgs {
        RunArgs {
            brokers: Some("h:1".to_owned()),
            topic: vec!["t".to_owned()],
            table: Some("ns.t".to_owned()),
            catalog: catalog.map(ToOwned::to_owned),
            warehouse: warehouse.map(ToOwned::to_owned),
            ..RunArgs::default()
        }
    }

    #[test]
    fn catalog_and_warehouse_stand_in_for_each_other() {
        let settings = resolve(args(Some("sqlite:///a/b.db"), None)).unwrap();
        assert_eq!(settings.catalog.warehouse, "/a/warehouse");
        let settings = resolve(args(None, Some("file:///w/"))).unwrap();
        assert_eq!(settings.catalog.uri, "sqlite:/w/catalog.db");
        let error = resolve(args(None, None)).unwrap_err().to_string();
        assert!(error.contains("--catalog or --warehouse"), "{error}");
    }

    #[test]
    fn wrong_values_name_their_key() {
        for (interval, problem) in [
            ("5", "is no time"),
            ("0s", "is no time"),
            ("-5s", "is no time"),
            ("1ms", "must be from 100ms to 1h"),
            ("2h", "must be from 100ms to 1h"),
        ] {
            let mut args = args(None, Some("w"));
            args.trigger_interval = Some(interval.to_owned());
            let error = resolve(args).unwrap_err().to_string();
            assert!(error.starts_with("--trigger-interval: "), "{error}");
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn flags_override_the_file_and_secrets_are_masked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = r#"
            [kafka]
            brokers = "from-file:1"
            group = "g"
            [kafka.properties]
            "sasl.password" = "hunter2"
            [[plugin]]
            path = "builtin:redact_pii"
            keys = ["k"]
            lookups = ["roles", "office"]
            config = { fields = { user_email = { action = "drop" } } }
            [keys.k]
            file = "/k"
            id = "2026-11"
            previous = [{ file = "/old" }]
            [lookups.roles]
            file = "roles.csv"
            key = "user_id"
            valid-from = "from"
            valid-to = "to"
            [calendars.office]
            time-zone = "Europe/Berlin"
            hours = ["mon-fri 09:00-17:00"]
        "#;
        std::fs::write(file.path(), text).unwrap();
        let mut args = args(None, Some("w"));
        args.config = Some(file.path().to_owned());
        args.plugins = vec!["builtin:redact_pii".to_owned(), "x.wasm".to_owned()];
        let settings = resolve(args).unwrap();
        assert_eq!((settings.brokers.as_str(), settings.group.as_str()), ("h:1", "g"));
        assert!(
            settings.wanted.plugins[0].config.contains("drop"),
            "the file's config goes with the flag"
        );
        assert_eq!(settings.wanted.plugins[1].config, "{}");
        let printed = settings.to_toml();
        assert!(!printed.contains("hunter2"), "{printed}");
        // What is printed is a configuration file again.
        std::fs::write(file.path(), &printed).unwrap();
        let again = RunArgs { config: Some(file.path().to_owned()), ..RunArgs::default() };
        assert_eq!(resolve(again).unwrap().to_toml(), printed);
    }
}
