//! What survives a crash, and the plan of what fails.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use audit_core::{Error, Kind};

use crate::answer::Answer;
use crate::kept::{Kept, Late};

/// Every operation that can fail, by the name under which it asks [`World::survive`].
pub(crate) const BLOCKING: [&str; 7] =
    ["poll", "decode", "judge", "snapshot", "write", "write dead letters", "seal"];

/// Those of the settler and of the start, at which another instance can take over, too.
pub(crate) const SETTLING: [&str; 19] = [
    "before claim",
    "after claim",
    "unfinished",
    "stage",
    "store state",
    "before commit",
    "after commit",
    "before dead letters",
    "after dead letters",
    "before alerts",
    "after alerts",
    "before acknowledgement",
    "after acknowledgement",
    "before maintenance",
    "after removal",
    "before garbage",
    "after garbage",
    "before close",
    "after close",
];

pub(crate) fn operations() -> impl Iterator<Item = &'static str> {
    BLOCKING.into_iter().chain(SETTLING)
}

/// Starts another instance and waits until it ends.
pub(crate) type Other = fn(Arc<World>) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

pub(crate) struct World {
    kept: Mutex<Kept>,
    /// An update that the catalog has taken, but not yet made.
    pub(crate) late: Mutex<Option<Late>>,
    /// The operation that fails, counted over all parts; `u64::MAX` for none.
    pub(crate) fails_at: AtomicU64,
    /// The name of an operation that fails once.
    pub(crate) fails_once: Mutex<Option<&'static str>>,
    /// The operation at or after which another instance takes over; `u64::MAX` for none.
    pub(crate) taken_over_at: AtomicU64,
    /// The name of an operation at which another instance takes over once.
    pub(crate) taken_over_once: Mutex<Option<&'static str>>,
    /// How the catalog answers next, from the last on; then it is honest.
    pub(crate) answers: Mutex<Vec<Answer>>,
    /// Whether acknowledgements get lost on their way.
    pub(crate) loses_acks: AtomicBool,
    pub(crate) n_operations: AtomicU64,
    pub(crate) n_epochs: AtomicU64,
    pub(crate) n_instances: AtomicU64,
    other: Other,
}

impl World {
    pub(crate) fn new(other: Other) -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            late: Mutex::default(),
            fails_at: AtomicU64::new(u64::MAX),
            fails_once: Mutex::default(),
            taken_over_at: AtomicU64::new(u64::MAX),
            taken_over_once: Mutex::default(),
            answers: Mutex::default(),
            loses_acks: AtomicBool::new(false),
            n_operations: AtomicU64::new(0),
            n_epochs: AtomicU64::new(0),
            n_instances: AtomicU64::new(0),
            other,
        })
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    /// To be asked before an operation takes effect, and after it.
    pub(crate) fn survive(&self, what: &str) -> Result<(), Error> {
        assert!(
            operations().any(|known| known == what),
            "an operation that no test makes fail: {what}"
        );
        let n = self.n_operations.fetch_add(1, Ordering::Relaxed);
        let fails_once = self.fails_once.lock().unwrap().take_if(|name| *name == what);
        if fails_once.is_some() || n == self.fails_at.load(Ordering::Relaxed) {
            return Err(injected(format!("injected at {what}")));
        }
        Ok(())
    }

    /// [`World::survive`], and another instance may do everything that is left before this returns.
    pub(crate) async fn pause(self: &Arc<Self>, what: &str) -> Result<(), Error> {
        self.survive(what)?;
        let named = self.taken_over_once.lock().unwrap().take_if(|name| *name == what);
        let n = self.n_operations.load(Ordering::Relaxed);
        let is_due = n >= self.taken_over_at.load(Ordering::Relaxed);
        if is_due {
            self.taken_over_at.store(u64::MAX, Ordering::Relaxed);
        }
        if is_due || named.is_some() {
            // It may fail as well: that is its own affair.
            let _ = (self.other)(Arc::clone(self)).await;
        }
        Ok(())
    }

    pub(crate) fn undisturbed(&self) {
        self.fails_at.store(u64::MAX, Ordering::Relaxed);
        self.taken_over_at.store(u64::MAX, Ordering::Relaxed);
        self.answers.lock().unwrap().clear();
    }
}

pub(crate) fn injected(what: String) -> Error {
    Error::new(Kind::Failed, "AH-0000", what)
}

/// One step of a hash that depends on the order.
pub(crate) fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x2545_F491_4F6C_DD1D)
}
