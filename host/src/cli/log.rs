//! What every command logs, and how.

use clap::{Args, ValueEnum};

#[derive(Debug, Default, Args)]
pub(crate) struct LogArgs {
    /// What to log on standard error: error, warn, info, debug, or directives such as
    /// warn,audit_sink=debug
    #[arg(long, env = "AUDIT_HOST_LOG", default_value = "info", value_name = "LEVEL")]
    pub(crate) log: String,
    /// Log format: text, or json with one object per line
    #[arg(long, env = "AUDIT_HOST_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}
