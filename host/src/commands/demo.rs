//! `audit-host demo`: the whole flow in one process, with a broker, events that contain an attack, plugins,
//! table and alerts.

use std::cmp::Reverse;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use audit_core::pipeline::Stop;
use audit_core::{Alert, Counters};
use audit_generate::{Attack, Generator, Settings as Events};
use audit_sink::{Store, TableSummary, summarize};
use audit_source::EmbeddedBroker;
use jiff::Timestamp;

use super::generate::{Out, send_all};
use super::run::flow;
use crate::cli::DemoArgs;
use crate::config::{self, Settings};
use crate::error::Error;
use crate::progress::Progress;
use crate::stdout::print;

const TOPIC: &str = "audit_events";
const TABLE: &str = "demo.audit_trail";
const PARTITIONS: i32 = 4;
const TRIGGER_INTERVAL: &str = "1s";
const DEAD_LETTER_KEY: &str = "dead-letters.key";
const USER_KEY: &str = "users.key";
/// Users that the demo lists, those with most events first.
const USERS_SHOWN: usize = 5;
/// What every error of reading the result is about.
const READING: &str = "reading the table";
/// Event time between two events, so that the demo's hour of failed logins passes in seconds.
const STEP: Duration = Duration::from_secs(2);
/// How often the demo prints its progress.
const TICK: Duration = Duration::from_secs(1);

/// Ticks without progress after which nothing more is expected from the broker.
const QUIET_TICKS_MAX: u32 = 10;

/// Records that no audit event could be: they end as dead letters, and nothing else stops.
const BAD_RECORDS: [&[u8]; 4] = [
    b"not json at all",
    b"[\"json\", \"but no object\"]",
    br#"{"audit_id":"1","event_timestamp":"yesterday","action_type":"data_read"}"#,
    b"\xff\xfe no UTF-8",
];

pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    let dir = prepare_folder(args.dir)?;
    let broker = EmbeddedBroker::start(TOPIC, PARTITIONS)?;
    let settings = settings(&dir, &broker.brokers())?;
    say(&format!(
        "audit-host demo: {} events at {}/s, two plugins, a commit every {TRIGGER_INTERVAL}\n  \
         broker     {} (embedded), topic {TOPIC}, {PARTITIONS} partitions\n  \
         catalog    {}\n  warehouse  {}\n",
        args.count,
        args.rate,
        broker.brokers(),
        settings.catalog.uri,
        settings.catalog.warehouse,
    ));

    let stop = Stop::default();
    let all_sent = Arc::new(AtomicBool::new(false));
    let producer = {
        let (brokers, all_sent) = (broker.brokers(), Arc::clone(&all_sent));
        let (count, rate, seed) = (args.count, args.rate, args.seed);
        tokio::task::spawn_blocking(move || {
            let sent = produce(&brokers, count, rate, seed);
            all_sent.store(true, Ordering::Relaxed);
            sent
        })
    };
    let counters = Arc::new(Counters::default());
    let n_expected = args.count + BAD_RECORDS.len() as u64;
    let watcher =
        tokio::spawn(watch(Arc::clone(&counters), Arc::clone(&stop), all_sent, n_expected));
    let ended = flow(&settings, stop, &counters).await;
    watcher.abort();
    ended?;
    producer.await??;
    let end = Progress::of(&counters);
    say(&format!("  {end}\n"));
    let n_kept = end.rows + end.dead_letters;
    if n_kept != n_expected {
        return Err(Error::DemoIncomplete { n_kept, n_expected }.into());
    }
    conclude(&settings, &dir).await
}

/// A folder of its own for each demo: the embedded broker starts at offset 0, a table does not.
fn prepare_folder(given: Option<PathBuf>) -> Result<PathBuf> {
    let dir = given.unwrap_or_else(|| {
        let now = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
        std::env::temp_dir().join(format!("audit-host-demo-{now}-{}", std::process::id()))
    });
    fs::create_dir_all(&dir).map_err(Error::file("creating the folder", &dir))?;
    let mut entries = fs::read_dir(&dir).map_err(Error::file("reading the folder", &dir))?;
    if entries.next().is_some() {
        let error = config::Error::Value {
            key: "--dir".to_owned(),
            value: dir.display().to_string(),
            problem: "is not empty: name a new folder, as every demo starts from nothing"
                .to_owned(),
        };
        return Err(error.into());
    }
    Ok(fs::canonicalize(&dir).map_err(Error::file("finding the folder", &dir))?)
}

fn settings(dir: &Path, brokers: &str) -> Result<Settings> {
    let path = |name: &str| dir.join(name).display().to_string();
    write_key(&dir.join(DEAD_LETTER_KEY))?;
    write_key(&dir.join(USER_KEY))?;
    let config = dir.join("audit-host.toml");
    fs::write(&config, plugins_toml(dir)).map_err(Error::file("writing", &config))?;
    let mut flags = config::Flags { config: Some(config), ..config::Flags::default() };
    let given = &mut flags.given;
    given.kafka.brokers = Some(brokers.to_owned());
    given.kafka.topics = vec![TOPIC.to_owned()];
    given.table.name = Some(TABLE.to_owned());
    given.table.catalog = Some(format!("sqlite:{}", path("catalog.db")));
    given.table.warehouse = Some(path("warehouse"));
    given.run.trigger_interval = Some(TRIGGER_INTERVAL.to_owned());
    given.alerts.to = Some(format!("file:{}", path("alerts.jsonl")));
    Ok(config::resolve(flags)?)
}

/// A new secret that only this user can read.
fn write_key(path: &Path) -> Result<()> {
    let key = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(|half| half.simple().to_string());
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = created.and_then(|mut file| file.write_all(key.concat().as_bytes()));
    Ok(written.map_err(Error::file("writing", path))?)
}

/// The plugins, with a key: users become tokens, which reports can count by.
fn plugins_toml(dir: &Path) -> String {
    let key = |name: &str| toml::Value::from(dir.join(name).display().to_string());
    format!(
        "# The detector first: it counts by address.\n\
         [[plugin]]\npath = \"builtin:detect_failed_logins\"\n\n\
         [[plugin]]\npath = \"builtin:redact_pii\"\nkeys = [\"users\"]\n\
         config = {{ token-key = \"users\" }}\n\n\
         [keys.users]\nfile = {}\n\n\
         [dead-letters]\nkey-file = {}\n",
        key(USER_KEY),
        key(DEAD_LETTER_KEY)
    )
}

fn produce(brokers: &str, count: u64, rate: u64, seed: u64) -> Result<()> {
    let mut out = Out::kafka(brokers, TOPIC)?;
    let span = STEP.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    // The last event happens now: plugins clamp events that are later than Kafka's time.
    let start = Timestamp::now().checked_sub(span).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut events = Generator::new(Events {
        seed,
        step: STEP,
        users: 50,
        attacks: vec![Attack::FailedLogins],
        pii: true,
        ..Events::new(count, start)
    });
    for record in BAD_RECORDS {
        out.send_raw(record)?;
    }
    send_all(&mut events, &mut out, Some(rate))
}

/// Prints the progress, and stops the run once everything that was produced has been read.
async fn watch(counters: Arc<Counters>, stop: Stop, all_sent: Arc<AtomicBool>, n_expected: u64) {
    let mut before = Progress::of(&counters);
    let mut quiet_ticks = 0;
    loop {
        tokio::time::sleep(TICK).await;
        let now = Progress::of(&counters);
        say(&format!("  {now}, {:.0} events/s", now.rate_since(&before)));
        let is_quiet = now.events == before.events && now.rows == before.rows;
        quiet_ticks = if is_quiet { quiet_ticks + 1 } else { 0 };
        let is_done = now.events >= n_expected || quiet_ticks >= QUIET_TICKS_MAX;
        if all_sent.load(Ordering::Relaxed) && is_done {
            stop.store(true, Ordering::Relaxed);
        }
        before = now;
    }
}

async fn conclude(settings: &Settings, dir: &Path) -> Result<()> {
    let store = Store::open(&settings.catalog).await.context(READING)?;
    let by_action = summarize(&store, &settings.table, "action_type").await.context(READING)?;
    let by_email = summarize(&store, &settings.table, "user_email").await.context(READING)?;
    let name = settings.table.dead_letters();
    let dead_letters = summarize(&store, &name, "reason_class").await.context(READING)?;

    say(&format!(
        "Read back from {TABLE}: {} rows in {} snapshots, by action_type",
        by_action.n_rows, by_action.n_snapshots
    ));
    say(&table(by_action.by_value.iter()));
    say(&format!(
        "By user_email, as stored ({} users; a token stands for one address), the most active {USERS_SHOWN}",
        by_email.by_value.len()
    ));
    let most = most(&by_email, USERS_SHOWN);
    say(&table(most.into_iter()));
    say(&format!(
        "Read back from {TABLE}_dead_letters: {} rows, by reason_class",
        dead_letters.n_rows
    ));
    say(&table(dead_letters.by_value.iter()));
    show_alerts(&dir.join("alerts.jsonl"))?;
    say(&next_steps(settings, dir, &by_action));
    Ok(())
}

/// The values with the most rows, these first.
fn most(summary: &TableSummary, n_values: usize) -> Vec<(&String, &u64)> {
    let mut values: Vec<_> = summary.by_value.iter().collect();
    values.sort_by_key(|(value, n_rows)| (Reverse(**n_rows), *value));
    values.truncate(n_values);
    values
}

fn table<'a>(rows: impl Iterator<Item = (&'a String, &'a u64)> + Clone) -> String {
    let width = rows.clone().map(|(value, _)| value.len()).max().unwrap_or_default();
    let lines = rows.map(|(value, n)| format!("  {value:<width$}  {n:>9}\n"));
    lines.collect()
}

fn show_alerts(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).map_err(Error::file("reading", path))?;
    let alerts: Vec<Alert> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("reading alerts")?;
    say(&format!("Alerts: {}", alerts.len()));
    for alert in &alerts {
        let key: Vec<_> = alert.key.iter().map(|(name, value)| format!("{name}={value}")).collect();
        say(&format!("  {:?} {} {}: {}", alert.severity, alert.rule, key.join(","), alert.message));
    }
    Ok(())
}

fn next_steps(settings: &Settings, dir: &Path, summary: &TableSummary) -> String {
    let metadata = summary.metadata_location.trim_start_matches("file://");
    format!(
        "\nEverything is kept in {dir}\n\
         Try next:\n  \
         head -1 {dir}/alerts.jsonl\n  \
         duckdb -c \"INSTALL iceberg; LOAD iceberg; SELECT action_type, count(*) FROM \
         iceberg_scan('{metadata}') GROUP BY ALL\"\n  \
         python3 -c \"from pyiceberg.catalog import load_catalog as c; print(c('{name}', type='sql', \
         uri='sqlite:///{dir}/catalog.db').load_table('{TABLE}').scan(limit=5).to_pandas())\"\n  \
         audit-host --plugin builtin:redact_pii --brokers HOST:9092 --topic audit_events \\\n    \
         --catalog sqlite:///var/lib/audit-host/catalog.db --table {TABLE}\n",
        dir = dir.display(),
        name = settings.catalog.name,
    )
}

/// A line of the demo, which runs to its end even if nobody reads it.
fn say(line: &str) {
    let _ = print(&format!("{line}\n"));
}
