//! Log lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::{LogArgs, LogFormat};

/// Starts logging. An invalid filter counts as `info`, with a line that says so.
pub(crate) fn start(args: &LogArgs) {
    // librdkafka repeats itself hundreds of times while a broker is away, and our own errors say it
    // once. `--log rdkafka=debug` turns it on.
    let parsed = EnvFilter::try_new(format!("rdkafka=off,librdkafka=off,{}", args.log));
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match args.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    if let Some(reason) = problem {
        tracing::warn!(filter = args.log, reason, "invalid --log; logging at info");
    }
}
