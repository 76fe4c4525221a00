//! The settler by itself, and the judge by itself. The whole pipeline is tested in `tests/crash/`.

use std::sync::Mutex;
use std::thread;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use super::*;
use crate::alert::Alert;
use crate::batch::Remaining;
use crate::change::{Change, LookupChange, LookupChangeKind};
use crate::epoch::Staged;
use crate::error::Kind;
use crate::offset::{Span, TopicPartition};
use crate::raw::RawBatch;
use crate::stage::Progress;

type Calls = Arc<Mutex<Vec<&'static str>>>;

/// Notes what is called. Ends the epochs at that many steps of maintenance.
struct Fake {
    calls: Calls,
    epochs: Option<mpsc::Sender<Epoch>>,
    n_maintained_max: usize,
}

impl Fake {
    fn note(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }
}

#[async_trait]
impl Table for Fake {
    async fn unfinished(&mut self) -> Result<Vec<Outbox>, Error> {
        Ok(vec![outbox()])
    }

    async fn stage(&mut self, _: &Epoch) -> Result<Outbox, Error> {
        self.note("stage");
        Ok(outbox())
    }

    async fn commit(&mut self, _: &Epoch, _: &Outbox) -> Result<(), Error> {
        self.note("commit");
        Ok(())
    }

    async fn append_dead_letters(&mut self, _: &Outbox) -> Result<(), Error> {
        self.note("append");
        Ok(())
    }

    fn finish(&mut self, _: Outbox) {
        self.note("finish");
    }

    async fn forget_finished(&mut self) -> Result<(), Error> {
        self.note("forget");
        Ok(())
    }

    async fn close(&mut self) -> Result<(), Error> {
        self.note("close");
        Ok(())
    }

    async fn maintain(&mut self) -> Result<(), Error> {
        self.note("maintain");
        let n = self.calls.lock().unwrap().iter().filter(|call| **call == "maintain").count();
        if n >= self.n_maintained_max {
            self.epochs = None;
        }
        Ok(())
    }
}

struct Receivers(Calls);

#[async_trait]
impl AlertSink for Receivers {
    async fn deliver(&mut self, _: &[Alert]) -> Result<(), Error> {
        self.0.lock().unwrap().push("deliver");
        Ok(())
    }
}

#[async_trait]
impl Acknowledge for Receivers {
    async fn acknowledge(&mut self, _: &Offsets) -> Result<(), Error> {
        self.0.lock().unwrap().push("acknowledge");
        Ok(())
    }
}

fn outbox() -> Outbox {
    Outbox {
        epoch_id: "e".to_owned(),
        location: Some("there".to_owned()),
        dead_letter_files: Vec::new(),
        covered: Offsets::default(),
        alerts: Vec::new(),
    }
}

/// An epoch of `records` records.
fn epoch(records: u64, n_rows: u64, n_dead_letters: u64, changes: Vec<Change>) -> Epoch {
    let mut covered = Offsets::default();
    // Offsets count holes as well, so they do not count here.
    let span = Span { start: 10, next: 100, records, leader_epoch: None };
    covered.cover(TopicPartition::new(&Arc::from("t"), 0), span).unwrap();
    let staged = Staged { epoch_id: "e".to_owned(), n_rows, n_dead_letters, ..Staged::default() };
    Epoch {
        staged,
        covered,
        alerts: Vec::new(),
        plugins: Vec::new(),
        lookups: BTreeMap::new(),
        changes,
        states: Vec::new(),
    }
}

fn change() -> Change {
    Change::Lookup(LookupChange {
        kind: LookupChangeKind::Replaced,
        lookup: "l".to_owned(),
        source: "l.csv".to_owned(),
        at: 0,
        before: None,
        after: None,
        from: BTreeMap::new(),
        reason: String::new(),
    })
}

/// A settler, what it was given, and what it has called.
fn settler(n_maintained_max: usize) -> (Settler, mpsc::Receiver<Epoch>, Calls) {
    let calls = Calls::default();
    let (sender, epochs) = mpsc::channel(EPOCHS_IN_FLIGHT_MAX);
    sender.try_send(epoch(3, 2, 1, Vec::new())).unwrap();
    let table = Fake { calls: Arc::clone(&calls), epochs: Some(sender), n_maintained_max };
    let receivers = || Receivers(Arc::clone(&calls));
    let (alerts, acks) = (Box::new(receivers()), Box::new(receivers()));
    let mut settler = Settler::new(Box::new(table), alerts, acks, Arc::default());
    settler.quiet = Duration::from_millis(1);
    (settler, epochs, calls)
}

const SETTLED: [&str; 6] = ["stage", "commit", "append", "deliver", "acknowledge", "finish"];

#[tokio::test]
async fn a_quiet_time_costs_one_commit_that_forgets() {
    let (mut settler, epochs, calls) = settler(4);
    settler.settle(epochs).await.unwrap();
    let quiet = ["maintain", "forget", "maintain", "maintain", "maintain", "close"];
    assert_eq!(*calls.lock().unwrap(), [&SETTLED[..], &quiet].concat());
}

#[tokio::test]
async fn the_end_closes_the_table() {
    let (mut settler, epochs, calls) = settler(1);
    settler.settle(epochs).await.unwrap();
    assert_eq!(*calls.lock().unwrap(), [&SETTLED[..], &["maintain", "close"]].concat());
}

#[tokio::test]
async fn what_was_recovered_is_forgotten_in_the_first_quiet_time() {
    let (mut settler, mut epochs, calls) = settler(1);
    epochs.try_recv().unwrap();
    settler.recover_pending().await.unwrap();
    settler.settle(epochs).await.unwrap();
    let expected = ["append", "deliver", "finish", "forget", "maintain", "close"];
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_epoch_that_waits_goes_before_maintenance_but_not_for_ever() {
    let (mut settler, _epochs, calls) = settler(usize::MAX);
    for _ in 0..=MAINTENANCE_PUT_OFF_MAX {
        assert_eq!(*calls.lock().unwrap(), [""; 0]);
        settler.maintain(true).await.unwrap();
    }
    assert_eq!(*calls.lock().unwrap(), ["maintain"]);
    settler.maintain(true).await.unwrap();
    settler.maintain(false).await.unwrap();
    assert_eq!(*calls.lock().unwrap(), ["maintain"; 2]);
}

#[tokio::test]
async fn an_epoch_that_lost_or_doubled_a_record_is_not_even_staged() {
    let whole = [(3, 3, 0, 0), (3, 0, 3, 0), (3, 2, 1, 0), (3, 3, 1, 1), (0, 2, 0, 2)];
    for (records, n_rows, n_dead_letters, n_changes) in whole {
        let (mut settler, _epochs, _) = settler(1);
        let changes = vec![change(); n_changes];
        settler.settle_one(epoch(records, n_rows, n_dead_letters, changes)).await.unwrap();
    }
    let broken = [(3, 2, 0, 0), (3, 3, 1, 0), (3, 3, 0, 1), (3, 2, 0, 1), (0, 0, 0, 1)];
    for (records, n_rows, n_dead_letters, n_changes) in broken {
        let (mut settler, _epochs, calls) = settler(1);
        let changes = vec![change(); n_changes];
        let epoch = epoch(records, n_rows, n_dead_letters, changes);
        let refused = settler.settle_one(epoch).await.unwrap_err();
        assert_eq!((refused.code(), refused.kind()), ("AH-0053", Kind::Failed));
        let numbers =
            format!("{records} records were read, but {}", n_rows.saturating_sub(n_changes as u64));
        assert!(refused.to_string().contains(&numbers), "{refused}");
        assert_eq!(*calls.lock().unwrap(), [""; 0]);
    }
}

#[test]
fn of_two_errors_the_first_in_time_is_returned() {
    let first = Instant::now();
    let failure = |code, after| Failure {
        since: first + Duration::from_millis(after),
        error: Error::new(Kind::Failed, code, "trying"),
    };
    let failures = vec![failure("AH-0050", 2), failure("AH-0051", 1), failure("AH-0052", 3)];
    assert_eq!(first_of(failures).unwrap_err().code(), "AH-0051");
    assert!(first_of(Vec::new()).is_ok());
}

/// A chain that judges the first record of a batch, and none of the others for an hour. Says each time it is asked.
struct Stuck(SyncSender<()>);

impl Chain for Stuck {
    fn judge(&mut self, _: Batch) -> Result<Judged, Error> {
        Err(Error::new(Kind::Failed, "AH-0050", "judging a whole batch"))
    }

    fn judge_some(&mut self, mut remaining: Remaining) -> Result<Progress, Error> {
        self.0.send(()).unwrap();
        let mut part = remaining.next_part(usize::MAX);
        let is_first = part.records.start == 0;
        (part.records, part.rows, part.is_last) = (0..1, 0..0, false);
        let judged = is_first.then(|| Judged {
            topic: Arc::clone(&remaining.batch().raw.topic),
            rows: RecordBatch::new_empty(Arc::new(Schema::empty())),
            covered: remaining.covered(&part).unwrap(),
            dead_letters: Vec::new(),
            alerts: Vec::new(),
        });
        remaining.finish(&part);
        let wait = if is_first { Duration::ZERO } else { Duration::from_hours(1) };
        Ok(Progress { judged, rest: Some(remaining), wait })
    }

    fn snapshot(&mut self) -> Result<Vec<PluginState>, Error> {
        Ok(Vec::new())
    }

    fn plugins(&self) -> Vec<PluginId> {
        Vec::new()
    }
}

fn batch(n_records: i64) -> Batch {
    let topic: Arc<str> = Arc::from("t");
    let mut raw = RawBatch::empty(Arc::clone(&topic));
    for offset in 0..n_records {
        raw.push(0, offset, None, b"x");
    }
    let records = n_records.unsigned_abs();
    let span = Span { start: 0, next: n_records, records, leader_epoch: None };
    raw.covered.cover(TopicPartition::new(&topic, 0), span).unwrap();
    let columns = RecordBatch::new_empty(Arc::new(Schema::empty()));
    Batch { raw, columns, record_of_row: Vec::new(), rejected: Vec::new() }
}

#[test]
fn while_rows_wait_epochs_end_and_a_stop_is_obeyed_at_once() {
    let (batches_in, batches) = sync_channel(2);
    let (steps_in, steps) = sync_channel(100);
    let (asked_in, asked) = sync_channel(100);
    for _ in 0..2 {
        batches_in.send(batch(3)).unwrap();
    }
    let stop = Stop::default();
    let judge_stop = Arc::clone(&stop);
    let budget = Budget { interval: Duration::from_millis(20), rows_max: u64::MAX };
    let judging = thread::spawn(move || {
        let full = AtomicBool::new(false);
        judge(Box::new(Stuck(asked_in)), budget, &full, &judge_stop, &batches, &steps_in)
    });
    // The epoch of the first record ends although the rest of the batch waits.
    let Ok(Step::Write(judged)) = steps.recv() else { panic!("nothing was judged") };
    assert_eq!(judged.covered.n_records(), 1);
    assert!(matches!(steps.recv(), Ok(Step::Cut { .. })));
    asked.recv().unwrap();
    asked.recv().unwrap();

    let began = Instant::now();
    stop.store(true, Ordering::Relaxed);
    judging.join().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(steps.recv().is_err(), "what was not judged is covered");
    assert!(asked.recv().is_err(), "it was asked again, or another batch was begun");
}
