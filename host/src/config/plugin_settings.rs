//! Every setting of one plugin: the keys of `[[plugin]]` and of `NAME.toml` beside `NAME.wasm`.

use std::time::Duration;

use audit_chain::{Limits, OnError, Scope};

use super::error::Error;
use super::setting::{DefaultValue, Range, Setting, settings};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// From what a busy machine may need for one batch, to what would hold the stream up for too long.
const TIMES: Range = Range::Time(Duration::from_millis(10), Duration::from_mins(10));

settings! {
    /// One plugin as the file has it.
    table Plugin at "" {
        /// Component file or `builtin:NAME`.
        path: String = Setting::file().required("the component file");

        /// The plugin's own configuration.
        ///
        /// See its page in [plugins](plugins).
        config: toml::Table = Setting::file().default(DefaultValue::Computed("`{}`"));

        /// SHA-256 of the component.
        ///
        /// Any other is refused before it is compiled.
        sha256: Option<String> =
            Setting::file().range(Range::Described("64 hex digits, as `sha256sum` prints them"));

        /// The columns that the plugin may read.
        ///
        /// See [what a plugin may do](#what-a-plugin-may-do).
        reads: Option<Vec<String>> = Setting::file()
            .default(DefaultValue::Computed("those that it read when it was accepted"));

        /// The columns that the plugin may replace or add.
        writes: Option<Vec<String>> = Setting::file()
            .default(DefaultValue::Computed("those that it wrote when it was accepted"));

        /// The keys that the plugin may use.
        keys: Vec<String> = Setting::file()
            .default(DefaultValue::Computed("`[]`"))
            .range(Range::Described("names of `[keys]`"));

        /// The tables and calendars that the plugin may query.
        ///
        /// It cannot see others.
        lookups: Vec<String> = Setting::file()
            .default(DefaultValue::Computed("`[]`"))
            .range(Range::Described("names of `[lookups]` and `[calendars]`"));

        /// What happens to a row that the plugin cannot judge.
        ///
        /// `quarantine`: it becomes a dead letter. `halt`: the run ends before anything of the batch is
        /// committed. `pass`: it is stored as it was before the plugin, with null in columns that the
        /// plugin adds; refused for a plugin that replaces a column, because what it should have hidden
        /// would be stored.
        on_error: OnError = Setting::file()
            .default(DefaultValue::Text("quarantine"))
            .range(Range::Described("`quarantine`, `halt`, `pass`"));

        /// What feeds one state of a detector.
        ///
        /// `merged`: all partitions as one stream. `partition`: each partition has an instance and a
        /// state of its own.
        scope: Scope = Setting::file()
            .default(DefaultValue::Text("merged"))
            .range(Range::Described("`merged`, `partition`"));

        /// The columns by which the topic is keyed.
        ///
        /// Required for `scope = "partition"`. The host does not verify it.
        keyed_by: Vec<String> = Setting::file()
            .default(DefaultValue::Computed("`[]`"))
            .range(Range::Described("key columns of the detector"));

        /// What the plugin may consume.
        limits: PluginLimits = Setting::file().default(DefaultValue::Computed("see below"));
    }
}

settings! {
    /// What one plugin may consume. The defaults are those of `audit_chain::Limits`.
    table PluginLimits at "limits." {
        /// Time for one batch.
        ///
        /// A part of a batch gets its share, at least a tenth. The search for the rows that a plugin
        /// fails on takes at most ten times as long.
        batch_time: Option<String> = Setting::file()
            .default(DefaultValue::Time(|| Limits::default().batch_time))
            .range(TIMES);

        /// Time for each of start, `describe`, `configure`, `snapshot` and `restore`.
        setup_time: Option<String> = Setting::file()
            .default(DefaultValue::Time(|| Limits::default().setup_time))
            .range(TIMES);

        /// All linear memories of one instance together.
        memory_bytes_max: Option<u64> = Setting::file()
            .default(DefaultValue::Bytes(|| Limits::default().memory_bytes as u64))
            .range(Range::Bytes(MIB, 4 * GIB));

        /// What one result, or one call of an import, may transfer to the host.
        output_bytes_max: Option<u64> = Setting::file()
            .default(DefaultValue::Bytes(|| Limits::default().output_bytes as u64))
            .range(Range::Bytes(64 << 10, GIB));

        /// Size of the component's file.
        file_bytes_max: Option<u64> = Setting::file()
            .default(DefaultValue::Bytes(|| Limits::default().file_bytes))
            .range(Range::Bytes(1 << 10, GIB));

        /// Table elements of one instance: functions whose address is taken.
        table_elements_max: Option<u64> = Setting::file()
            .default(DefaultValue::Number(|| Limits::default().table_elements as u64))
            .range(Range::Number(100, 10_000_000));

        /// Core instances of a component, and as many memories and tables.
        ///
        /// A Python component has 33.
        instances_max: Option<u64> = Setting::file()
            .default(DefaultValue::Number(|| Limits::default().instances as u64))
            .range(Range::Number(1, 1000));

        /// Rows of one batch that the plugin may fail on.
        ///
        /// With one more its [breaker](operations/failing-plugins.md#the-breaker) opens.
        poison_rows_max: Option<u64> = Setting::file()
            .default(DefaultValue::Number(|| Limits::default().poison_rows as u64))
            .range(Range::Number(0, 1_000_000));

        /// How long the breaker stays open after the last failed row, and how long rows wait for a plugin that fails on
        /// all of them.
        breaker_pause: Option<String> = Setting::file()
            .default(DefaultValue::Time(|| Limits::default().breaker_pause))
            .range(TIMES);
    }
}

impl PluginLimits {
    /// These, and for those that are not given what `other` says.
    pub(super) fn over(self, other: &Self) -> Self {
        let text = |own: Option<String>, other: &Option<String>| own.or_else(|| other.clone());
        Self {
            batch_time: text(self.batch_time, &other.batch_time),
            setup_time: text(self.setup_time, &other.setup_time),
            memory_bytes_max: self.memory_bytes_max.or(other.memory_bytes_max),
            output_bytes_max: self.output_bytes_max.or(other.output_bytes_max),
            file_bytes_max: self.file_bytes_max.or(other.file_bytes_max),
            table_elements_max: self.table_elements_max.or(other.table_elements_max),
            instances_max: self.instances_max.or(other.instances_max),
            poison_rows_max: self.poison_rows_max.or(other.poison_rows_max),
            breaker_pause: text(self.breaker_pause, &other.breaker_pause),
        }
    }

    /// Checked, with the defaults for what is not given. `plugin` is for errors.
    pub(super) fn resolve(&self, plugin: &str) -> Result<Limits, Error> {
        let name = |setting: Setting| format!("plugin {plugin}: {}", setting.key());
        let time = |setting: Setting, given: &Option<String>| {
            setting.time(&name(setting), given.as_deref())
        };
        let number = |setting: Setting, given| setting.number(&name(setting), given);
        let size = |setting, given| {
            number(setting, given).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
        };
        Ok(Limits {
            batch_time: time(Self::batch_time(), &self.batch_time)?,
            setup_time: time(Self::setup_time(), &self.setup_time)?,
            breaker_pause: time(Self::breaker_pause(), &self.breaker_pause)?,
            memory_bytes: size(Self::memory_bytes_max(), self.memory_bytes_max)?,
            output_bytes: size(Self::output_bytes_max(), self.output_bytes_max)?,
            table_elements: size(Self::table_elements_max(), self.table_elements_max)?,
            instances: size(Self::instances_max(), self.instances_max)?,
            file_bytes: number(Self::file_bytes_max(), self.file_bytes_max)?,
            poison_rows: size(Self::poison_rows_max(), self.poison_rows_max)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_docs_are_those_of_the_chain() {
        let plugin: Plugin = toml::from_str("").unwrap();
        assert_eq!(plugin.limits.resolve("p").unwrap(), Limits::default());
        let words = [Plugin::on_error().default.to_string(), Plugin::scope().default.to_string()];
        let text = format!("on-error = {}\nscope = {}\n", words[0], words[1]).replace('`', "\"");
        let declared: Plugin = toml::from_str(&text).unwrap();
        assert_eq!((declared.on_error, declared.scope), (OnError::default(), Scope::default()));
    }
}
