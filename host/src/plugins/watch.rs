//! Says when to look at the plugin files again.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};

/// Quiet time after the last event: an editor or a copy makes several.
const SETTLE: Duration = Duration::from_millis(200);
/// A file that is written without a pause is looked at nevertheless.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Causes that wait to be looked at; more say nothing new.
const CAUSES_WAITING_MAX: usize = 256;

/// Why to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A file changed.
    File,
    /// SIGHUP.
    Hangup,
    /// Time passed.
    Tick,
    /// The run ends.
    End,
}

impl Cause {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            _ => "a file changed",
        }
    }
}

/// What in the watched folders means something. The alerts and the table may lie beside the plugins.
#[derive(Default)]
struct Interest {
    names: BTreeSet<OsString>,
    /// Folders of which every file counts.
    whole: BTreeSet<PathBuf>,
}

impl Interest {
    fn covers(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return true };
        // Kubernetes exchanges `..data` when a ConfigMap changes.
        self.names.contains(name)
            || name.as_encoded_bytes().starts_with(b"..")
            || path.parent().is_some_and(|folder| self.whole.contains(folder))
    }
}

/// Events of files and signals, settled.
pub(crate) struct Watch {
    causes: Receiver<Cause>,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    interest: Arc<Mutex<Interest>>,
}

impl Watch {
    /// Watches nothing yet. The sender is for signals and for the end; without `files` it is all.
    pub(crate) fn new(files: bool) -> Result<(Self, SyncSender<Cause>)> {
        let (sender, causes) = sync_channel(CAUSES_WAITING_MAX);
        let interest = Arc::new(Mutex::new(Interest::default()));
        let watcher =
            if files { Some(watcher(sender.clone(), Arc::clone(&interest))?) } else { None };
        Ok((Self { causes, watcher, folders: BTreeSet::new(), interest }, sender))
    }

    /// Watches the folders of these files and nothing else. A folder and not its file: files are
    /// replaced by a rename, and links on the way to them as well.
    pub(crate) fn set_files<'a>(&mut self, files: impl IntoIterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut wanted = BTreeSet::new();
        let mut interest = Interest::default();
        for file in files {
            let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
            if absolute.is_dir() {
                interest.whole.insert(absolute.clone());
                wanted.insert(absolute.clone());
            }
            // What a link leads to may be written in place.
            let target = absolute.canonicalize().ok();
            let links = absolute.ancestors().skip(1).filter(|path| path.is_symlink());
            for path in links.chain([absolute.as_path()]).chain(target.as_deref()) {
                interest.names.extend(path.file_name().map(ToOwned::to_owned));
                wanted.extend(path.parent().map(Path::to_owned));
            }
        }
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner) = interest;
        for gone in self.folders.difference(&wanted) {
            // An error says that it is not watched any more.
            let _ = watcher.unwatch(gone);
        }
        let mut seen = BTreeSet::new();
        for folder in wanted {
            // Watched anew each time: a folder that was replaced has the same name.
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    seen.insert(folder);
                }
                Err(error) => {
                    let folder = folder.display();
                    tracing::warn!(%folder, %error, "changes here are only seen after SIGHUP");
                }
            }
        }
        self.folders = seen;
    }

    /// Waits for a reason to look, or for `tick` to pass.
    pub(crate) fn next(&self, tick: Duration) -> Cause {
        let mut cause = match self.causes.recv_timeout(tick) {
            Ok(cause) => cause,
            Err(RecvTimeoutError::Timeout) => return Cause::Tick,
            Err(RecvTimeoutError::Disconnected) => return Cause::End,
        };
        let began = Instant::now();
        while cause == Cause::File && began.elapsed() < SETTLE_MAX {
            match self.causes.recv_timeout(SETTLE) {
                Ok(next) => cause = next,
                Err(_) => break,
            }
        }
        cause
    }
}

fn watcher(
    causes: SyncSender<Cause>,
    interest: Arc<Mutex<Interest>>,
) -> Result<RecommendedWatcher> {
    Ok(notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let means_something = event.is_ok_and(|event| {
            // Being read is no change; our own look would wake us for ever.
            let interest = interest.lock().unwrap_or_else(PoisonError::into_inner);
            !matches!(event.kind, EventKind::Access(_))
                && (event.paths.is_empty() || event.paths.iter().any(|path| interest.covers(path)))
        });
        if means_something {
            // One that does not fit changes nothing: others wait already.
            let _ = causes.try_send(Cause::File);
        }
    })?)
}

/// Looks again at every SIGHUP, for file systems that tell nobody of changes.
pub(crate) fn on_hangup(causes: SyncSender<Cause>) -> Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP: looking at the plugins");
            if let Err(TrySendError::Disconnected(_)) = causes.try_send(Cause::Hangup) {
                return;
            }
        }
    });
    Ok(())
}
