//! Order: the records of a topic are judged in the order of their Kafka times, however many partitions they lie in
//! and however far behind the host is. So the same events raise the same alerts, and no partition stops the others
//! for longer than `run.alignment-wait`.

mod feed;

mod backlog;
mod brokers;
mod clocks;
mod compacted;
mod idle;
mod live;
mod topics;
mod transactions;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use audit_tests::broker::{self, Message, send_messages};
use audit_tests::case::{Case, TABLE};
use audit_tests::env;
use audit_tests::json::text;
use audit_tests::kafka::free_port;
use audit_tests::program::{LIMIT, Program, Running, wait_until};
use jiff::Timestamp;
use serde_json::Value;

use self::feed::office;

const SEALING_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// How many events in a row go to one partition, as a producer that fills batches does.
const CHUNK: usize = 97;
/// What a run may take beyond what it waits for, on a busy machine.
const SLACK: Duration = Duration::from_secs(20);
/// The default of `run.alignment-wait`.
const USUAL_WAIT: Duration = Duration::from_secs(10);

/// Where an event of [`office`] lies among so many partitions.
fn partition_of(index: usize, n_partitions: i32) -> i32 {
    (index / CHUNK) as i32 % n_partitions
}

/// Events of [`office`] with their partitions, in the order of their times.
fn spread(from: usize, until: usize, n_partitions: i32) -> impl Iterator<Item = (i32, Message)> {
    let events = office().events[from..until].iter();
    (from..)
        .zip(events)
        .map(move |(index, event)| (partition_of(index, n_partitions), event.message()))
}

/// A topic with all of [`office`] in its first partitions; it may have more.
fn filled(name: &str, n_partitions: i32, n_filled: i32) -> Result<Case> {
    broker::create_topic_of_any_time(name, n_partitions)?;
    let case = Case { topic: name.to_owned(), n_partitions, dir: env::folder(name)? };
    send_messages(&case.topic, spread(0, office().events.len(), n_filled))?;
    Ok(case)
}

/// A host with every detector, as the office's own configuration says, and these sections in addition.
fn host(case: &Case, sections: &str) -> Result<Program> {
    host_of(case, &broker::brokers()?, sections)
}

fn host_of(case: &Case, brokers: &str, sections: &str) -> Result<Program> {
    let lookups = &office().lookups;
    // Without a key the state of the detectors would end with each run.
    let key = "[dead-letters]\nkey-file = \"key\"\n[run]\ntrigger-interval = \"300ms\"";
    let config = format!("{}\n{key}\n{sections}", lookups.config);
    let files = [
        ("key", SEALING_KEY),
        ("roles.csv", &lookups.roles),
        ("networks.csv", &lookups.networks),
        ("holidays.csv", &lookups.holidays),
        ("audit-host.toml", &config),
    ];
    for (name, content) in files {
        fs::write(case.dir.join(name), content)?;
    }
    Ok(case.host_of(brokers).args(&["--config", "audit-host.toml"]))
}

/// The ids of all alerts so far: one may be delivered again after a crash.
fn ids(case: &Case) -> Result<BTreeSet<String>> {
    Ok(case.alerts()?.iter().map(|alert| text(&alert["id"])).collect())
}

/// What [`office`] raises from one partition.
struct Expected {
    ids: BTreeSet<String>,
    alerts: Vec<Value>,
}

impl Expected {
    fn get() -> Result<&'static Self> {
        static ONCE: OnceLock<Result<Expected, String>> = OnceLock::new();
        let once = ONCE.get_or_init(|| Self::find().map_err(|error| format!("{error:#}")));
        once.as_ref().map_err(|error| anyhow!("the office in one partition: {error}"))
    }

    fn find() -> Result<Self> {
        let case = filled("order-one", 1, 1)?;
        host(&case, "")?.args(&["--until-end"]).succeed()?;
        check_rows(&case)?;
        let alerts = case.alerts()?;
        let ids = ids(&case)?;
        let rules: BTreeSet<_> = alerts.iter().map(|alert| text(&alert["rule"])).collect();
        ensure!(ids.len() >= 30 && rules.len() >= 8, "{} alerts of {rules:?}", ids.len());
        Ok(Self { ids, alerts })
    }
}

/// Every alert of one partition that is meant is found: one of the same rule and key about the same time. It may have
/// another id, and it may come twice: detectors forget by the Kafka time of each record, also by one that is wrong.
fn check_found(case: &Case, is_meant: impl Fn(&Value) -> bool) -> Result<()> {
    let alerts = case.alerts()?;
    let time = |alert: &Value, which: &str| text(&alert[which]).parse::<Timestamp>();
    let meets = |one: &Value, other: &Value| -> Result<bool> {
        let is_before = time(one, "last_event")? < time(other, "first_event")?;
        Ok(!is_before && time(other, "last_event")? >= time(one, "first_event")?)
    };
    let (mut n_meant, mut missed) = (0, Vec::new());
    for expected in Expected::get()?.alerts.iter().filter(|alert| is_meant(alert)) {
        n_meant += 1;
        let is_same = |alert: &&Value| ["rule", "key"].iter().all(|of| alert[of] == expected[of]);
        let mut is_found = false;
        for alert in alerts.iter().filter(is_same) {
            is_found |= meets(alert, expected)?;
        }
        if !is_found {
            missed.push(text(&expected["rule"]));
        }
    }
    ensure!(n_meant >= 10, "{n_meant} alerts prove nothing");
    ensure!(missed.is_empty(), "{}: of {n_meant} alerts are missed: {missed:?}", case.topic);
    Ok(())
}

/// The same alerts as from one partition, with the same ids.
fn check_ids(case: &Case) -> Result<()> {
    let (found, expected) = (ids(case)?, &Expected::get()?.ids);
    let alerts = case.alerts()?;
    let rule = |id: &String| {
        let alert = alerts.iter().find(|alert| alert["id"] == **id);
        alert.map_or_else(|| id.clone(), |alert| text(&alert["rule"]))
    };
    let missing = expected.difference(&found).count();
    let more: Vec<_> = found.difference(expected).map(rule).collect();
    ensure!(
        missing == 0 && more.is_empty(),
        "{}: of {} alerts {missing} are missing, and there are others: {more:?}",
        case.topic,
        expected.len()
    );
    Ok(())
}

/// Every record that a reader finds is a row, once.
fn check_rows(case: &Case) -> Result<()> {
    check_rows_of(case, &broker::brokers()?, &[(&case.topic, case.n_partitions)])
}

fn check_rows_of(case: &Case, brokers: &str, topics: &[(&str, i32)]) -> Result<()> {
    let columns = ["source_topic", "source_partition", "source_offset"];
    let (reading, rows) = case.reader().rows(TABLE, &columns)?;
    let mut found = BTreeSet::new();
    for row in &rows {
        let number = |column: &str| row[column].as_i64().context("a row without its origin");
        let at =
            (text(&row["source_topic"]), number("source_partition")?, number("source_offset")?);
        ensure!(found.insert(at), "{}: a record is there twice: {row}", case.topic);
    }
    let mut expected = BTreeSet::new();
    for (topic, n_partitions) in topics {
        let all = broker::readable(brokers, topic, *n_partitions)?;
        expected.extend(all.into_iter().map(|(at, offset)| ((*topic).to_owned(), at, offset)));
    }
    let lost: Vec<_> = expected.difference(&found).take(5).collect();
    ensure!(lost.is_empty(), "{}: lost, among others: {lost:?}", case.topic);
    let foreign: Vec<_> = found.difference(&expected).take(5).collect();
    ensure!(foreign.is_empty(), "{}: rows of no record: {foreign:?}", case.topic);
    ensure!(reading.n_rows()? == rows.len() as u64, "{}: the readers do not agree", case.topic);
    Ok(())
}

/// A running host that can be asked what it did.
struct Watched {
    running: Running,
    port: u16,
    began: Instant,
}

impl Watched {
    fn start(host: Program) -> Result<Self> {
        let port = free_port()?;
        let running = host.args(&["--metrics", &format!("127.0.0.1:{port}")]).start()?;
        Ok(Self { running, port, began: Instant::now() })
    }

    /// Rows that this run has committed.
    fn n_rows(&mut self) -> Result<u64> {
        Ok(self.metric("audit_host_rows_committed_total")? as u64)
    }

    /// The sum of a metric; 0 before the run can be asked.
    fn metric(&mut self, name: &str) -> Result<f64> {
        ensure!(!self.running.has_ended()?, "the run ended:\n{}", self.running.log()?);
        let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else {
            return Ok(0.0);
        };
        socket.set_read_timeout(Some(SLACK))?;
        socket
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).context("reading metrics")?;
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let is_it = rest.starts_with([' ', '{']);
            is_it.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        };
        Ok(answer.lines().filter_map(value).sum())
    }

    fn wait_for_rows(&mut self, n_rows: u64) -> Result<()> {
        self.wait_for_rows_within(n_rows, LIMIT)
    }

    fn wait_for_rows_within(&mut self, n_rows: u64, limit: Duration) -> Result<()> {
        let mut last = 0;
        let waited = wait_until(&format!("{n_rows} rows"), limit, || {
            last = self.n_rows()?;
            Ok(last >= n_rows)
        });
        waited.with_context(|| {
            format!("{last} rows; its log:\n{}", self.running.log().unwrap_or_default())
        })
    }

    /// How long this run took to what has just been waited for; an error if that is longer than `wait` and a little.
    fn check_no_stall_beyond(&self, wait: Duration) -> Result<()> {
        let elapsed = self.began.elapsed();
        ensure!(elapsed < wait + SLACK, "it took {elapsed:?}:\n{}", self.running.log()?);
        Ok(())
    }

    fn stop(self) -> Result<()> {
        self.running.terminate()?;
        self.running.wait(LIMIT)?.success()?;
        Ok(())
    }
}
