//! How another thread changes the chain while it runs.
//!
//! The other thread does what is slow (compiling, starting, trying out a candidate) and then sends a
//! command. Between two batches the chain applies it: it only checks that the plugins fit together, moves
//! the states and swaps the instances.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use audit_core::{Change, LookupChange, PluginId};
use audit_lookup::Set;

use crate::chain::proofs::Proofs;
use crate::chain::shadow::{ShadowReport, SharedReport};
use crate::error::Error;
use crate::plugin::candidate::Plugin;
use crate::plugin::spec::Blueprint;
use crate::runner::replay::{Lane, ReplayLog};
use crate::runner::slot::Slot;

/// Requests that wait for the end of a batch: each comes from a thread that waits for the reply.
const REQUESTS_WAITING_MAX: usize = 16;

/// Rounds in which a candidate catches up: one that is slower than the stream would never end.
const CATCH_UP_ROUNDS_MAX: usize = 8;
/// How far the stream may be ahead of the candidate at the swap.
const BEHIND_MAX: Duration = Duration::from_millis(5);

/// A position in the new chain.
pub enum Place {
    /// The plugin of that name stays as it is.
    Keep(String),
    /// A new plugin; if one of its name runs, it takes over that one's state.
    New(Box<Plugin>),
}

/// A plugin of the chain as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The file, or `builtin:NAME`.
    pub origin: String,
    pub id: PluginId,
}

/// The result of a command that was applied.
pub struct Done {
    /// How long no batch was judged because of it.
    pub pause: Duration,
    /// Slots that are no longer needed. Freeing their memory takes time, so the caller does it, not the chain.
    pub(crate) retired: Vec<Slot>,
}

impl Done {
    /// How many plugins were removed or replaced.
    pub fn n_retired(&self) -> usize {
        self.retired.len()
    }
}

pub(crate) enum Command {
    Arrange { places: Vec<Place>, reason: String },
    Note(Box<Change>),
    ShareLogs { of: String, to: SyncSender<Vec<(Lane, ReplayLog)>> },
    TakeLookups { set: Box<Set>, changes: Vec<LookupChange> },
    StartShadow { of: String, candidate: Box<Plugin>, reason: String },
    EndShadow { of: String, reason: String },
}

pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) reply: SyncSender<Result<Done, Error>>,
}

/// What other threads can see of the chain.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) running: Vec<Running>,
    pub(crate) blueprints: Vec<Arc<Blueprint>>,
    pub(crate) shadows: BTreeMap<String, SharedReport>,
}

/// A handle by which other threads control a chain. Cheap to clone.
#[derive(Clone)]
pub struct ChainControl {
    requests: SyncSender<Request>,
    view: Arc<Mutex<View>>,
    pub(crate) proofs: Proofs,
}

impl ChainControl {
    pub(crate) fn new() -> (Self, Receiver<Request>, Arc<Mutex<View>>) {
        let (requests, receiver) = sync_channel(REQUESTS_WAITING_MAX);
        let view = Arc::new(Mutex::new(View::default()));
        let control = Self { requests, view: Arc::clone(&view), proofs: Proofs::default() };
        (control, receiver, view)
    }

    /// The plugins as they run now, in their order.
    pub fn running(&self) -> Vec<Running> {
        lock_view(&self.view).running.clone()
    }

    /// The plugins as they run now.
    pub(crate) fn blueprints(&self) -> Vec<Arc<Blueprint>> {
        lock_view(&self.view).blueprints.clone()
    }

    /// Lets a candidate catch up with the running plugin of its name, beside the stream, so that the swap has
    /// little left to replay. Fails if it does not accept the state or fails on what was judged since.
    pub fn catch_up(&self, candidate: &mut Plugin) -> Result<(), Error> {
        self.catch_up_until(candidate, None)
    }

    /// The same for one that has caught up before: it gives up after that time, and an error says so.
    pub fn catch_up_within(&self, candidate: &mut Plugin, time: Duration) -> Result<(), Error> {
        self.catch_up_until(candidate, Some(Instant::now() + time))
    }

    fn catch_up_until(&self, candidate: &mut Plugin, until: Option<Instant>) -> Result<(), Error> {
        if !candidate.blueprint.has_state() {
            return Ok(());
        }
        for _ in 0..CATCH_UP_ROUNDS_MAX {
            let (to, logs) = sync_channel(1);
            let of = candidate.id().name.clone();
            let Some(shared) = self.send(Command::ShareLogs { of, to }) else { return Ok(()) };
            shared?;
            let Ok(logs) = logs.recv() else { return Ok(()) };
            let began = Instant::now();
            candidate.catch_up_with(&logs, until)?;
            // What came meanwhile is what the swap must still replay.
            if began.elapsed() < BEHIND_MAX {
                break;
            }
        }
        Ok(())
    }

    /// The reports of the shadows, by plugin.
    pub fn shadow_reports(&self) -> Vec<ShadowReport> {
        let shared: Vec<SharedReport> =
            lock_view(&self.view).shadows.values().map(Arc::clone).collect();
        shared.iter().map(|report| report.read()).collect()
    }

    /// Arranges plugins anew. All of it happens between two batches, or nothing does. Every column that is replaced
    /// now must still be replaced: only a restart gives one up. Waits until it is done; `None` if the chain has ended.
    pub fn arrange(&self, places: Vec<Place>, reason: String) -> Option<Result<Done, Error>> {
        self.send(Command::Arrange { places, reason })
    }

    /// Records what did not change the chain: a rejected reload.
    pub fn note(&self, change: Change) -> Option<Result<Done, Error>> {
        self.send(Command::Note(Box::new(change)))
    }

    /// Replaces the tables and calendars from the next batch on, and records each change.
    pub fn take_lookups(
        &self,
        set: Set,
        changes: Vec<LookupChange>,
    ) -> Option<Result<Done, Error>> {
        self.send(Command::TakeLookups { set: Box::new(set), changes })
    }

    /// Starts a candidate as the shadow of the plugin of that name.
    pub fn start_shadow(
        &self,
        of: &str,
        candidate: Plugin,
        reason: String,
    ) -> Option<Result<Done, Error>> {
        let candidate = Box::new(candidate);
        self.send(Command::StartShadow { of: of.to_owned(), candidate, reason })
    }

    /// Ends the shadow of the plugin of that name.
    pub fn end_shadow(&self, of: &str, reason: String) -> Option<Result<Done, Error>> {
        self.send(Command::EndShadow { of: of.to_owned(), reason })
    }

    fn send(&self, command: Command) -> Option<Result<Done, Error>> {
        let (reply, replied) = sync_channel(1);
        self.requests.send(Request { command, reply }).ok()?;
        replied.recv().ok()
    }
}

/// A view stays consistent even if a thread that changed it panicked.
pub(crate) fn lock_view(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}
