//! The pipeline with parts in memory, failed at any step of any stage and started again.
//!
//! Goal: whatever fails, and whether before or after it took effect, rows and dead letters end in the
//! table exactly once and every alert is delivered at least once. Method: every operation of every part asks
//! a fault plan, drawn from a seed, whether to fail now; the world (what a table, an outbox and
//! receivers would keep) survives, the pipeline is built again. A failing seed is printed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use audit_core::pipeline::{Stages, Stop, run};
use audit_core::stage::{Acknowledge, AlertSink, Chain, Decoder, Polled, Source, Table, Writer};
use audit_core::{
    Alert, Batch, Budget, Change, Changes, Counters, DeadLetter, Epoch, Error, Judged, Kind,
    Offsets, Outbox, PluginId, PluginState, RawBatch, ReasonClass, Rejected, Severity, Span,
    Staged, TopicPartition,
};

const PARTITIONS: i32 = 3;
const RECORDS_EACH: i64 = 120;
const SEEDS: u64 = 400;

/// Every 17th record does not decode, every 23rd raises an alert.
fn is_bad(offset: i64) -> bool {
    offset % 17 == 0
}

fn alerts(partition: i32, offset: i64) -> Option<String> {
    (offset % 23 == 5).then(|| format!("{partition}@{offset}"))
}

/// Every operation that can fail, by the name under which it asks [`World::survive`].
const OPERATIONS: [&str; 17] = [
    "poll",
    "decode",
    "judge",
    "snapshot",
    "write",
    "write dead letters",
    "seal",
    "unfinished",
    "stage",
    "before commit",
    "after commit",
    "before dead letters",
    "after dead letters",
    "before alerts",
    "after alerts",
    "acknowledge",
    "forget",
];

/// What survives a crash.
#[derive(Default)]
struct Kept {
    rows: Vec<i64>,
    offsets: BTreeMap<TopicPartition, i64>,
    pending: BTreeMap<String, Outbox>,
    dead_letters: Vec<String>,
    delivered: Vec<String>,
}

struct World {
    kept: Mutex<Kept>,
    /// The operation that fails, counted over all parts; `u64::MAX` for none.
    fails_at: AtomicU64,
    /// The name of an operation that fails once.
    fails_once: Mutex<Option<&'static str>>,
    operations: AtomicU64,
    epochs: AtomicU64,
}

impl World {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    /// To be asked before an operation takes effect, and after it.
    fn survive(&self, what: &str) -> Result<(), Error> {
        assert!(OPERATIONS.contains(&what), "an operation that no test makes fail: {what}");
        let n = self.operations.fetch_add(1, Ordering::Relaxed);
        let fails_once = self.fails_once.lock().unwrap().take_if(|name| *name == what);
        if fails_once.is_some() || n == self.fails_at.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Failed, "AH-0000", format!("injected at {what}")));
        }
        Ok(())
    }
}

/// The part of every stage: the same world, seen through another trait.
#[derive(Clone)]
struct Part {
    world: Arc<World>,
    topic: Arc<str>,
    next: BTreeMap<i32, i64>,
    open: (Vec<i64>, Vec<String>),
    /// Alerts of the chain itself, not yet drained.
    events: Vec<Alert>,
}

fn encode(partition: i32, offset: i64) -> i64 {
    i64::from(partition) * 1_000_000 + offset
}

impl Source for Part {
    fn poll(&mut self, _: Duration) -> Result<Polled, Error> {
        self.world.survive("poll")?;
        let Some((&partition, &start)) = self.next.iter().min_by_key(|(_, next)| **next) else {
            return Ok(Polled::Ended);
        };
        if start >= RECORDS_EACH {
            return Ok(Polled::Ended);
        }
        let next = (start + 7).min(RECORDS_EACH);
        let mut raw = RawBatch::empty(Arc::clone(&self.topic));
        for offset in start..next {
            raw.push(partition, offset, Some(0), b"x");
        }
        let span = Span { start, next, records: (next - start).unsigned_abs() };
        raw.covered.cover(TopicPartition::new(&self.topic, partition), span).unwrap();
        self.next.insert(partition, next);
        Ok(Polled::Batch(raw))
    }
}

impl Decoder for Part {
    fn decode(&mut self, raw: RawBatch) -> Result<Batch, Error> {
        self.world.survive("decode")?;
        let (mut values, mut record_of_row, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        for (record_idx, record) in raw.records.iter().enumerate() {
            if is_bad(record.offset) {
                let (class, reason) = (ReasonClass::InvalidJson, String::new());
                rejected.push(Rejected { record_idx, class, reason });
            } else {
                values.push(encode(record.partition, record.offset));
                record_of_row.push(u32::try_from(record_idx).unwrap());
            }
        }
        let schema = Arc::new(Schema::new(vec![Field::new("at", DataType::Int64, false)]));
        let columns =
            RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(values))]).unwrap();
        Ok(Batch { raw, columns, record_of_row, rejected })
    }
}

fn alert(id: String) -> Alert {
    Alert {
        id,
        rule: "r".to_owned(),
        severity: Severity::Low,
        message: String::new(),
        key: BTreeMap::new(),
        window_start: 0,
        first_event: 0,
        last_event: 0,
        count: 1,
        events: Vec::new(),
        labels: BTreeMap::new(),
        plugin: PluginId {
            name: "p".to_owned(),
            version: "1".to_owned(),
            sha256: String::new(),
            config_sha256: String::new(),
        },
    }
}

impl Chain for Part {
    fn judge(&mut self, batch: Batch) -> Result<Judged, Error> {
        self.world.survive("judge")?;
        let Batch { raw, columns, rejected, .. } = batch;
        let letter = |one: &Rejected| {
            DeadLetter::of_record(&raw, one.record_idx, one.class, String::new(), None)
        };
        let dead_letters = rejected.iter().filter_map(letter).collect();
        let found = raw.records.iter().filter_map(|at| alerts(at.partition, at.offset)).map(alert);
        // Some are returned with the batch, others are events of the chain.
        let (alerts, events) = found.partition(|alert: &Alert| alert.id.starts_with('0'));
        self.events.extend::<Vec<_>>(events);
        let topic = Arc::clone(&raw.topic);
        Ok(Judged { topic, rows: columns, covered: raw.covered, dead_letters, alerts })
    }

    fn take_changes(&mut self) -> Changes {
        self.drain_events()
    }

    fn drain_events(&mut self) -> Changes {
        Changes { alerts: std::mem::take(&mut self.events), ..Changes::default() }
    }

    fn snapshot(&mut self) -> Result<Vec<PluginState>, Error> {
        self.world.survive("snapshot")?;
        Ok(Vec::new())
    }

    fn plugins(&self) -> Vec<PluginId> {
        Vec::new()
    }
}

impl Writer for Part {
    fn write(&mut self, _: &Arc<str>, rows: RecordBatch) -> Result<(), Error> {
        self.world.survive("write")?;
        self.open.0.extend(rows.column(0).as_primitive::<Int64Type>().values());
        Ok(())
    }

    fn write_dead_letters(&mut self, letters: Vec<DeadLetter>) -> Result<(), Error> {
        self.world.survive("write dead letters")?;
        self.open.1.extend(letters.iter().map(|l| format!("{}@{}", l.partition, l.offset)));
        Ok(())
    }

    fn write_changes(&mut self, _: &[Change]) -> Result<(), Error> {
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.open.1.len() > 3
    }

    fn seal(&mut self) -> Result<Staged, Error> {
        self.world.survive("seal")?;
        let (rows, dead_letters) = std::mem::take(&mut self.open);
        let id = self.world.epochs.fetch_add(1, Ordering::Relaxed);
        Ok(Staged {
            epoch_id: format!("{id:08}"),
            n_rows: rows.len() as u64,
            n_dead_letters: dead_letters.len() as u64,
            data_files: rows.iter().map(ToString::to_string).collect(),
            dead_letter_files: dead_letters,
        })
    }
}

#[async_trait]
impl Table for Part {
    async fn unfinished(&mut self) -> Result<Vec<Outbox>, Error> {
        self.world.survive("unfinished")?;
        Ok(self.world.kept().pending.values().cloned().collect())
    }

    async fn stage(&mut self, epoch: &Epoch) -> Result<Outbox, Error> {
        self.world.survive("stage")?;
        Ok(Outbox {
            epoch_id: epoch.staged.epoch_id.clone(),
            location: None,
            dead_letter_files: epoch.staged.dead_letter_files.clone(),
            covered: epoch.covered.clone(),
            alerts: epoch.alerts.clone(),
        })
    }

    async fn commit(&mut self, epoch: &Epoch, outbox: &Outbox) -> Result<(), Error> {
        self.world.survive("before commit")?;
        {
            let mut kept = self.world.kept();
            for (at, span) in epoch.covered.iter() {
                let next = kept.offsets.insert(at.clone(), span.next).unwrap_or(0);
                assert_eq!(next, span.start, "an epoch must start at the offset in the table");
            }
            kept.rows.extend(epoch.staged.data_files.iter().map(|n| n.parse::<i64>().unwrap()));
            kept.pending.insert(outbox.epoch_id.clone(), outbox.clone());
        }
        self.world.survive("after commit")
    }

    async fn append_dead_letters(&mut self, outbox: &Outbox) -> Result<(), Error> {
        self.world.survive("before dead letters")?;
        {
            // Appending is idempotent by contract: the same file is there once.
            let mut kept = self.world.kept();
            assert!(kept.pending.contains_key(&outbox.epoch_id), "dead letters before the commit");
            for letter in &outbox.dead_letter_files {
                if !kept.dead_letters.contains(letter) {
                    kept.dead_letters.push(letter.clone());
                }
            }
        }
        self.world.survive("after dead letters")
    }

    fn finish(&mut self, outbox: Outbox) {
        self.world.kept().pending.remove(&outbox.epoch_id);
    }

    async fn forget_finished(&mut self) -> Result<(), Error> {
        self.world.survive("forget")
    }
}

#[async_trait]
impl AlertSink for Part {
    async fn deliver(&mut self, alerts: &[Alert]) -> Result<(), Error> {
        self.world.survive("before alerts")?;
        {
            let mut kept = self.world.kept();
            let is_committed = kept.pending.values().any(|outbox| outbox.alerts == alerts);
            assert!(is_committed, "alerts before the commit");
            kept.delivered.extend(alerts.iter().map(|alert| alert.id.clone()));
        }
        self.world.survive("after alerts")
    }
}

#[async_trait]
impl Acknowledge for Part {
    async fn acknowledge(&mut self, covered: &Offsets) -> Result<(), Error> {
        for (at, span) in covered.iter() {
            let committed = self.world.kept().offsets.get(at).copied();
            assert!(committed >= Some(span.next), "{at} is acknowledged before the commit");
        }
        self.world.survive("acknowledge")
    }
}

fn stages(world: &Arc<World>) -> Stages {
    let topic: Arc<str> = Arc::from("t");
    let next = (0..PARTITIONS).map(|partition| {
        let next = world.kept().offsets.get(&TopicPartition::new(&topic, partition)).copied();
        (partition, next.unwrap_or(0))
    });
    let next = next.collect();
    let (open, events) = ((Vec::new(), Vec::new()), Vec::new());
    let part = Part { world: Arc::clone(world), topic, next, open, events };
    Stages {
        source: Box::new(part.clone()),
        decoder: Box::new(part.clone()),
        chain: Box::new(part.clone()),
        writer: Box::new(part.clone()),
        table: Box::new(part.clone()),
        alerts: Box::new(part.clone()),
        acks: Box::new(part),
    }
}

async fn run_once(world: &Arc<World>, rows_max: u64) -> Result<(), Error> {
    let budget = Budget { interval: Duration::from_mins(1), rows_max };
    let ended = run(stages(world), budget, Stop::default(), Arc::new(Counters::default()));
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the pipeline hangs")
}

fn new_world() -> Arc<World> {
    Arc::new(World {
        kept: Mutex::default(),
        fails_at: AtomicU64::new(u64::MAX),
        fails_once: Mutex::default(),
        operations: AtomicU64::new(0),
        epochs: AtomicU64::new(0),
    })
}

fn check(world: &World, context: &str) {
    let kept = world.kept();
    let all =
        || (0..PARTITIONS).flat_map(|partition| (0..RECORDS_EACH).map(move |at| (partition, at)));
    let mut rows = kept.rows.clone();
    rows.sort_unstable();
    let expect = all().filter(|(_, at)| !is_bad(*at)).map(|(p, at)| encode(p, at));
    assert_eq!(rows, expect.collect::<Vec<_>>(), "rows, {context}");

    let mut dead = kept.dead_letters.clone();
    dead.sort();
    let mut expect: Vec<_> =
        all().filter(|(_, at)| is_bad(*at)).map(|(p, at)| format!("{p}@{at}")).collect();
    expect.sort();
    assert_eq!(dead, expect, "dead letters, {context}");

    let delivered: BTreeSet<_> = kept.delivered.iter().cloned().collect();
    let expect: BTreeSet<_> = all().filter_map(|(p, at)| alerts(p, at)).collect();
    assert_eq!(delivered, expect, "alerts, {context}");
    assert!(kept.pending.is_empty(), "pending outboxes, {context}");
}

/// xorshift64*: enough to spread faults, and the same on every machine.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undisturbed_run_stores_everything_once() {
    let world = new_world();
    run_once(&world, 50).await.unwrap();
    check(&world, "no fault");
    assert!(world.epochs.load(Ordering::Relaxed) > 3, "the budget must cut epochs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_each_operation_is_recovered_by_the_next_start() {
    for operation in OPERATIONS {
        let world = new_world();
        // An outbox is pending at the next start, too: recovering it can fail as well.
        for _ in 0..2 {
            *world.fails_once.lock().unwrap() = Some(operation);
            let failed = run_once(&world, 50).await.unwrap_err().to_string();
            assert_eq!(failed, format!("injected at {operation}"));
        }
        run_once(&world, 50).await.unwrap();
        check(&world, operation);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_rows_stay_exactly_once() {
    let mut n_failed = 0;
    for seed in 1..=SEEDS {
        let mut random = seed;
        let world = new_world();
        let rows_max = 20 + next(&mut random) % 80;
        for _ in 0..3 {
            let now = world.operations.load(Ordering::Relaxed);
            world.fails_at.store(now + next(&mut random) % 300, Ordering::Relaxed);
            n_failed += u64::from(run_once(&world, rows_max).await.is_err());
        }
        world.fails_at.store(u64::MAX, Ordering::Relaxed);
        run_once(&world, rows_max).await.unwrap();
        check(&world, &format!("seed {seed}"));
    }
    // The harness itself: most runs must have been made to fail.
    assert!(n_failed > SEEDS, "only {n_failed} of {} runs failed", 3 * SEEDS);
}
