//! How another thread asks the chain for a change while it runs.
//!
//! What is slow (compiling, starting, trying a candidate out) is done by who asks. The chain looks
//! between two batches whether something was asked, and then only checks that everything fits, moves
//! the states over and exchanges instances.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use audit_core::{PluginChange, PluginId, PluginState};
use audit_lookup::Set;

use crate::error::Error;
use crate::plugin::Plugin;
use crate::shadow::{ShadowReport, SharedReport, lock};
use crate::slot::Slot;

/// Requests that wait for the end of a batch: each comes of a thread that waits for its answer.
const REQUESTS_WAITING_MAX: usize = 16;

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
    Arrange { places: Vec<Place>, reason: String },
    Note(Box<PluginChange>),
    TakeLookups { set: Box<Set>, changes: Vec<PluginChange> },
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
    /// The states at the end of the last epoch.
    pub(crate) states: Vec<PluginState>,
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

    /// What a plugin remembered at the end of the last epoch, for trying a candidate out with it.
    pub fn states_of(&self, plugin: &str) -> Vec<PluginState> {
        let view = see(&self.view);
        view.states.iter().filter(|state| state.plugin.name == plugin).cloned().collect()
    }

    /// How the candidates compare, by plugin.
    pub fn shadow_reports(&self) -> Vec<ShadowReport> {
        see(&self.view).shadows.values().map(|report| lock(report).clone()).collect()
    }

    /// Puts plugins into new places. All of it happens between two batches, or nothing does. Waits until
    /// it is done; `None` if the chain has ended.
    pub fn arrange(&self, places: Vec<Place>, reason: String) -> Option<Result<Done, Error>> {
        self.ask(Wish::Arrange { places, reason })
    }

    /// Has something recorded that did not change the chain: a candidate that was refused.
    pub fn note(&self, change: PluginChange) -> Option<Result<Done, Error>> {
        self.ask(Wish::Note(Box::new(change)))
    }

    /// Has plugins look things up in another set from the next batch on, and each change recorded.
    pub fn take_lookups(
        &self,
        set: Set,
        changes: Vec<PluginChange>,
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
