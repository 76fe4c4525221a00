//! The command line, and nothing else.

mod author;
mod generate;
mod plugin;

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::author::{
    BenchArgs, CheckArgs, GivenArgs, InspectArgs, KeyArgs, TestArgs, TryArgs,
};
pub(crate) use self::generate::{GenerateArgs, KafkaTime, OneOrAll};
pub(crate) use self::plugin::{
    BuildArgs, HistoryArgs, Kind, Lang, ListArgs, NewArgs, PickArgs, PluginCommand, SwapArgs,
    TableArgs,
};

/// Kafka audit events through WebAssembly plugins into an append-only Iceberg table, and alerts.
///
/// Flags override AUDIT_HOST_* variables, which override the configuration file.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct LogArgs {
    /// What to log on standard error: error, warn, info, debug, or directives such as
    /// `warn,audit_sink=debug`
    #[arg(long, env = "AUDIT_HOST_LOG", default_value = "info", value_name = "LEVEL")]
    pub(crate) log: String,
    /// Log as text or as one JSON object a line
    #[arg(long, env = "AUDIT_HOST_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Reads events, runs the plugins, writes the table (the default command)
    Run(RunArgs),
    /// Shows everything at work with nothing but this program: broker, events, plugins, table, alerts
    Demo(DemoArgs),
    /// Writes synthetic audit events, with labelled attacks on request
    Generate(GenerateArgs),
    /// Opens values that a plugin encrypted
    Decrypt(DecryptArgs),
    /// Makes, builds, tests, measures and exchanges plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
}

impl Command {
    pub(crate) fn log(&self) -> &LogArgs {
        match self {
            Self::Run(args) => &args.log,
            Self::Demo(args) => &args.log,
            Self::Generate(args) => &args.log,
            Self::Decrypt(args) => &args.log,
            Self::Plugin(command) => command.log(),
        }
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Configuration file (TOML)
    #[arg(long, env = "AUDIT_HOST_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A plugin: a component file, or builtin:NAME. Give it again for more; they run in this order
    #[arg(long = "plugin", value_name = "FILE", env = "AUDIT_HOST_PLUGIN", value_delimiter = ',')]
    pub(crate) plugins: Vec<String>,
    /// A folder of component files, taken by file name behind the --plugin ones; NAME.toml beside
    /// NAME.wasm configures it
    #[arg(long, value_name = "DIR", env = "AUDIT_HOST_PLUGIN_DIR")]
    pub(crate) plugin_dir: Option<PathBuf>,
    /// A candidate that runs beside a plugin, and of which only a comparison is kept
    #[arg(
        long = "shadow",
        value_name = "PLUGIN=FILE",
        env = "AUDIT_HOST_SHADOW",
        value_delimiter = ','
    )]
    pub(crate) shadows: Vec<String>,
    /// Write the comparison to this file, as JSON, every 10 seconds and at the end
    #[arg(long, value_name = "FILE", env = "AUDIT_HOST_SHADOW_REPORT")]
    pub(crate) shadow_report: Option<PathBuf>,
    /// Folder of compiled plugins, or off [default: audit-host/compiled in the user's cache]
    #[arg(long, value_name = "DIR", env = "AUDIT_HOST_PLUGIN_CACHE")]
    pub(crate) plugin_cache: Option<String>,
    /// Exchange plugins when their files change; SIGHUP works without it [default: true]
    #[arg(long, env = "AUDIT_HOST_WATCH_PLUGINS", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL", value_parser = FalseyValueParser::new())]
    pub(crate) watch_plugins: Option<bool>,
    /// Kafka brokers: HOST:PORT[,HOST:PORT]
    #[arg(long, env = "AUDIT_HOST_BROKERS", value_name = "LIST")]
    pub(crate) brokers: Option<String>,
    /// Kafka topics: TOPIC[,TOPIC]
    #[arg(long, env = "AUDIT_HOST_TOPIC", value_name = "TOPIC", value_delimiter = ',')]
    pub(crate) topic: Vec<String>,
    /// The name under which the table keeps our offsets, and Kafka shows our lag [default: audit-host]
    #[arg(long, env = "AUDIT_HOST_GROUP")]
    pub(crate) group: Option<String>,
    /// Where to start in a partition that the table does not know [default: earliest]
    #[arg(long, env = "AUDIT_HOST_START")]
    pub(crate) start: Option<StartAt>,
    /// What to do when Kafka deleted records before we read them [default: stop]
    #[arg(long, env = "AUDIT_HOST_ON_GAP")]
    pub(crate) on_gap: Option<OnGap>,
    /// Iceberg catalog: sqlite:PATH [default: sqlite:WAREHOUSE/catalog.db]
    #[arg(long, env = "AUDIT_HOST_CATALOG", value_name = "URI")]
    pub(crate) catalog: Option<String>,
    /// Folder of the tables' files [default: the folder `warehouse` beside the catalog's file]
    #[arg(long, env = "AUDIT_HOST_WAREHOUSE", value_name = "URI")]
    pub(crate) warehouse: Option<String>,
    /// The table; it is created if absent
    #[arg(long, env = "AUDIT_HOST_TABLE", value_name = "NAMESPACE.NAME")]
    pub(crate) table: Option<String>,
    /// Longest time between an event and its commit, for example 5s, 500ms, 1m [default: 5s]
    #[arg(long, env = "AUDIT_HOST_TRIGGER_INTERVAL", value_name = "TIME")]
    pub(crate) trigger_interval: Option<String>,
    /// Stop after this time
    #[arg(long, env = "AUDIT_HOST_DURATION", value_name = "TIME")]
    pub(crate) duration: Option<String>,
    /// Stop when every partition is read up to where it ended at the start
    #[arg(long, env = "AUDIT_HOST_UNTIL_END", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL", value_parser = FalseyValueParser::new())]
    pub(crate) until_end: Option<bool>,
    /// Where alerts go: stdout or file:PATH [default: stdout]
    #[arg(long, env = "AUDIT_HOST_ALERTS", value_name = "TARGET")]
    pub(crate) alerts: Option<String>,
    /// Show counters to Prometheus at http://ADDRESS:PORT/metrics
    #[arg(long, env = "AUDIT_HOST_METRICS", value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<String>,
    /// Print the configuration that results, secrets masked, and stop
    #[arg(long)]
    pub(crate) print_config: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StartAt {
    Earliest,
    Latest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnGap {
    Stop,
    Continue,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Folder for the table and its catalog; must be empty or absent [default: a new folder among the
    /// temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// How many events
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=200_000))]
    pub(crate) count: u64,
    /// Events a second
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    pub(crate) rate: u64,
    /// The same seed gives the same events
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DecryptArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Configuration file (TOML) that defines the key
    #[arg(long, env = "AUDIT_HOST_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The key, as [keys] names it; earlier secrets of it are tried by their ids
    #[arg(long, value_name = "NAME")]
    pub(crate) key: String,
    /// For whom the values were encrypted
    #[arg(long, default_value = "")]
    pub(crate) subject: String,
    /// The column or path that they stood at
    #[arg(long)]
    pub(crate) context: String,
    /// Print each value as a JSON string: a value may have several lines
    #[arg(long)]
    pub(crate) json: bool,
    /// The values; without any they are read from standard input, one a line
    #[arg(value_name = "VALUE")]
    pub(crate) values: Vec<String>,
}
