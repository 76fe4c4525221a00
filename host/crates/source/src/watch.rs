//! What may happen to the topics while they are read: a partition is added, loses its leader or gets one back, and a
//! topic is created anew. A thread of its own looks, so that a broker that does not answer never delays the records
//! of the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use audit_core::TopicPartition;
use rdkafka::consumer::Consumer as _;

use crate::assignment::{self, Listed, StartAt};
use crate::error::Error;
use crate::ffi::{Client, Queue};
use crate::merge::Now;
use crate::reach;
use crate::reader::now;
use crate::settings::Settings;
use crate::token::Tokens;

/// How often to look. One metadata request and one for the id of each topic.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often to look while a partition waits for its first leader.
const LOOK_EVERY_WAITING: Duration = Duration::from_secs(1);
/// How long a request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long each broker may take to say where its partitions end: reading waits for that.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// How long a run with an end waits for a partition without a leader. A run without one waits for ever: the others
/// are read, and a warning has named the partition.
const LEADER_WITHIN: Duration = Duration::from_mins(5);
/// More than any look reports; a source that does not take reports is not polled either.
const REPORTS_MAX: usize = 1024;

/// What the source must act on.
pub(crate) enum Report {
    /// A partition can be read from now on.
    Partition(TopicPartition, StartAt),
    /// Where partitions ended when they were asked for; `None` where the leader did not say.
    Ends { ends: Vec<(TopicPartition, Option<i64>)>, asked_at: Now },
    /// The run must end.
    Failed(Error),
}

/// The thread. It ends when this is dropped.
pub(crate) struct Watch {
    reports: Receiver<Report>,
    /// Partitions whose ends are asked for. The thread ends when this is dropped.
    questions: SyncSender<Vec<TopicPartition>>,
}

/// What is known when the thread starts.
pub(crate) struct Known {
    pub(crate) client: Arc<Client>,
    /// The client that fetches.
    pub(crate) fetcher: Arc<Client>,
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
        let (questions, asked) = sync_channel::<Vec<TopicPartition>>(1);
        let (send, reports) = sync_channel(REPORTS_MAX);
        let leaderless = known.waiting.iter().map(|at| (at.clone(), Instant::now())).collect();
        let events = Queue::of_events(Arc::clone(&known.client));
        let tokens = || Tokens::of(&known.settings.properties);
        let tokens = [tokens(), tokens()];
        let mut watcher =
            Watcher { known, leaderless, is_blind: false, events, tokens, reports: send };
        let thread = thread::Builder::new().name("kafka-watch".to_owned());
        let run = move || {
            let mut looks_at = Instant::now() + watcher.pause();
            loop {
                let pause = looks_at.saturating_duration_since(Instant::now());
                let done = match asked.recv_timeout(pause) {
                    Ok(partitions) => watcher.answer(&partitions),
                    Err(RecvTimeoutError::Timeout) => {
                        let done = watcher.look();
                        looks_at = Instant::now() + watcher.pause();
                        done
                    }
                    Err(RecvTimeoutError::Disconnected) => None,
                };
                if done.is_none() {
                    break;
                }
            }
        };
        thread.spawn(run).map_err(|cause| Error::Thread { cause })?;
        Ok(Self { reports, questions })
    }

    /// Asks where partitions end; a report answers, if their leaders do. Dropped while another question waits.
    pub(crate) fn ask(&self, partitions: Vec<TopicPartition>) {
        // Full: asked again a second later. Disconnected: the report of its error is on the way.
        drop(self.questions.try_send(partitions));
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
    /// What the client has to say, which nobody else takes out.
    events: Option<Queue>,
    /// Of the two clients.
    tokens: [Tokens; 2],
    reports: SyncSender<Report>,
}

impl Watcher {
    fn pause(&self) -> Duration {
        if self.known.waiting.is_empty() { LOOK_EVERY } else { LOOK_EVERY_WAITING }
    }

    /// `None` once nobody listens. Silence is no error: who asked waits for a limited time.
    fn answer(&self, partitions: &[TopicPartition]) -> Option<()> {
        let asked_at = now();
        let Known { client, settings, topics, .. } = &self.known;
        let ends = assignment::ends(client, settings, topics, partitions, ENDS_WITHIN);
        self.reports.send(Report::Ends { ends, asked_at }).ok()
    }

    /// `None` once nobody listens, or there is nothing more to say.
    fn look(&mut self) -> Option<()> {
        if let Some(events) = &mut self.events {
            events.receive(usize::MAX, drop);
        }
        let clients = [&self.known.client, &self.known.fetcher];
        for (tokens, client) in self.tokens.iter_mut().zip(clients) {
            tokens.renew(client.client());
        }
        self.report_refusals();
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

    /// A broker that refuses us is tried again for ever: it may get another certificate, or know us again.
    fn report_refusals(&self) {
        let Known { client, settings, .. } = &self.known;
        for refusal in client.client().context().take_refusals() {
            let error = reach::error(refusal, settings);
            tracing::warn!(%error, code = error.code(), "a broker cannot be used; trying again");
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
