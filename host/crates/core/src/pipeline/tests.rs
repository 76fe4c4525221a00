//! The settler by itself. The whole pipeline is tested in `tests/crash/`.

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::alert::Alert;
use crate::change::{Change, LookupChange, LookupChangeKind};
use crate::epoch::Staged;
use crate::error::Kind;
use crate::offset::{Span, TopicPartition};

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
