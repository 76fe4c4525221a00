//! From flags, variables and file to typed settings, every default filled in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_alert::Target;
use audit_sink::{CatalogSettings, TableName, UpkeepSettings};

use super::error::Error;
use super::file::{self, File};
use super::flags::Flags;
use super::grants::columns;
use super::plugins::{PluginPlaces, Wanted};
use super::property::Properties;
use super::sections::{
    Alerts, CommandLine, DeadLetters, Kafka, Limits, Metrics, OnGap, Payload, Plugins, Run,
    StartAt, Table,
};
use super::setting::Setting;

/// The name of an instance is part of a table property, and of messages.
const INSTANCE_BYTES_MAX: usize = 200;
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
    pub(crate) kafka_properties: Properties,
    pub(crate) catalog: CatalogSettings,
    pub(crate) table: TableName,
    pub(crate) trigger_interval: Duration,
    pub(crate) duration: Option<Duration>,
    pub(crate) until_end: bool,
    pub(crate) instance: String,
    pub(crate) lane_lease: Duration,
    pub(crate) alignment_wait: Duration,
    pub(crate) upkeep: UpkeepSettings,
    pub(crate) alerts: Target,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) keep_raw_payloads: bool,
    pub(crate) keep_payloads: bool,
    pub(crate) max_record_bytes: u64,
    pub(crate) epoch_rows_max: u64,
    pub(crate) open_partitions_max: u64,
    pub(crate) open_files_bytes_max: u64,
    /// Where plugins come from, to look there again.
    pub(crate) places: PluginPlaces,
    pub(crate) wanted: Wanted,
    pub(crate) plugin_cache: PluginCache,
    pub(crate) watch_plugins: bool,
    pub(crate) shadow_report: Option<PathBuf>,
    /// `--allow-unredacted`: columns that no longer have to be replaced.
    pub(crate) allow_unredacted: Vec<String>,
    /// `--allow-lost-settings`: plugins that may have lost settings.
    pub(crate) allow_lost_settings: Vec<String>,
    pub(crate) metrics: Option<SocketAddr>,
}

/// Flags and variables (clap has merged them) over the file over the defaults.
pub(crate) fn resolve(flags: Flags) -> Result<Settings, Error> {
    let Flags { config, plugins, shadows, given, print_config: _, .. } = flags;
    let Flags { allow_unredacted, allow_lost_settings, .. } = flags;
    let file = file::read_given(config.as_deref())?;
    let folder = given.plugins.dir.clone();
    let places = PluginPlaces { config, flags: plugins, folder, shadows: parse_shadows(&shadows)? };
    let wanted = places.wanted(&file)?;
    let File { plugins, kafka, table, run, alerts, metrics, dead_letters, limits, .. } =
        given.over(file);
    let number = |setting: Setting, given| setting.number(&setting.name(), given);
    let time =
        |setting: Setting, given: &Option<String>| setting.time(&setting.name(), given.as_deref());
    let upkeep = upkeep(&table)?;
    let (name, catalog) = (table.name.clone(), catalog(table)?);
    let (duration, until_end) = end(run.duration, run.until_end)?;
    let DeadLetters { key_file, payload } = dead_letters;
    if payload == Some(Payload::Sealed) && key_file.is_none() {
        let problem = "needs dead-letters.key-file: the key that seals";
        return Err(DeadLetters::payload().refuse("sealed", problem));
    }
    Ok(Settings {
        brokers: Kafka::brokers().text_or_default(kafka.brokers)?,
        topics: topics(kafka.topics)?,
        group: group(kafka.group)?,
        start: kafka.start.unwrap_or_default(),
        on_gap: kafka.on_gap.unwrap_or_default(),
        kafka_properties: kafka.properties,
        catalog,
        table: table_name(name)?,
        trigger_interval: time(Run::trigger_interval(), &run.trigger_interval)?,
        instance: instance(run.instance)?,
        lane_lease: time(Run::lane_lease(), &run.lane_lease)?,
        alignment_wait: time(Run::alignment_wait(), &run.alignment_wait)?,
        upkeep,
        duration,
        until_end,
        alerts: target(alerts.to)?,
        keep_raw_payloads: payload == Some(Payload::Raw),
        keep_payloads: payload != Some(Payload::DigestOnly),
        key_file,
        max_record_bytes: number(Limits::max_record_bytes(), limits.max_record_bytes)?,
        epoch_rows_max: number(Limits::epoch_rows_max(), limits.epoch_rows_max)?,
        open_partitions_max: number(Limits::open_partitions_max(), limits.open_partitions_max)?,
        open_files_bytes_max: number(Limits::open_files_bytes_max(), limits.open_files_bytes_max)?,
        places,
        wanted,
        plugin_cache: PluginCache::resolve(plugins.cache.as_deref())?,
        watch_plugins: Plugins::watch().is_on(plugins.watch),
        shadow_report: plugins.shadow_report,
        allow_unredacted: columns(&CommandLine::allow_unredacted(), allow_unredacted)?,
        allow_lost_settings,
        metrics: metrics.listen.as_deref().map(metrics_address).transpose()?,
    })
}

/// `PLUGIN=FILE`, each plugin once.
fn parse_shadows(flags: &[String]) -> Result<Vec<(String, String)>, Error> {
    let refuse = |flag: &str, problem| Err(Plugins::shadow().refuse(flag, problem));
    let mut shadows: Vec<(String, String)> = Vec::new();
    for flag in flags {
        let (plugin, candidate) = flag.split_once('=').unwrap_or_default();
        if plugin.is_empty() || candidate.is_empty() {
            return refuse(flag, "must be PLUGIN=FILE, for example redact_pii=new.wasm");
        }
        if shadows.iter().any(|(known, _)| known == plugin) {
            return refuse(flag, "is a second candidate for the same plugin: give one at a time");
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
    /// For commands that run no flow: the variable of the setting, or the default.
    pub(crate) fn of_environment() -> Result<Self, Error> {
        let variable = Plugins::cache().flag.and_then(|flag| flag.variable);
        Self::resolve(variable.and_then(|name| std::env::var(name).ok()).as_deref())
    }

    /// By default a folder in the user's cache; without a home there is none.
    fn resolve(given: Option<&str>) -> Result<Self, Error> {
        match given {
            Some("off") => Ok(Self::Off),
            Some("") => Err(Plugins::cache().refuse("", "is empty: name a folder, or write off")),
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
}

fn topics(topics: Vec<String>) -> Result<Vec<String>, Error> {
    if topics.is_empty() {
        return Err(Kafka::topics().missing());
    }
    if topics.iter().any(String::is_empty) {
        return Err(Kafka::topics().refuse(&topics.join(","), "contains an empty name"));
    }
    Ok(topics)
}

pub(super) fn table_name(given: Option<String>) -> Result<TableName, Error> {
    let name = Table::name().text_or_default(given)?;
    TableName::parse(&name).map_err(|_| Table::name().refuse(&name, TABLE_NAMES))
}

pub(super) fn group(given: Option<String>) -> Result<String, Error> {
    let group = Kafka::group().text_or_default(given)?;
    if group.is_empty() {
        return Err(Kafka::group().refuse(&group, "is empty: name the group"));
    }
    Ok(group)
}

fn instance(given: Option<String>) -> Result<String, Error> {
    let Some(name) = given else { return Ok(audit_sink::host_name()) };
    if name.is_empty() || name.len() > INSTANCE_BYTES_MAX || name.chars().any(char::is_control) {
        let problem = "must be 1 to 200 bytes on one line: name the instance";
        return Err(Run::instance().refuse(&name, problem));
    }
    Ok(name)
}

/// When a run ends by itself: after a time, at the end of the topic, or (most of the time) never.
fn end(
    duration: Option<String>,
    until_end: Option<bool>,
) -> Result<(Option<Duration>, bool), Error> {
    let until_end = Run::until_end().is_on(until_end);
    let Some(text) = duration else { return Ok((None, until_end)) };
    let setting = Run::duration();
    if until_end {
        return Err(setting.refuse(&text, "cannot be used with --until-end: give one of them"));
    }
    Ok((Some(setting.time(&setting.name(), Some(&text))?), false))
}

fn target(given: Option<String>) -> Result<Target, Error> {
    let target = Alerts::to().text_or_default(given)?;
    target.parse().map_err(|e| Alerts::to().refuse(&target, &format!("{e}")))
}

fn metrics_address(given: &str) -> Result<SocketAddr, Error> {
    let problem = "must be ADDRESS:PORT, such as 127.0.0.1:9464";
    given.parse().map_err(|_| Metrics::listen().refuse(given, problem))
}

/// One of catalog and warehouse is enough: the other is put beside it.
pub(super) fn catalog(table: Table) -> Result<CatalogSettings, Error> {
    let (uri, warehouse) = match (table.catalog, table.warehouse) {
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
        (None, None) => return Err(missing_catalog()),
    };
    let name = Table::catalog_name().text_or_default(table.catalog_name)?;
    Ok(CatalogSettings { uri, warehouse, name })
}

/// What is kept of what a table no longer names.
pub(super) fn upkeep(table: &Table) -> Result<UpkeepSettings, Error> {
    let (soon, late) = (Table::garbage_after(), Table::data_garbage_after());
    Ok(UpkeepSettings {
        garbage_after: soon.time(&soon.name(), table.garbage_after.as_deref())?,
        data_garbage_after: late.time(&late.name(), table.data_garbage_after.as_deref())?,
        ..UpkeepSettings::default()
    })
}

/// Either would do.
fn missing_catalog() -> Error {
    let flag = format!("{} or {}", Table::catalog().name(), Table::warehouse().name());
    match Table::catalog().missing() {
        Error::Missing { variable, key, .. } => {
            Error::Missing { what: "the catalog", flag, variable, key }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(catalog: Option<&str>, warehouse: Option<&str>) -> Flags {
        let mut flags = Flags::default();
        let given = &mut flags.given;
        given.kafka.brokers = Some("h:1".to_owned());
        given.kafka.topics = vec!["t".to_owned()];
        given.table.name = Some("ns.t".to_owned());
        given.table.catalog = catalog.map(ToOwned::to_owned);
        given.table.warehouse = warehouse.map(ToOwned::to_owned);
        flags
    }

    #[test]
    fn catalog_and_warehouse_stand_in_for_each_other() {
        let settings = resolve(flags(Some("sqlite:///a/b.db"), None)).unwrap();
        assert_eq!(settings.catalog.warehouse, "/a/warehouse");
        let settings = resolve(flags(None, Some("file:///w/"))).unwrap();
        assert_eq!(settings.catalog.uri, "sqlite:/w/catalog.db");
        let error = resolve(flags(None, None)).unwrap_err().to_string();
        assert!(error.contains("--catalog or --warehouse"), "{error}");
    }

    #[test]
    fn wrong_values_name_their_key() {
        for (interval, problem) in [
            ("5", "invalid duration"),
            ("0s", "invalid duration"),
            ("-5s", "invalid duration"),
            ("1ms", "must be from 100ms to 1h"),
            ("2h", "must be from 100ms to 1h"),
        ] {
            let mut flags = flags(None, Some("w"));
            flags.given.run.trigger_interval = Some(interval.to_owned());
            let error = resolve(flags).unwrap_err().to_string();
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
            "ssl.key.password" = { file = "/run/secrets/key" }
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
        let mut flags = flags(None, Some("w"));
        flags.config = Some(file.path().to_owned());
        flags.plugins = vec!["builtin:redact_pii".to_owned(), "x.wasm".to_owned()];
        let settings = resolve(flags).unwrap();
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
        let again = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
        assert_eq!(resolve(again).unwrap().to_toml(), printed);
    }
}
