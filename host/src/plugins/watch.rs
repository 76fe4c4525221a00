//! Decides when the plugin files are read again.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};

/// Quiet time after the last event: an editor or a copy makes several.
const SETTLE: Duration = Duration::from_millis(200);
/// A file that is written without a pause is read after this time anyway.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Causes that wait to be handled; more would say nothing new.
const CAUSES_WAITING_MAX: usize = 256;

/// Links on the way to a file, as many as Linux follows.
const LINKS_MAX: usize = 40;

/// Why the files are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A file changed.
    File,
    /// SIGHUP.
    Hangup,
    /// A candidate is prepared, or was rejected.
    Prepared,
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

/// What matters in the watched folders. The alerts and the table may lie beside the plugins.
#[derive(Default)]
struct Interest {
    names: BTreeSet<OsString>,
    /// Folders in which every file matters.
    whole: BTreeSet<PathBuf>,
}

impl Interest {
    fn covers(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return true };
        // Kubernetes replaces `..data` when a ConfigMap changes.
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
    /// Watches nothing yet. The sender is for signals and for the end; without `files` these are the only causes.
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
            let Way { links, end } = way_to(file);
            if end.is_dir() {
                interest.whole.insert(end.clone());
                wanted.insert(end.clone());
            }
            // What links lead to may be written in place.
            for path in links.iter().chain([&end]) {
                interest.names.extend(path.file_name().map(ToOwned::to_owned));
                wanted.extend(path.parent().map(Path::to_owned));
            }
        }
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner) = interest;
        for gone in self.folders.difference(&wanted) {
            // An error means that it is no longer watched.
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
                    tracing::warn!(
                        %folder,
                        %error,
                        "cannot watch this folder; changes in it are noticed only after SIGHUP"
                    );
                }
            }
        }
        self.folders = seen;
    }

    /// Waits for a cause, or for `tick` to pass.
    pub(crate) fn next(&self, tick: Duration) -> Cause {
        let mut cause = match self.causes.recv_timeout(tick) {
            Ok(cause) => cause,
            Err(RecvTimeoutError::Timeout) => return Cause::Tick,
            Err(RecvTimeoutError::Disconnected) => return Cause::End,
        };
        let began = Instant::now();
        while cause == Cause::File && began.elapsed() < SETTLE_MAX {
            match self.causes.recv_timeout(SETTLE) {
                // It changes nothing about the file.
                Ok(Cause::Prepared) => {}
                Ok(next) => cause = next,
                Err(_) => break,
            }
        }
        cause
    }
}

/// How a path resolves to its file. None of these paths has a link among its folders, so each folder has one
/// name: events come under the name by which it was watched last.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    /// Those on the way, in their order: when one leads elsewhere, so does the path.
    links: Vec<PathBuf>,
    /// The file or folder; or the first of its folders that is not there, whose coming is the next event.
    end: PathBuf,
}

/// Resolves a path as the operating system does, link by link.
fn way_to(file: &Path) -> Way {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut links = Vec::new();
    let mut end = PathBuf::new();
    let mut ahead: VecDeque<OsString> = steps(&absolute);
    while let Some(step) = ahead.pop_front() {
        match Path::new(&step).components().next() {
            Some(Component::ParentDir) => {
                end.pop();
                continue;
            }
            Some(Component::CurDir) | None => continue,
            // Also the root, which takes the place of what was before.
            Some(_) => end.push(&step),
        }
        if let Ok(target) = end.read_link() {
            links.push(end.clone());
            if links.len() == LINKS_MAX {
                break;
            }
            end.pop();
            for step in steps(&target).into_iter().rev() {
                ahead.push_front(step);
            }
        } else if !end.exists() {
            break;
        }
    }
    Way { links, end }
}

fn steps(path: &Path) -> VecDeque<OsString> {
    path.components().map(|step| step.as_os_str().to_owned()).collect()
}

fn watcher(
    causes: SyncSender<Cause>,
    interest: Arc<Mutex<Interest>>,
) -> Result<RecommendedWatcher> {
    Ok(notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let means_something = event.is_ok_and(|event| {
            // A read is not a change; our own would wake us forever.
            let interest = interest.lock().unwrap_or_else(PoisonError::into_inner);
            !matches!(event.kind, EventKind::Access(_))
                && (event.paths.is_empty() || event.paths.iter().any(|path| interest.covers(path)))
        });
        if means_something {
            // If the queue is full, others wait already.
            let _ = causes.try_send(Cause::File);
        }
    })?)
}

/// Sends a cause at every SIGHUP, for file systems that report no changes.
pub(crate) fn on_hangup(causes: SyncSender<Cause>) -> Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP received; reading the plugins again");
            if let Err(TrySendError::Disconnected(_)) = causes.try_send(Cause::Hangup) {
                return;
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// What is on the way to a path in a folder, relative to that folder.
    fn way(folder: &Path, path: &str) -> (Vec<String>, String) {
        let Way { links, end } = way_to(&folder.join(path));
        let relative = |path: PathBuf| {
            path.strip_prefix(folder).expect("it leads out of the folder").display().to_string()
        };
        (links.into_iter().map(relative).collect(), relative(end))
    }

    fn check(folder: &Path, path: &str, links: &[&str], end: &str) {
        let links = links.iter().map(|&link| link.to_owned()).collect();
        assert_eq!(way(folder, path), (links, end.to_owned()), "{path}");
    }

    #[test]
    fn every_link_on_the_way_to_a_file_is_watched() {
        let temporary = tempfile::tempdir().unwrap();
        // The folder for temporary files may itself be a link.
        let folder = temporary.path().canonicalize().unwrap();
        for name in ["a", "v1", "config/..1"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        fs::write(folder.join("v1/roles.csv"), "").unwrap();
        fs::write(folder.join("config/..1/roles.csv"), "").unwrap();
        let link = |target: &str, name: &str| symlink(target, folder.join(name)).unwrap();
        check(&folder, "v1/roles.csv", &[], "v1/roles.csv");
        check(&folder, "a/../v1/./roles.csv", &[], "v1/roles.csv");

        symlink(folder.join("live/roles.csv"), folder.join("a/roles.csv")).unwrap();
        link("v1", "live");
        check(&folder, "a/roles.csv", &["a/roles.csv", "live"], "v1/roles.csv");
        check(&folder, "live/roles.csv", &["live"], "v1/roles.csv");
        check(&folder, "live", &["live"], "v1");
        link("../live/../v1/roles.csv", "a/more.csv");
        check(&folder, "a/more.csv", &["a/more.csv", "live"], "v1/roles.csv");
        // As Kubernetes does it.
        link("..1", "config/..data");
        link("..data/roles.csv", "config/roles.csv");
        let links = ["config/roles.csv", "config/..data"];
        check(&folder, "config/roles.csv", &links, "config/..1/roles.csv");

        // What is not there yet may come.
        check(&folder, "a/none.csv", &[], "a/none.csv");
        check(&folder, "x/y/roles.csv", &[], "x");
        link("v2", "next");
        check(&folder, "next/roles.csv", &["next"], "v2");
        link("round", "round");
        let (links, end) = way(&folder, "round/roles.csv");
        assert_eq!((links.len(), end), (LINKS_MAX, "round".to_owned()));
    }
}
