//! Every setting of the main job, but those of plugins: `plugin_settings.rs`.
//!
//! The first paragraph of a doc comment is the flag's help, and the docs have all of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::grants::Grants;
use super::property::Properties;
use super::setting::{DefaultValue, Range, Setting, settings};

/// A record larger than this is no audit event.
pub(crate) const RECORD_BYTES_MAX: u64 = 16 << 20;
/// Rows of one commit: what a crash repeats.
const EPOCH_ROWS_MAX: u64 = 2_000_000;
/// Partitions that are written at a time, each with a file handle. Partitions with few rows need none.
const OPEN_PARTITIONS_MAX: u64 = 128;
/// Memory of open data files. The rest of the program takes about as much: docs/performance.md.
const OPEN_FILES_BYTES_MAX: u64 = 128 << 20;
/// Less would make a file of every few rows.
const OPEN_FILES_BYTES_MIN: u64 = 16 << 20;
/// The largest that is accepted: far more than an epoch can hold.
const OPEN_FILES_BYTES_LIMIT: u64 = 64 << 30;
const TRIGGER_INTERVAL: Duration = Duration::from_secs(5);
/// Shorter commits would spend more on metadata than on rows.
const TRIGGER_INTERVAL_MIN: Duration = Duration::from_millis(100);
const TRIGGER_INTERVAL_MAX: Duration = Duration::from_hours(1);
const LANE_LEASE: Duration = Duration::from_mins(1);
const LANE_LEASE_MIN: Duration = Duration::from_secs(1);
const LANE_LEASE_MAX: Duration = Duration::from_hours(1);
const ALIGNMENT_WAIT: Duration = Duration::from_secs(10);
const ALIGNMENT_WAIT_MAX: Duration = Duration::from_mins(10);
/// Readers need these files only while they plan a query.
const GARBAGE_AFTER: Duration = Duration::from_mins(10);
const GARBAGE_AFTER_MIN: Duration = Duration::from_secs(1);
const GARBAGE_AFTER_MAX: Duration = Duration::from_hours(7 * 24);
/// A query may run for hours on the data files that it planned with.
const DATA_GARBAGE_AFTER: Duration = Duration::from_hours(24);
const DATA_GARBAGE_AFTER_MIN: Duration = Duration::from_mins(1);
const DATA_GARBAGE_AFTER_MAX: Duration = Duration::from_hours(90 * 24);

settings! {
    /// What only the command line and variables can say.
    flags CommandLine at "" {
        /// Configuration file (TOML)
        config: Option<PathBuf> = Setting::path("config", "AUDIT_HOST_CONFIG", "FILE");

        /// A plugin: a component file, or `builtin:NAME`. Repeat the flag for more; they run in this order
        ///
        /// See [plugins](#plugins).
        plugin: Vec<String> = Setting::list("plugin", "AUDIT_HOST_PLUGIN", "FILE");

        /// Store this column as it comes from now on, although it had to be replaced until now
        ///
        /// Recorded in the table and alerted. See
        /// [columns that must stay replaced](#columns-that-must-stay-replaced).
        allow_unredacted: Vec<String> =
            Setting::acknowledgement("allow-unredacted", "COLUMN");

        /// Accept that this plugin has lost settings that it was accepted with: keys of its `config`, or its `sha256`
        ///
        /// Recorded in the table and alerted. See
        /// [columns that must stay replaced](#columns-that-must-stay-replaced).
        allow_lost_settings: Vec<String> =
            Setting::acknowledgement("allow-lost-settings", "PLUGIN");

        /// Print the resulting configuration, secrets masked, and exit
        print_config: bool = Setting::request("print-config");
    }
}

settings! {
    /// `[plugins]`: where plugins are found besides those that are listed, and how files are used.
    section Plugins at "plugins." {
        /// Folder of component files. They run after the `--plugin` ones, in order of file name
        ///
        /// `NAME.toml` beside `NAME.wasm` configures it: see [plugins](#plugins).
        dir: Option<PathBuf> = Setting::path("plugin-dir", "AUDIT_HOST_PLUGIN_DIR", "DIR");

        /// What plugins may do: tables `[plugins.grants.NAME]`.
        ///
        /// See [what a plugin may do](#what-a-plugin-may-do).
        grants: Grants = Setting::file();

        /// Columns that must be replaced before anything is stored, besides those that the group has replaced before.
        ///
        /// Proved with marked values at each start and reload. What it names once stays required: see
        /// [columns that must stay replaced](#columns-that-must-stay-replaced).
        require_replaced: Vec<String> = Setting::file()
            .default(DefaultValue::Computed("`[]`"))
            .range(Range::Described("columns of events with text, but `action_type`"));

        /// A candidate that runs beside a plugin; only a comparison of their output is kept
        ///
        /// In the file a table: `shadow = { redact_pii = "new.wasm" }`. See
        /// [shadows](operations/reload.md#shadow).
        shadow: BTreeMap<String, String> =
            Setting::list("shadow", "AUDIT_HOST_SHADOW", "PLUGIN=FILE");

        /// Write the comparison to this file as JSON, every 10 seconds and at the end
        shadow_report: Option<PathBuf> =
            Setting::path("shadow-report", "AUDIT_HOST_SHADOW_REPORT", "FILE");

        /// Folder of compiled plugins, or `off`
        ///
        /// See [the cache of compiled code](#the-cache-of-compiled-code).
        cache: Option<String> = Setting::text("plugin-cache", "AUDIT_HOST_PLUGIN_CACHE", "DIR")
            .default(DefaultValue::Computed(
                "`audit-host/compiled` in `$XDG_CACHE_HOME` or `$HOME/.cache`, `off` without either",
            ));

        /// Reload plugins when their files change. SIGHUP works without it
        watch: Option<bool> = Setting::switch("watch-plugins", "AUDIT_HOST_WATCH_PLUGINS", true);
    }
}

settings! {
    /// `[kafka]`: where events come from.
    section Kafka at "kafka." {
        /// Kafka brokers: `HOST:PORT[,HOST:PORT]`
        brokers: Option<String> = Setting::text("brokers", "AUDIT_HOST_BROKERS", "LIST")
            .required("the list of brokers");

        /// Kafka topics: `TOPIC[,TOPIC]`
        ///
        /// They must exist. In the file a list.
        topics: Vec<String> =
            Setting::list("topic", "AUDIT_HOST_TOPIC", "TOPIC").required("the topic");

        /// Name under which the table stores offsets and Kafka shows consumer lag
        group: Option<String> = Setting::text("group", "AUDIT_HOST_GROUP", "NAME")
            .default(DefaultValue::Text("audit-host"));

        /// Where to start reading a topic that the table has no offsets of
        ///
        /// Partitions added to a known topic are always read from their beginning.
        start: Option<StartAt> = Setting::word::<StartAt>("start", "AUDIT_HOST_START", "WHERE");

        /// What to do when Kafka deleted records before they were read
        ///
        /// See [gaps](operations/offsets.md#gaps).
        on_gap: Option<OnGap> = Setting::word::<OnGap>("on-gap", "AUDIT_HOST_ON_GAP", "ACTION");

        /// Properties of librdkafka, as strings: `"fetch.max.bytes" = "8388608"`.
        ///
        /// A secret also as `{ file = "PATH" }` or `{ env = "VARIABLE" }`. See
        /// [connecting to a secured Kafka](operations/secured-kafka.md).
        properties: Properties = Setting::file();
    }
}

settings! {
    /// `[table]`: where rows go.
    section Table at "table." {
        /// Iceberg catalog: `sqlite:PATH`
        ///
        /// Also `sqlite:///PATH`.
        catalog: Option<String> = Setting::text("catalog", "AUDIT_HOST_CATALOG", "URI")
            .default(DefaultValue::Computed("`sqlite:WAREHOUSE/catalog.db`"));

        /// Folder of the table's files
        ///
        /// A path or `file:///PATH`.
        warehouse: Option<String> = Setting::text("warehouse", "AUDIT_HOST_WAREHOUSE", "URI")
            .default(DefaultValue::Computed("the folder `warehouse` beside the catalog's file"));

        /// Name of the table
        ///
        /// It is created if absent. Letters, digits, `_` and `-`; the namespace may have several levels.
        name: Option<String> = Setting::text("table", "AUDIT_HOST_TABLE", "NAMESPACE.NAME")
            .required("the table");

        /// Name of the catalog inside its database.
        ///
        /// Readers must use the same one; another name is another catalog.
        catalog_name: Option<String> =
            Setting::file().default(DefaultValue::Text("audit_host"));

        /// How long metadata, manifests and stored objects are kept after the table stops naming them.
        ///
        /// See [a table that lives for years](operations/table.md).
        garbage_after: Option<String> = Setting::file()
            .default(DefaultValue::Time(|| GARBAGE_AFTER))
            .range(Range::Time(GARBAGE_AFTER_MIN, GARBAGE_AFTER_MAX));

        /// How long data files are kept after the last snapshot that named them has expired.
        ///
        /// The host never replaces a data file: these are files that another program rewrote or deleted.
        data_garbage_after: Option<String> = Setting::file()
            .default(DefaultValue::Time(|| DATA_GARBAGE_AFTER))
            .range(Range::Time(DATA_GARBAGE_AFTER_MIN, DATA_GARBAGE_AFTER_MAX));
    }
}

settings! {
    /// `[run]`: when to commit, and when to end.
    section Run at "run." {
        /// How long an epoch stays open after its first batch before it is committed, for example `500ms`
        trigger_interval: Option<String> =
            Setting::text("trigger-interval", "AUDIT_HOST_TRIGGER_INTERVAL", "TIME")
                .default(DefaultValue::Time(|| TRIGGER_INTERVAL))
                .range(Range::Time(TRIGGER_INTERVAL_MIN, TRIGGER_INTERVAL_MAX));

        /// Stop after this time, for example `30s`
        duration: Option<String> = Setting::text("duration", "AUDIT_HOST_DURATION", "TIME");

        /// Stop once every partition is read up to its end as of the start
        ///
        /// Cannot be combined with `--duration`.
        until_end: Option<bool> = Setting::switch("until-end", "AUDIT_HOST_UNTIL_END", false);

        /// Name of this instance among those of its group
        ///
        /// A restart under the same name does not wait for the lease. See
        /// [two instances](operations/running.md#two-instances-of-one-group).
        instance: Option<String> = Setting::text("instance", "AUDIT_HOST_INSTANCE", "NAME")
            .default(DefaultValue::Computed("the name of the machine"));

        /// How long another instance of the group must have committed nothing before this one takes its place
        ///
        /// A start waits for that only if the other instance may still be alive.
        lane_lease: Option<String> = Setting::text("lane-lease", "AUDIT_HOST_LANE_LEASE", "TIME")
            .default(DefaultValue::Time(|| LANE_LEASE))
            .range(Range::Time(LANE_LEASE_MIN, LANE_LEASE_MAX));

        /// How long a partition that delivers nothing may hold older records of the others
        ///
        /// While a backlog is read, partitions are merged by time. Live records never wait. See
        /// [the order of reading](operations/running.md#the-order-of-reading).
        alignment_wait: Option<String> =
            Setting::text("alignment-wait", "AUDIT_HOST_ALIGNMENT_WAIT", "TIME")
                .default(DefaultValue::Time(|| ALIGNMENT_WAIT))
                .range(Range::Time(Duration::ZERO, ALIGNMENT_WAIT_MAX));
    }
}

settings! {
    /// `[alerts]`: where findings go.
    section Alerts at "alerts." {
        /// Where alerts go: `stdout` or `file:PATH`
        ///
        /// An absent folder is created.
        to: Option<String> = Setting::text("alerts", "AUDIT_HOST_ALERTS", "TARGET")
            .default(DefaultValue::Text("stdout"));
    }
}

settings! {
    /// `[metrics]`: counters.
    section Metrics at "metrics." {
        /// Serve Prometheus metrics at `http://ADDRESS:PORT/metrics`
        ///
        /// No TLS and no login: listen where only the monitoring can connect. See
        /// [metrics](operations/metrics.md).
        listen: Option<String> = Setting::text("metrics", "AUDIT_HOST_METRICS", "ADDRESS:PORT");
    }
}

settings! {
    /// `[dead-letters]`: what is kept of records that cannot be stored as rows.
    section DeadLetters at "dead_letters." {
        /// File with the key that seals payloads of dead letters and the state of detectors.
        ///
        /// Make one with `openssl rand -hex 32`.
        key_file: Option<PathBuf> =
            Setting::file().range(Range::Described("64 hex digits, or 32 bytes"));

        /// What is kept of a dead letter's bytes.
        ///
        /// See [dead letters](dead-letters.md).
        payload: Option<Payload> = Setting::file()
            .default(DefaultValue::Computed("`sealed` with a key file, else `digest-only`"))
            .range(Range::Described("`sealed`, `digest-only`, `raw`"));
    }
}

settings! {
    /// `[limits]`: sizes of records, epochs and open files.
    section Limits at "limits." {
        /// A larger record becomes a dead letter without its bytes.
        max_record_bytes: Option<u64> = Setting::file()
            .default(DefaultValue::Bytes(|| RECORD_BYTES_MAX))
            .range(Range::Positive);

        /// Number of records after which an epoch ends early.
        epoch_rows_max: Option<u64> = Setting::file()
            .default(DefaultValue::Number(|| EPOCH_ROWS_MAX))
            .range(Range::Positive);

        /// Number of data files that are open at the same time.
        ///
        /// If more are needed, the largest are closed first, which makes more and smaller files.
        open_partitions_max: Option<u64> = Setting::file()
            .default(DefaultValue::Number(|| OPEN_PARTITIONS_MAX))
            .range(Range::Positive);

        /// Memory of all open data files together.
        ///
        /// If they take more, the largest are closed, which makes more and smaller files. See
        /// [memory](performance.md#memory).
        open_files_bytes_max: Option<u64> = Setting::file()
            .default(DefaultValue::Bytes(|| OPEN_FILES_BYTES_MAX))
            .range(Range::Bytes(OPEN_FILES_BYTES_MIN, OPEN_FILES_BYTES_LIMIT));
    }
}

/// Where to start in a partition that the table does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StartAt {
    #[default]
    Earliest,
    Latest,
}

/// What to do when Kafka deleted records before they were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnGap {
    #[default]
    Stop,
    Continue,
}

/// What is kept of a dead letter's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Payload {
    Sealed,
    DigestOnly,
    Raw,
}
