//! `--print-config`: the settings that result, as a configuration file.

use std::collections::BTreeMap;

use audit_chain::{OnError, Scope};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::grants::Grant;
use super::plugin_settings::{Plugin, PluginLimits};
use super::plugins::PluginEntry;
use super::property::Property;
use super::resolve::{PluginCache, Settings};
use super::sections::{Alerts, DeadLetters, Kafka, Limits, Metrics, Plugins, Run, Table};
use super::setting::Setting;
use super::units::show_duration;

impl Settings {
    /// The settings as a configuration file, secrets masked.
    pub(crate) fn to_toml(&self) -> String {
        toml::to_string_pretty(&self.shown())
            .unwrap_or_else(|error| format!("# not printable: {error}\n"))
    }

    pub(super) fn shown(&self) -> Map<String, Value> {
        let mut file = Shown::default();
        file.set(Kafka::brokers(), &self.brokers);
        file.set(Kafka::topics(), &self.topics);
        file.set(Kafka::group(), &self.group);
        file.set(Kafka::start(), self.start);
        file.set(Kafka::on_gap(), self.on_gap);
        file.set(Kafka::properties(), self.shown_properties());
        file.set(Table::name(), self.table.to_string());
        file.set(Table::catalog(), &self.catalog.uri);
        file.set(Table::catalog_name(), &self.catalog.name);
        file.set(Table::warehouse(), &self.catalog.warehouse);
        file.set(Table::garbage_after(), show_duration(self.upkeep.garbage_after));
        file.set(Table::data_garbage_after(), show_duration(self.upkeep.data_garbage_after));
        file.set(Run::trigger_interval(), show_duration(self.trigger_interval));
        file.set(Run::duration(), self.duration.map(show_duration));
        file.set(Run::until_end(), self.until_end);
        file.set(Run::instance(), &self.instance);
        file.set(Run::lane_lease(), show_duration(self.lane_lease));
        file.set(Run::alignment_wait(), show_duration(self.alignment_wait));
        file.set(Alerts::to(), self.alerts.to_string());
        file.set(Metrics::listen(), self.metrics);
        file.set(DeadLetters::payload(), self.shown_payload());
        file.set(DeadLetters::key_file(), &self.key_file);
        file.set(Limits::max_record_bytes(), self.max_record_bytes);
        file.set(Limits::epoch_rows_max(), self.epoch_rows_max);
        file.set(Limits::open_partitions_max(), self.open_partitions_max);
        file.set(Limits::open_files_bytes_max(), self.open_files_bytes_max);
        file.set(Plugins::dir(), &self.wanted.folder);
        file.set(Plugins::watch(), self.watch_plugins);
        file.set(Plugins::require_replaced(), &self.wanted.require_replaced);
        let grants = self.wanted.grants.iter().map(|(name, one)| (name.clone(), shown_grant(one)));
        file.set(Plugins::grants(), grants.collect::<BTreeMap<_, _>>());
        file.set(Plugins::cache(), shown_cache(&self.plugin_cache));
        file.set(Plugins::shadow(), &self.wanted.shadows);
        file.set(Plugins::shadow_report(), &self.shadow_report);
        let listed = self.wanted.plugins.iter().filter(|plugin| !plugin.from_folder);
        file.insert("plugin", listed.map(shown_plugin).collect::<Vec<_>>());
        file.insert("keys", &self.wanted.keys);
        file.insert("lookups", &self.wanted.lookups.tables);
        file.insert("calendars", &self.wanted.lookups.calendars);
        file.tables
    }

    fn shown_properties(&self) -> Map<String, Value> {
        let shown = |(key, value): (&String, &Property)| (key.clone(), value.shown(key));
        self.kafka_properties.iter().map(shown).collect()
    }

    fn shown_payload(&self) -> &'static str {
        match (self.keep_raw_payloads, self.keep_payloads && self.key_file.is_some()) {
            (true, _) => "raw",
            (false, true) => "sealed",
            (false, false) => "digest-only",
        }
    }
}

/// The default is left out: it depends on who runs the program.
fn shown_cache(cache: &PluginCache) -> Option<String> {
    match cache {
        PluginCache::Off => Some("off".to_owned()),
        PluginCache::Default(_) => None,
        PluginCache::Named(folder) => Some(folder.display().to_string()),
    }
}

fn shown_grant(grant: &Grant) -> Map<String, Value> {
    let limits = &grant.limits;
    let mut file = Shown::default();
    file.set(Grant::reads(), &grant.reads);
    file.set(Grant::writes(), &grant.writes);
    file.set(Grant::keys(), &grant.keys);
    file.set(Grant::lookups(), &grant.lookups);
    file.set(Grant::sha256(), &grant.sha256);
    file.set(PluginLimits::batch_time(), &limits.batch_time);
    file.set(PluginLimits::setup_time(), &limits.setup_time);
    file.set(PluginLimits::breaker_pause(), &limits.breaker_pause);
    file.set(PluginLimits::memory_bytes_max(), limits.memory_bytes_max);
    file.set(PluginLimits::output_bytes_max(), limits.output_bytes_max);
    file.set(PluginLimits::table_elements_max(), limits.table_elements_max);
    file.set(PluginLimits::instances_max(), limits.instances_max);
    file.set(PluginLimits::file_bytes_max(), limits.file_bytes_max);
    file.set(PluginLimits::poison_rows_max(), limits.poison_rows_max);
    file.tables
}

fn shown_plugin(plugin: &PluginEntry) -> Map<String, Value> {
    let config: Value = serde_json::from_str(&plugin.config).unwrap_or_default();
    let limits = &plugin.limits;
    let mut file = Shown::default();
    file.set(Plugin::path(), &plugin.path);
    file.set(Plugin::config(), config);
    file.set(Plugin::sha256(), &plugin.sha256);
    file.set(Plugin::reads(), &plugin.reads);
    file.set(Plugin::writes(), &plugin.writes);
    file.set(Plugin::keys(), &plugin.keys);
    file.set(Plugin::lookups(), &plugin.lookups);
    let on_error = match plugin.on_error {
        OnError::Quarantine => "quarantine",
        OnError::Halt => "halt",
        OnError::Pass => "pass",
    };
    file.set(Plugin::on_error(), on_error);
    let scope = match plugin.scope {
        Scope::Merged => "merged",
        Scope::Partition => "partition",
    };
    file.set(Plugin::scope(), scope);
    file.set(Plugin::keyed_by(), &plugin.keyed_by);
    file.set(PluginLimits::batch_time(), show_duration(limits.batch_time));
    file.set(PluginLimits::setup_time(), show_duration(limits.setup_time));
    file.set(PluginLimits::breaker_pause(), show_duration(limits.breaker_pause));
    file.set(PluginLimits::memory_bytes_max(), limits.memory_bytes);
    file.set(PluginLimits::output_bytes_max(), limits.output_bytes);
    file.set(PluginLimits::table_elements_max(), limits.table_elements);
    file.set(PluginLimits::instances_max(), limits.instances);
    file.set(PluginLimits::file_bytes_max(), limits.file_bytes);
    file.set(PluginLimits::poison_rows_max(), limits.poison_rows);
    file.tables
}

/// A file in the making.
#[derive(Default)]
struct Shown {
    tables: Map<String, Value>,
}

impl Shown {
    /// Writes a setting at its key. TOML has no null: what is not set is left out, but its table is there.
    fn set(&mut self, setting: Setting, value: impl Serialize) {
        let key = setting.key();
        let (table, field) = key.split_once('.').unwrap_or(("", &key));
        let fields = if table.is_empty() {
            &mut self.tables
        } else {
            let table = self.tables.entry(table).or_insert_with(|| json!({}));
            match table {
                Value::Object(fields) => fields,
                _ => return,
            }
        };
        let value = json!(value);
        if !value.is_null() {
            fields.insert(field.to_owned(), value);
        }
    }

    fn insert(&mut self, key: &str, value: impl Serialize) {
        self.tables.insert(key.to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::super::flags::Flags;
    use super::super::resolve::resolve;
    use super::*;

    /// Every setting that has a key.
    const EVERYTHING: &str = r#"
        [kafka]
        brokers = "h:1"
        topics = ["t"]
        [table]
        name = "ns.t"
        warehouse = "w"
        [run]
        duration = "1s"
        [metrics]
        listen = "127.0.0.1:1"
        [dead-letters]
        key-file = "k"
        [plugins]
        dir = "."
        cache = "off"
        shadow-report = "s.json"
        [[plugin]]
        path = "p.wasm"
        sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
        reads = ["details"]
        writes = []
    "#;

    #[test]
    fn no_setting_is_left_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), EVERYTHING).unwrap();
        let config = Some(file.path().to_owned());
        let shown = resolve(Flags { config, ..Flags::default() }).unwrap().shown();
        let has = |tables: &Map<String, Value>, setting: &Setting| {
            let pointer = format!("/{}", setting.key().replace('.', "/"));
            Value::Object(tables.clone()).pointer(&pointer).is_some()
        };
        let left_out = File::settings().find(|setting| !has(&shown, setting));
        assert!(left_out.is_none(), "{left_out:?}");
        let plugin = shown["plugin"][0].as_object().unwrap();
        let settings = Plugin::ALL.iter().chain(PluginLimits::ALL);
        for setting in settings {
            assert!(has(plugin, setting), "{setting:?}");
        }
    }
}
