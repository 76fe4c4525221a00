//! Arguments of the commands that try a plugin out.

use std::path::PathBuf;

use clap::Args;

use super::log::LogArgs;

/// One plugin and its configuration.
#[derive(Debug, Args)]
pub(crate) struct GivenArgs {
    /// A component file, or builtin:NAME
    #[arg(value_name = "FILE")]
    pub(crate) file: String,
    /// The plugin's configuration: JSON, or @FILE to read it from [default: {}]
    #[arg(long, value_name = "JSON")]
    pub(crate) config: Option<String>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
}

#[derive(Debug, Default, Args)]
pub(crate) struct KeyArgs {
    /// Grant the plugin the key in this file under this name. Repeat the flag for more
    #[arg(long = "key", value_name = "NAME=FILE")]
    pub(crate) keys: Vec<String>,
    /// Grant the plugin every table and calendar of this configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) lookups: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) given: GivenArgs,
    /// Also prove that it can replace this version of the same plugin: a component file or builtin:NAME
    #[arg(long, value_name = "OLD")]
    pub(crate) replaces: Option<String>,
    /// With --replaces: accept that the old version does not take the state back
    #[arg(long, requires = "replaces")]
    pub(crate) one_way: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) given: GivenArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// A project folder; or a component file or builtin:NAME, to run the golden cases inside it
    #[arg(default_value = ".")]
    pub(crate) path: String,
    /// The component of the project [default: target/NAME.wasm, else NAME.wasm]
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Option<String>,
    /// Folder of the golden cases, one folder for each
    #[arg(long, value_name = "DIR")]
    pub(crate) cases: Option<PathBuf>,
    /// Run only cases whose name contains this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// Write the results as the expected ones
    #[arg(long)]
    pub(crate) update: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) given: GivenArgs,
    /// Number of events per round
    #[arg(long, value_name = "N", default_value_t = 65_536,
          value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    pub(crate) rows: u32,
    /// Number of events per call of the plugin
    #[arg(long, value_name = "N", default_value_t = 4096,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) batch_rows: u32,
    /// Fail if a row takes more nanoseconds than this
    #[arg(long, value_name = "NS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) budget_ns: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `plugin run`.
#[derive(Debug, Args)]
pub(crate) struct TryArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Component files, or builtin:NAME; they run in this order
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// File of events, one per line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input: String,
    /// Configuration of the first plugin: JSON, or @FILE to read it from. Repeat the flag for the next ones
    #[arg(long, value_name = "JSON")]
    pub(crate) config: Vec<String>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
}
