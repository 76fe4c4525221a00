//! Values of events in the texts of a guest. A guest that repeats them does not get them out of the host: whatever row
//! they are of, and before the first row, too.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use arrow::array::StringArray;
use arrow::record_batch::RecordBatch;
use audit_chain::Engine;
use audit_core::stage::Chain as _;
use audit_core::{Batch, PluginState};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::{chain, judge, reported, settled, source};
use crate::abi::batches;

const ROWS: usize = 50;
/// What the last row of the batch has for `user_agent`. The other rows have another value.
const SECRET: &str = "zanzibar-4711";

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Runs something and returns what it logged.
fn logged<T>(run: impl FnOnce() -> Result<T>) -> Result<(T, String)> {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let ran = tracing::subscriber::with_default(subscriber, run)?;
    Ok((ran, log.text()))
}

fn batch() -> Result<Batch> {
    let mut batch = batches::ordinary_from(0, ROWS)?;
    let schema = batch.columns.schema();
    let place = schema.index_of("user_agent")?;
    let agents = (0..ROWS).map(|row| Some(if row + 1 == ROWS { SECRET } else { "browser" }));
    let mut columns = batch.columns.columns().to_vec();
    columns[place] = Arc::new(agents.collect::<StringArray>());
    batch.columns = RecordBatch::try_new(schema, columns)?;
    Ok(batch)
}

#[test]
fn a_value_of_another_row_leaves_the_host_in_no_text() -> Result<()> {
    let engine = Engine::new()?;
    for (mode, how) in [
        ("transform", "quote-log"),
        ("transform", "quote-log-and-trap"),
        ("transform", "quote-fault"),
        ("transform", "quote-reason"),
        ("detector", "quote-alert"),
    ] {
        let config = json!({ "do": how, "at_offset": [7] });
        let ((), log) = logged(|| {
            let mut chain = chain(&engine, source(mode, &config)?)?;
            let judged = chain.judge(batch()?)?;
            let mut texts = String::new();
            for (_, (_, why)) in settled(&judged, ROWS)? {
                writeln!(texts, "{why}")?;
            }
            for alert in &judged.alerts {
                writeln!(texts, "{alert:?}")?;
            }
            texts += &reported(&mut chain, "plugin-fault").unwrap_or_default();
            ensure!(!texts.contains(SECRET), "{how}: {texts}");
            // The text itself came out, so that something was there to be hidden.
            let is_log = how == "quote-log";
            ensure!(is_log || texts.contains('…'), "{how}: {texts}");
            Ok(())
        })?;
        ensure!(!log.contains(SECRET), "{how}: {log}");
        let is_logged = how.starts_with("quote-log");
        ensure!(!is_logged || log.contains("seen in another row: …"), "{how}: {log}");
    }
    Ok(())
}

#[test]
fn a_state_that_is_refused_is_not_quoted() -> Result<()> {
    let engine = Engine::new()?;
    let mut chain = chain(&engine, source("detector", &json!({ "do": "quote-restore" }))?)?;
    let state = PluginState {
        plugin: chain.plugins().remove(0),
        partition: None,
        state_version: 1,
        bytes: b"\x05alice@example.com\x0110.20.30.40\0".to_vec(),
    };
    let (error, log) = logged(|| chain.restore(&[state]).err().context("it was restored"))?;
    let error = format!("{error:#}");
    ensure!(error.contains("corrupt: "), "{error}");
    for text in [&error, &log] {
        ensure!(text.contains('…'), "{text}");
        ensure!(!text.contains("alice") && !text.contains("10.20"), "{text}");
    }
    Ok(())
}

/// For as long as it runs, and in all of its instances together.
#[test]
fn a_plugin_that_logs_for_ever_is_cut_short_and_that_is_said() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "log-endless", "at_offset": (0..10).collect::<Vec<i64>>() });
    let ((), log) = logged(|| {
        let mut chain = chain(&engine, source("transform", &config)?)?;
        for batch in 0..10 {
            settled(&judge(&mut chain, batch, 1)?, 1)?;
        }
        Ok(())
    })?;
    // A burst, ten lines a second, and what the host says itself.
    let n_lines = log.lines().count();
    ensure!(n_lines < 250, "{n_lines} lines");
    ensure!(log.contains("log lines of a plugin were suppressed"), "{log}");
    Ok(())
}
