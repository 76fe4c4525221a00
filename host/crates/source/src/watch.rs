//! What may happen to the topics while they are read: a partition is added, loses its leader or gets one back, and a
//! topic is created anew. A thread of its own looks, so that a broker that does not answer never delays the records
//! of the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use audit_core::TopicPartition;

use crate::assignment::{self, Listed, StartAt};
use crate::error::Error;
use crate::ffi::Client;
use crate::settings::Settings;

/// How often to look. One metadata request and one for the id of each topic.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often to look while a partition waits for its first leader.
const LOOK_EVERY_WAITING: Duration = Duration::from_secs(1);
/// How long a request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a run with an end waits for a partition without a leader. A run without one waits for ever: the others
/// are read, and a warning has named the partition.
const LEADER_WITHIN: Duration = Duration::from_mins(5);
/// More than any look reports; a source that does not take reports is not polled either.
const REPORTS_MAX: usize = 1024;

/// What the source must act on.
pub(crate) enum Report {
    /// A partition can be read from now on.
    Partition(TopicPartition, StartAt),
    /// The run must end.
    Failed(Error),
}

/// The thread. It ends when this is dropped.
pub(crate) struct Watch {
    reports: Receiver<Report>,
    _until_dropped: SyncSender<()>,
}

/// What is known when the thread starts.
pub(crate) struct Known {
    pub(crate) client: Arc<Client>,
    pub(crate) settings: Settings,
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) topic_ids: HashMap<String, String>,
    /// Partitions that are read.
    pub(crate) read: HashSet<TopicPartition>,
    /// Partitions that wait for their first leader since the start.
    pub(crate) waiting: HashSet<TopicPartition>,
}

impl Watch {
    pub(crate) fn start(known: Known) -> Result<Self, Error> {
        let (until_dropped, stop) = sync_channel::<()>(1);
        let (send, reports) = sync_channel(REPORTS_MAX);
        let leaderless = known.waiting.iter().map(|at| (at.clone(), Instant::now())).collect();
        let mut watcher = Watcher { known, leaderless, is_blind: false, reports: send };
        let thread = thread::Builder::new().name("kafka-watch".to_owned());
        let run = move || {
            while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(watcher.pause()) {
                if watcher.look().is_none() {
                    break;
                }
            }
        };
        thread.spawn(run).map_err(|cause| Error::Thread { cause })?;
        Ok(Self { reports, _until_dropped: until_dropped })
    }

    /// The next thing that the thread found.
    pub(crate) fn report(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }
}

struct Watcher {
    known: Known,
    /// Since when a partition has no leader.
    leaderless: HashMap<TopicPartition, Instant>,
    /// Whether the last look failed: that is reported once.
    is_blind: bool,
    reports: SyncSender<Report>,
}

impl Watcher {
    fn pause(&self) -> Duration {
        if self.known.waiting.is_empty() { LOOK_EVERY } else { LOOK_EVERY_WAITING }
    }

    /// `None` once nobody listens, or there is nothing more to say.
    fn look(&mut self) -> Option<()> {
        match self.look_at_all() {
            Ok(found) => {
                self.is_blind = false;
                for (partition, start) in found {
                    self.reports.send(Report::Partition(partition, start)).ok()?;
                }
                Some(())
            }
            Err(error) if is_final(&error) => {
                // The source ends; if it is gone already, nothing is lost.
                drop(self.reports.send(Report::Failed(error)));
                None
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_blind, true) {
                    tracing::warn!(%error, "could not look at the topics; trying again");
                }
                Some(())
            }
        }
    }

    fn look_at_all(&mut self) -> Result<Vec<(TopicPartition, StartAt)>, Error> {
        let Known { client, settings, topic_ids, .. } = &self.known;
        assignment::check_topic_ids(client, settings, topic_ids, ANSWER_WITHIN)?;
        let mut found = Vec::new();
        for topic in self.known.topics.clone() {
            let Known { client, settings, .. } = &self.known;
            let listed = assignment::partitions(client, settings, &topic, ANSWER_WITHIN)?;
            for listed in listed {
                let partition = TopicPartition::new(&topic, listed.id);
                if let Some(start) = self.look_at(&partition, listed)? {
                    self.known.waiting.remove(&partition);
                    self.known.read.insert(partition.clone());
                    found.push((partition, start));
                }
            }
        }
        self.give_up()?;
        Ok(found)
    }

    /// Where to start in a partition that is not read yet and can be read now.
    fn look_at(
        &mut self,
        partition: &TopicPartition,
        listed: Listed,
    ) -> Result<Option<StartAt>, Error> {
        let Known { client, settings, .. } = &self.known;
        let start = if listed.leader.is_none() || self.known.read.contains(partition) {
            None
        } else if self.known.waiting.contains(partition) {
            assignment::start_of(client, settings, partition, ANSWER_WITHIN)?
        } else {
            tracing::info!(%partition, "reading a new partition");
            assignment::start_of_new(client, partition, ANSWER_WITHIN)?
        };
        let is_led =
            listed.leader.is_some() && (start.is_some() || self.known.read.contains(partition));
        self.note_leader(partition, is_led);
        Ok(start)
    }

    fn note_leader(&mut self, partition: &TopicPartition, is_led: bool) {
        if is_led {
            if self.leaderless.remove(partition).is_some() {
                tracing::info!(%partition, "partition has a leader again");
            }
        } else if !self.leaderless.contains_key(partition) {
            tracing::warn!(%partition, "partition has no leader; waiting for one, the others are read");
            self.leaderless.insert(partition.clone(), Instant::now());
        }
    }

    /// A run that is to end must not wait for ever.
    fn give_up(&self) -> Result<(), Error> {
        let waited = |since: &Instant| since.elapsed() >= LEADER_WITHIN;
        match self.leaderless.iter().find(|(_, since)| waited(since)) {
            Some((partition, _)) if self.known.settings.until_end => {
                let waited_s = LEADER_WITHIN.as_secs();
                Err(Error::NoLeader { partition: partition.clone(), waited_s })
            }
            _ => Ok(()),
        }
    }
}

/// Whether looking again could not help.
fn is_final(error: &Error) -> bool {
    !matches!(
        error,
        Error::Unreachable { .. }
            | Error::NoSuchTopic { .. }
            | Error::TopicId { .. }
            | Error::Watermarks { .. }
    )
}
