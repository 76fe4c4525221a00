//! Commits back to back, as a host makes them that runs for years: does the last one cost what the first did?
//!
//! `cargo xtask bench commits`, or `AUDIT_HOST_TMP=DIR cargo bench -p audit-sink --bench commits`. Each epoch has one
//! row and one dead letter, so that both tables grow. Garbage is due after a minute instead of ten, which changes the
//! disk's use meanwhile and nothing else.

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

#[path = "../../../../tests/benches/table.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod table;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use audit_core::stage::{Table as _, Writer as _};
use audit_core::{DeadLetter, Epoch, Offsets, ReasonClass, Span, TopicPartition, schema};
use audit_sink::{
    AuditTable, CatalogSettings, Payloads, Store, TableName, TableSettings, UpkeepSettings,
    WriterSettings,
};
use serde_json::json;
use table::{Args, Table, quantile, rounded};

const COMMITS: usize = 30_000;
/// Commits whose figures are compared.
const WINDOW: usize = 1_000;
const TOPIC: &str = "events";
const GARBAGE_AFTER: Duration = Duration::from_mins(1);
/// How long the end waits for what is due then.
const WAIT_MAX: Duration = Duration::from_mins(10);
/// Linux counts processor time in hundredths of a second.
const TICK_MS: f64 = 10.0;

/// What a window of commits took.
struct Window {
    name: String,
    cpu_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    rss_bytes: u64,
}

fn main() -> Result<()> {
    let args = Args::parse(std::env::args().skip(1))?;
    let n_commits = args.rows.unwrap_or(COMMITS);
    let window = WINDOW.min((n_commits / 4).max(1));
    let dir =
        PathBuf::from(std::env::var_os("AUDIT_HOST_TMP").context("AUDIT_HOST_TMP is not set")?);
    let dir = dir.join("commits");
    fs::create_dir_all(&dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut table, settings) = runtime.block_on(open(&dir))?;
    let mut windows = Vec::new();
    let mut took = Vec::with_capacity(window);
    let (mut cpu, mut first) = (cpu_ms()?, 0);
    for n in 0..n_commits {
        let epoch = {
            let _on_runtime = runtime.enter();
            epoch(&table, &settings, n as i64)?
        };
        let begun = Instant::now();
        runtime.block_on(commit(&mut table, &epoch))?;
        took.push(begun.elapsed().as_secs_f64() * 1e3);
        runtime.block_on(table.maintain())?;
        if took.len() == window || n + 1 == n_commits {
            let (now, rss_bytes) = (cpu_ms()?, rss_bytes()?);
            let found = Window {
                name: format!("{first}..{}", n + 1),
                cpu_ms: (now - cpu) / took.len() as f64,
                p50_ms: quantile(took.iter().copied(), 0.5),
                p99_ms: quantile(took.drain(..), 0.99),
                rss_bytes,
            };
            println!("  {}", shown(&found));
            (cpu, first) = (now, n + 1);
            windows.push(found);
        }
    }
    let at_end = sizes(&dir)?;
    let begun = Instant::now();
    while begun.elapsed() < GARBAGE_AFTER + WAIT_MAX / 10 {
        runtime.block_on(table.maintain())?;
        std::thread::sleep(Duration::from_millis(200));
    }
    let tables = [of_windows(&windows, n_commits), of_folders(&at_end, &sizes(&dir)?)];
    args.report(&tables)?;
    fs::remove_dir_all(&dir)?;
    Ok(())
}

async fn open(dir: &Path) -> Result<(AuditTable, WriterSettings)> {
    let catalog = CatalogSettings {
        uri: format!("sqlite:{}", dir.join("catalog.db").display()),
        warehouse: dir.join("warehouse").display().to_string(),
        name: "audit_host".to_owned(),
    };
    let settings = TableSettings {
        name: TableName::parse("demo.audit_trail")?,
        group: "bench".to_owned(),
        topics: vec![TOPIC.to_owned()],
        instance: "bench".to_owned(),
        lane_lease: Duration::from_mins(1),
        added_columns: Vec::new(),
        vault: None,
        host_version: "bench".to_owned(),
    };
    let upkeep = UpkeepSettings { garbage_after: GARBAGE_AFTER, ..UpkeepSettings::default() };
    let table = AuditTable::open(Store::open(&catalog).await?, settings).await?;
    let writer = WriterSettings {
        payloads: Payloads::DigestOnly,
        payload_bytes_max: 1 << 20,
        open_partitions_max: 128,
        open_files_bytes_max: 128 << 20,
    };
    let mut table = table.with_upkeep(upkeep);
    table.claim(&HashMap::new(), &HashMap::new(), &[]).await?;
    Ok((table, writer))
}

/// One row and one dead letter.
fn epoch(table: &AuditTable, settings: &WriterSettings, n: i64) -> Result<Epoch> {
    let start = n * 2;
    let mut writer = table.writer(settings.clone())?;
    writer.write(&Arc::from(TOPIC), row(start)?)?;
    writer.write_dead_letters(vec![DeadLetter {
        topic: Arc::from(TOPIC),
        partition: 0,
        offset: start + 1,
        timestamp_ms: None,
        class: ReasonClass::InvalidJson,
        reason: "byte 0".to_owned(),
        plugin: None,
        payload: b"x".to_vec(),
    }])?;
    let mut covered = Offsets::default();
    let at = TopicPartition::new(&Arc::from(TOPIC), 0);
    covered.cover(at, Span { start, next: start + 2, records: 2, leader_epoch: None })?;
    Ok(Epoch {
        staged: writer.seal()?,
        covered,
        alerts: Vec::new(),
        plugins: Vec::new(),
        lookups: BTreeMap::new(),
        changes: Vec::new(),
        states: Vec::new(),
    })
}

fn row(offset: i64) -> Result<RecordBatch> {
    let decoded = schema::decoded();
    let columns = decoded.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            schema::EVENT_TIMESTAMP | schema::SOURCE_TIMESTAMP => {
                Arc::new(TimestampMicrosecondArray::from_value(0, 1).with_timezone(schema::UTC))
            }
            schema::SOURCE_PARTITION => Arc::new(Int32Array::from_value(0, 1)),
            schema::SOURCE_OFFSET => Arc::new(Int64Array::from_value(offset, 1)),
            _ => Arc::new(StringArray::from(vec!["x"])),
        }
    });
    Ok(RecordBatch::try_new(Arc::clone(&decoded), columns.collect())?)
}

async fn commit(table: &mut AuditTable, epoch: &Epoch) -> Result<()> {
    let outbox = table.stage(epoch).await?;
    table.commit(epoch, &outbox).await?;
    table.append_dead_letters(&outbox).await?;
    table.finish(outbox);
    Ok(())
}

fn shown(window: &Window) -> String {
    let Window { name, cpu_ms, p50_ms, p99_ms, rss_bytes } = window;
    let rss = rss_bytes >> 20;
    format!("{name}: {cpu_ms:.2} ms CPU, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, {rss} MiB")
}

fn of_windows(windows: &[Window], n_commits: usize) -> Table {
    let mut table = Table::new(
        format!("{n_commits} commits back to back, each to both tables"),
        &["commits", "CPU ms", "p50 ms", "p99 ms", "RSS MiB"],
    );
    let middle = windows.len() / 2;
    for (at, window) in windows.iter().enumerate() {
        if at == 0 || at == middle || at + 1 == windows.len() {
            table.push([
                json!(window.name),
                rounded(window.cpu_ms, 2),
                rounded(window.p50_ms, 1),
                rounded(window.p99_ms, 1),
                json!(window.rss_bytes >> 20),
            ]);
        }
    }
    table
}

fn of_folders(at_end: &[(String, u64)], later: &[(String, u64)]) -> Table {
    let mut table = Table::new("Size of folders", &["folder", "at the end MiB", "once due MiB"]);
    for ((name, end), (_, later)) in at_end.iter().zip(later) {
        table.push([json!(name), json!(end >> 20), json!(later >> 20)]);
    }
    table
}

fn sizes(dir: &Path) -> Result<Vec<(String, u64)>> {
    let folders = [
        "warehouse/demo/audit_trail/metadata",
        "warehouse/demo/audit_trail_dead_letters/metadata",
        "warehouse/demo/audit_trail/data",
        "warehouse/.audit-host",
    ];
    folders.iter().map(|name| Ok(((*name).to_owned(), size(&dir.join(name))?))).collect()
}

fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// In user and kernel mode, of all threads.
fn cpu_ms() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? * TICK_MS)
}

fn rss_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("/proc/self/status has no VmRSS")?.trim().parse::<u64>()? << 10)
}
