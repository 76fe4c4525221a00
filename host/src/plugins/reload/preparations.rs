//! Candidates that are being prepared, each in a thread of its own: one that takes minutes to compile, hangs or
//! panics holds up no other one, and not the way back to a version that ran.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use audit_chain::Cancel;

use crate::error::Error;
use crate::plugins::watch::Cause;

/// How long candidates that are ready wait for others that changed with them, to be swapped together.
const TOGETHER: Duration = Duration::from_millis(500);
/// The longest that preparing takes: five minutes to compile, then calls with limits of their own.
const PREPARING_MAX: Duration = Duration::from_mins(10);
/// Candidates prepared at a time for places where nothing runs: a folder full of them must not take the machine.
const NEW_MAX: usize = 2;
/// Threads at a time, with those that were given up and have not ended. A place where a plugin runs always has
/// one, until there are this many.
const THREADS_MAX: usize = 16;
/// Bytes of the components that are prepared for places where nothing runs.
const NEW_BYTES_MAX: usize = 128 << 20;

/// What becomes of candidates, by tag: the origin of a plugin, or a shadow.
pub(super) struct Preparations<T> {
    by_tag: BTreeMap<String, Preparation<T>>,
    n_threads: Arc<AtomicUsize>,
    /// Is sent a cause when one is done.
    wake: Option<SyncSender<Cause>>,
}

struct Preparation<T> {
    fingerprint: String,
    began: Instant,
    size: Size,
    cancel: Cancel,
    outcome: Outcome<T>,
}

/// Since when a candidate is done, and how it ended.
type Outcome<T> = Arc<Mutex<Option<(Instant, Result<T>)>>>;

/// What a candidate is counted as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) n_bytes: usize,
    /// Whether nothing runs at its place.
    pub(super) is_new: bool,
}

/// How far a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nobody has begun, with this content at least.
    Absent,
    Pending,
    /// [`Preparations::take`] has the outcome.
    Done,
}

impl<T: Send + 'static> Preparations<T> {
    pub(super) fn new(wake: Option<SyncSender<Cause>>) -> Self {
        Self { by_tag: BTreeMap::new(), n_threads: Arc::default(), wake }
    }

    /// For a loop that takes over from one that hangs: its threads still count.
    pub(super) fn fresh(&self) -> Self {
        let (n_threads, wake) = (Arc::clone(&self.n_threads), self.wake.clone());
        Self { by_tag: BTreeMap::new(), n_threads, wake }
    }

    pub(super) fn progress(&self, tag: &str, fingerprint: &str) -> Progress {
        match self.by_tag.get(tag) {
            Some(one) if one.fingerprint == fingerprint => one.progress(),
            _ => Progress::Absent,
        }
    }

    /// Begins to prepare a candidate, and gives up what was begun under its tag before. If there is no room it does
    /// not begin; there is when another one is done, which wakes the loop.
    pub(super) fn begin(
        &mut self,
        tag: &str,
        fingerprint: &str,
        size: Size,
        work: impl FnOnce(&Cancel) -> Result<T> + Send + 'static,
    ) {
        self.forget(tag);
        if !self.has_room(size) {
            return;
        }
        let (cancel, outcome): (_, Outcome<T>) = (Cancel::default(), Arc::default());
        let counted = Counted::new(&self.n_threads);
        let (wake, cancelled, result) = (self.wake.clone(), cancel.clone(), Arc::clone(&outcome));
        let started = thread::Builder::new().name("plugin-prepare".to_owned()).spawn(move || {
            let done = panic::catch_unwind(AssertUnwindSafe(|| work(&cancelled)));
            let done = done.unwrap_or_else(|_| Err(Error::PreparingPanicked.into()));
            set(&result, done);
            drop((result, counted));
            // If the queue is full, other causes wait, and each looks at everything.
            let _ = wake.map(|wake| wake.try_send(Cause::Prepared));
        });
        if let Err(error) = started {
            set(&outcome, Err(Error::NoThread(error).into()));
        }
        let (fingerprint, began) = (fingerprint.to_owned(), Instant::now());
        let one = Preparation { fingerprint, began, size, cancel, outcome };
        self.by_tag.insert(tag.to_owned(), one);
    }

    fn has_room(&self, size: Size) -> bool {
        let n_threads = self.n_threads.load(Ordering::Relaxed);
        if n_threads >= THREADS_MAX {
            return false;
        }
        let new = self.by_tag.values().filter(|one| one.size.is_new);
        let sizes: Vec<usize> = new
            .filter(|one| one.progress() == Progress::Pending)
            .map(|one| one.size.n_bytes)
            .collect();
        let n_bytes: usize = sizes.iter().sum();
        !size.is_new
            || sizes.is_empty()
            || sizes.len() < NEW_MAX
                && n_bytes.saturating_add(size.n_bytes) <= NEW_BYTES_MAX
                && n_threads < THREADS_MAX / 2
    }

    /// The outcome of one that is done.
    pub(super) fn take(&mut self, tag: &str) -> Option<Result<T>> {
        let (_, outcome) = lock(&self.by_tag.get(tag)?.outcome).take()?;
        self.by_tag.remove(tag);
        Some(outcome)
    }

    /// The error of one that is done and failed.
    pub(super) fn failure(&mut self, tag: &str) -> Option<anyhow::Error> {
        let is_failure = matches!(&*lock(&self.by_tag.get(tag)?.outcome), Some((_, Err(_))));
        if is_failure { self.take(tag)?.err() } else { None }
    }

    /// Gives up what was begun under a tag.
    pub(super) fn forget(&mut self, tag: &str) {
        if let Some(one) = self.by_tag.remove(tag) {
            one.cancel.set();
        }
    }

    /// Gives up whatever is no longer wanted.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&str) -> bool) {
        let gone: Vec<String> = self.by_tag.keys().filter(|tag| !is_wanted(tag)).cloned().collect();
        for tag in gone {
            self.forget(&tag);
        }
    }

    /// Gives up what takes far too long: whoever takes its outcome gets an error.
    pub(super) fn give_up_overdue(&mut self) {
        for one in self.by_tag.values_mut() {
            if one.progress() == Progress::Pending && one.began.elapsed() > PREPARING_MAX {
                one.cancel.set();
                // What the thread still does goes nowhere.
                one.outcome = Outcome::default();
                set(&one.outcome, Err(Error::PreparingOverdue { limit: PREPARING_MAX }.into()));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_tag.is_empty()
    }

    /// Whether any is still being prepared.
    pub(super) fn any_pending(&self) -> bool {
        self.by_tag.values().any(|one| one.progress() == Progress::Pending)
    }

    /// How long what is ready should still wait for others: counted from when the first of them was, so that what
    /// keeps coming does not hold it up. Zero if nothing is ready, or nothing is to be waited for.
    pub(super) fn wait(&self) -> Duration {
        if !self.any_pending() {
            return Duration::ZERO;
        }
        let done =
            self.by_tag.values().filter_map(|one| lock(&one.outcome).as_ref().map(|(at, _)| *at));
        done.min().map_or(Duration::ZERO, |at| TOGETHER.saturating_sub(at.elapsed()))
    }
}

impl<T> Preparation<T> {
    fn progress(&self) -> Progress {
        if lock(&self.outcome).is_some() { Progress::Done } else { Progress::Pending }
    }
}

fn lock<T>(outcome: &Outcome<T>) -> MutexGuard<'_, Option<(Instant, Result<T>)>> {
    outcome.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set<T>(outcome: &Outcome<T>, done: Result<T>) {
    *lock(outcome) = Some((Instant::now(), done));
}

/// A thread that is counted until it ends, however it ends.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(n_threads: &Arc<AtomicUsize>) -> Self {
        n_threads.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(n_threads))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;

    const OLD: Size = Size { n_bytes: 1, is_new: false };
    const NEW: Size = Size { n_bytes: 1, is_new: true };

    fn preparations() -> (Preparations<u32>, Receiver<Cause>) {
        let (wake, woken) = sync_channel(64);
        (Preparations::new(Some(wake)), woken)
    }

    /// Work that ends when it is told to.
    fn waiting() -> (impl FnOnce(&Cancel) -> Result<u32> + Send + 'static, SyncSender<u32>) {
        let (sender, receiver) = sync_channel(1);
        (move |_: &Cancel| Ok(receiver.recv()?), sender)
    }

    #[test]
    fn one_that_hangs_holds_up_no_other() {
        let (mut all, woken) = preparations();
        let (hangs, end) = waiting();
        all.begin("a", "1", OLD, hangs);
        all.begin("b", "1", OLD, |_| Ok(7));
        assert_eq!(woken.recv(), Ok(Cause::Prepared));
        assert_eq!(all.progress("b", "1"), Progress::Done);
        assert_eq!(all.progress("b", "2"), Progress::Absent, "another content");
        assert!(all.wait() > Duration::ZERO, "it waits a little for the other");
        assert_eq!(all.take("b").unwrap().unwrap(), 7);
        assert_eq!(all.progress("a", "1"), Progress::Pending);
        assert!(all.take("a").is_none() && all.any_pending() && all.wait().is_zero());
        // Its successor does not wait for it, and what it says later goes nowhere.
        all.begin("a", "2", OLD, |cancel| Ok(u32::from(cancel.is_set())));
        assert_eq!(woken.recv(), Ok(Cause::Prepared));
        assert_eq!(all.take("a").unwrap().unwrap(), 0);
        end.send(9).unwrap();
        assert_eq!(woken.recv(), Ok(Cause::Prepared));
        assert!(all.is_empty() && all.wait() == Duration::ZERO);
    }

    #[test]
    fn a_panic_is_the_outcome_of_its_candidate() {
        let (mut all, woken) = preparations();
        all.begin("a", "1", OLD, |_| panic!("as the test asks"));
        assert_eq!(woken.recv(), Ok(Cause::Prepared));
        let failed = all.take("a").unwrap().unwrap_err();
        assert!(failed.to_string().contains("panicked"), "{failed}");
    }

    #[test]
    fn what_is_given_up_is_told_so() {
        let (mut all, _woken) = preparations();
        let (told, was_told) = sync_channel(1);
        all.begin("a", "1", OLD, move |cancel| {
            while !cancel.is_set() {
                thread::yield_now();
            }
            Ok(told.send(()).map(|()| 1)?)
        });
        all.retain(|tag| tag != "a");
        assert_eq!(was_told.recv(), Ok(()));
        assert_eq!(all.progress("a", "1"), Progress::Absent);
    }

    #[test]
    fn new_ones_wait_for_each_other_and_hold_up_none_that_runs() {
        let (mut all, _woken) = preparations();
        let mut ends = Vec::new();
        for tag in ["a", "b", "c"] {
            let (work, end) = waiting();
            all.begin(tag, "1", NEW, work);
            ends.push(end);
        }
        assert_eq!(all.progress("b", "1"), Progress::Pending);
        assert_eq!(all.progress("c", "1"), Progress::Absent, "there are two already");
        let (work, end) = waiting();
        ends.push(end);
        all.begin("runs", "1", OLD, work);
        assert_eq!(all.progress("runs", "1"), Progress::Pending);
        for n in 0..2 * THREADS_MAX {
            let (work, end) = waiting();
            ends.push(end);
            all.begin("runs", &n.to_string(), OLD, work);
        }
        assert_eq!(all.n_threads.load(Ordering::Relaxed), THREADS_MAX, "those given up count");
    }
}
