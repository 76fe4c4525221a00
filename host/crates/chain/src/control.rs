//! How another thread asks the chain for a change while it runs.
//!
//! What is slow (compiling, starting, trying a candidate out) is done by who asks. The chain looks
//! between two batches whether something was asked, and then only checks that everything fits, moves
//! the states over and exchanges instances.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use audit_core::{Change, LookupChange, PluginId};
use audit_lookup::Set;

use crate::error::Error;
use crate::memory::Memory;
use crate::plugin::Plugin;
use crate::shadow::{ShadowReport, SharedReport};
use crate::slot::{Lane, Slot};

/// Requests that wait for the end of a batch: each comes of a thread that waits for its answer.
const REQUESTS_WAITING_MAX: usize = 16;

/// A candidate judges faster than the stream comes, or it may never be where the stream is.
const CATCH_UP_ROUNDS_MAX: usize = 8;
/// So far the stream may be ahead of it at the exchange.
const BEHIND_MAX: Duration = Duration::from_millis(5);
/// How long the running version keeps its past for a candidate.
pub(crate) const LENT_FOR: Duration = Duration::from_secs(1);

/// A place in the new chain.
pub enum Place {
    /// The plugin of that name goes on as it is.
    Keep(String),
    /// A plugin takes the place; if one of its name is there, it takes over what that one remembers.
    New(Box<Plugin>),
}

/// A plugin of the chain as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The file, or `builtin:NAME`.
    pub origin: String,
    pub id: PluginId,
}

/// What was done.
pub struct Done {
    /// For how long no batch was judged because of it.
    pub pause: Duration,
    /// Instances that are not needed any more: giving their memory back takes time, which the chain
    /// does not spend.
    pub(crate) retired: Vec<Slot>,
}

impl Done {
    /// How many plugins left the chain or were exchanged.
    pub fn n_retired(&self) -> usize {
        self.retired.len()
    }
}

pub(crate) enum Wish {
    Arrange { places: Vec<Place>, reason: String, is_all: bool },
    Note(Box<Change>),
    Lend { of: String, to: SyncSender<Vec<(Lane, Memory)>> },
    TakeLookups { set: Box<Set>, changes: Vec<LookupChange> },
    StartShadow { of: String, candidate: Box<Plugin>, reason: String },
    EndShadow { of: String, reason: String },
}

pub(crate) struct Request {
    pub(crate) wish: Wish,
    pub(crate) answer: SyncSender<Result<Done, Error>>,
}

/// What others may see of the chain.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) running: Vec<Running>,
    pub(crate) shadows: BTreeMap<String, SharedReport>,
}

/// The other end of a chain. Cheap to clone.
#[derive(Clone)]
pub struct ChainControl {
    requests: SyncSender<Request>,
    view: Arc<Mutex<View>>,
}

impl ChainControl {
    pub(crate) fn new() -> (Self, Receiver<Request>, Arc<Mutex<View>>) {
        let (requests, receiver) = sync_channel(REQUESTS_WAITING_MAX);
        let view = Arc::new(Mutex::new(View::default()));
        (Self { requests, view: Arc::clone(&view) }, receiver, view)
    }

    /// The plugins as they run now, in their order.
    pub fn running(&self) -> Vec<Running> {
        see(&self.view).running.clone()
    }

    /// Brings a candidate to where the plugin of its name is, beside the stream: so the exchange has little
    /// left to move. Fails if it does not take the state or cannot judge what was judged since.
    pub fn catch_up(&self, candidate: &mut Plugin) -> Result<(), Error> {
        if !candidate.blueprint.has_state() {
            return Ok(());
        }
        for _ in 0..CATCH_UP_ROUNDS_MAX {
            let (lent, answer) = sync_channel(1);
            let of = candidate.id().name.clone();
            let Some(asked) = self.ask(Wish::Lend { of, to: lent }) else { return Ok(()) };
            asked?;
            let Ok(lent) = answer.recv() else { return Ok(()) };
            let began = Instant::now();
            candidate.follow(&lent)?;
            // As much has come meanwhile as the exchange itself has still to judge again.
            if began.elapsed() < BEHIND_MAX {
                break;
            }
        }
        Ok(())
    }

    /// How the candidates compare, by plugin.
    pub fn shadow_reports(&self) -> Vec<ShadowReport> {
        let shared: Vec<SharedReport> = see(&self.view).shadows.values().map(Arc::clone).collect();
        shared.iter().map(|report| report.read()).collect()
    }

    /// Puts plugins into new places. All of it happens between two batches, or nothing does. Waits until
    /// it is done; `None` if the chain has ended.
    pub fn arrange(&self, places: Vec<Place>, reason: String) -> Option<Result<Done, Error>> {
        self.ask(Wish::Arrange { places, reason, is_all: true })
    }

    /// The same where something that was to change with it could not: then every column that is replaced
    /// must still be. Else what one plugin gives up, and another was to take over, would be stored as it came.
    pub fn arrange_partly(
        &self,
        places: Vec<Place>,
        reason: String,
    ) -> Option<Result<Done, Error>> {
        self.ask(Wish::Arrange { places, reason, is_all: false })
    }

    /// Has something recorded that did not change the chain: a candidate that was refused.
    pub fn note(&self, change: Change) -> Option<Result<Done, Error>> {
        self.ask(Wish::Note(Box::new(change)))
    }

    /// Has plugins look things up in another set from the next batch on, and each change recorded.
    pub fn take_lookups(
        &self,
        set: Set,
        changes: Vec<LookupChange>,
    ) -> Option<Result<Done, Error>> {
        self.ask(Wish::TakeLookups { set: Box::new(set), changes })
    }

    /// Lets a candidate run beside the plugin of that name.
    pub fn start_shadow(
        &self,
        of: &str,
        candidate: Plugin,
        reason: String,
    ) -> Option<Result<Done, Error>> {
        let candidate = Box::new(candidate);
        self.ask(Wish::StartShadow { of: of.to_owned(), candidate, reason })
    }

    /// Ends the candidate beside the plugin of that name.
    pub fn end_shadow(&self, of: &str, reason: String) -> Option<Result<Done, Error>> {
        self.ask(Wish::EndShadow { of: of.to_owned(), reason })
    }

    fn ask(&self, wish: Wish) -> Option<Result<Done, Error>> {
        let (answer, answered) = sync_channel(1);
        self.requests.send(Request { wish, answer }).ok()?;
        answered.recv().ok()
    }
}

/// A view is whole whatever became of a thread that changed it.
pub(crate) fn see(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}
