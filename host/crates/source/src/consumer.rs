//! The source: assigned partitions, read in batches.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use audit_core::stage::{Acknowledge, Polled, Source};
use audit_core::{Offsets, RawBatch, Span, TopicPartition};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::assignment::{self, StartAt, check_topic_id, check_topic_ids};
use crate::error::{Error, LogEnd};
use crate::ffi::{BatchQueue, Client, listen};
use crate::progress::{Assignment, Progress, Trust, to_list};
use crate::settings::{ASK_TIMEOUT, Settings, check_properties};
use crate::sorter::Sorter;
use crate::watch::{Known, Report, Watch};

/// How long an epoch waits for the broker to commit its offsets.
const ACKNOWLEDGE_WAIT: Duration = Duration::from_secs(1);

/// How long librdkafka may take to accept a seek: it is done by its own thread, without a broker.
const SEEK_WAIT: Duration = Duration::from_secs(1);
/// How often a seek may be refused: a partition that was just assigned again is stopped first, within milliseconds.
const SEEK_WITHIN: Duration = Duration::from_mins(1);

/// How long the last question before an error may take.
const NAME_WAIT: Duration = Duration::from_secs(5);

/// Records from Kafka.
pub struct KafkaSource {
    settings: Settings,
    consumer: Arc<Client>,
    queue: BatchQueue,
    topics: Vec<Arc<str>>,
    topic_ids: HashMap<String, String>,
    starts: HashMap<TopicPartition, i64>,
    assignment: Assignment,
    /// Partitions that wait for a leader since the start.
    waiting: HashSet<TopicPartition>,
    ready: VecDeque<RawBatch>,
    watch: Watch,
}

impl KafkaSource {
    /// Connects, finds the partitions and starts to prefetch. Blocks for at most some seconds.
    pub fn connect(settings: Settings) -> Result<Self, Error> {
        check_properties(&settings.properties)?;
        let consumer = Arc::new(settings.client()?);
        listen(&consumer);
        // Never closed. Closing waits for every broker thread, up to 45 s if a broker is down, and reports each
        // lost connection again. Nothing depends on it: the offsets that count are in the table, and this
        // consumer is not a member of its group.
        std::mem::forget(Arc::clone(&consumer));
        let topics: Vec<Arc<str>> = settings.topics.iter().map(|t| Arc::from(t.as_str())).collect();
        // First: of a topic that was created anew, no offset means anything.
        let topic_ids = check_topic_ids(&consumer, &settings, &settings.topic_ids, ASK_TIMEOUT)?;
        let plan = assignment::plan(&consumer, &settings, &topics)?;
        let queue = BatchQueue::of(Arc::clone(&consumer))
            .ok_or_else(|| Error::Consumer("librdkafka has no queue of the consumer".to_owned()))?;
        let watch = Watch::start(Known {
            client: Arc::clone(&consumer),
            settings: settings.clone(),
            topics: topics.clone(),
            topic_ids: topic_ids.clone(),
            read: plan.starts.keys().cloned().collect(),
            waiting: plan.leaderless.clone(),
        })?;
        let mut source = Self {
            settings,
            consumer,
            queue,
            topics,
            topic_ids,
            starts: plan.starts.iter().map(|(at, start)| (at.clone(), start.next)).collect(),
            assignment: Assignment::new(),
            waiting: plan.leaderless,
            ready: VecDeque::new(),
            watch,
        };
        for (partition, start) in plan.starts {
            source.add(partition, &start)?;
        }
        source.assign()?;
        Ok(source)
    }

    /// The handle that commits settled offsets to the broker.
    pub fn acknowledger(&self) -> Acknowledger {
        let consumer = Arc::clone(&self.consumer);
        Acknowledger { consumer, unacked: HashMap::new(), ack_task: None }
    }

    /// The offset up to which each partition is covered.
    pub fn starts(&self) -> HashMap<TopicPartition, i64> {
        self.starts.clone()
    }

    /// Kafka's ids of the topics, where the broker has any.
    pub fn topic_ids(&self) -> &HashMap<String, String> {
        &self.topic_ids
    }

    /// The number of partitions that are read.
    pub fn n_partitions(&self) -> usize {
        self.assignment.len()
    }

    /// Reads one more partition. Offsets that are left out are covered at once: perhaps no record follows.
    fn add(&mut self, partition: TopicPartition, start: &StartAt) -> Result<(), Error> {
        if start.next < start.fetch_from {
            let (from, next) = (start.next, start.fetch_from);
            let gap = Span { start: from, next, records: 0, leader_epoch: None };
            let mut batch = RawBatch::empty(Arc::clone(&partition.topic));
            batch.covered.cover(partition.clone(), gap).map_err(|problem| Error::Read {
                partition: partition.clone(),
                message: problem.to_string(),
            })?;
            self.ready.push_back(batch);
        }
        self.assignment.insert(partition, Progress::new(start));
        Ok(())
    }

    /// Sends librdkafka to our position in every partition. All of them, because adding one pauses the others, and
    /// from a pause librdkafka returns to a position of its own.
    fn assign(&mut self) -> Result<(), Error> {
        let list = to_list(&self.assignment)?;
        self.consumer
            .assign(&list)
            .map_err(|cause| Error::Assign { n_partitions: self.assignment.len(), cause })?;
        self.assignment.values_mut().for_each(Progress::assigned);
        Ok(())
    }

    /// Seeks in the partitions that are in doubt. A seek with a leader epoch fetches nothing until the broker has
    /// confirmed that its log holds what was read.
    fn seek(&mut self) -> Result<(), Error> {
        if !self.assignment.values().any(Progress::is_doubted) {
            return Ok(());
        }
        let doubted = self.assignment.iter().filter(|(_, progress)| progress.is_doubted());
        let list = to_list(doubted)?;
        let answers = self.consumer.seek_partitions(list, SEEK_WAIT);
        let elements = answers.iter().flat_map(TopicPartitionList::elements);
        let done: HashSet<(String, i32)> = elements
            .filter(|element| element.error().is_ok())
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        for (partition, progress) in &mut self.assignment {
            let Trust::Doubted(since) = progress.trust else { continue };
            if done.contains(&(partition.topic.to_string(), partition.partition)) {
                progress.trust = Trust::Sought;
            } else if since.elapsed() > SEEK_WITHIN {
                return Err(Error::Seek { partition: partition.clone(), offset: progress.next });
            }
        }
        Ok(())
    }

    fn take_reports(&mut self) -> Result<(), Error> {
        let n_before = self.assignment.len();
        while let Some(report) = self.watch.report() {
            match report {
                Report::Failed(error) => return Err(error),
                Report::Partition(partition, start) => {
                    self.waiting.remove(&partition);
                    self.add(partition, &start)?;
                }
            }
        }
        if self.assignment.len() > n_before { self.assign() } else { Ok(()) }
    }

    fn fetch(&mut self, max_wait: Duration) -> Result<(), Error> {
        self.queue.wait(max_wait);
        // Of what just arrived, records of a topic that was created anew must not be passed on.
        let is_known = self.check_notices();
        let mut sorter = Sorter::new(&self.topics, &mut self.assignment, &mut self.ready);
        self.queue.drain(|message| {
            if is_known.is_ok() {
                sorter.take(message);
            }
        });
        let (must_assign, failed) = (sorter.must_assign, sorter.failed);
        is_known?;
        if let Some(error) = failed {
            return Err(self.named(error));
        }
        if must_assign { self.assign() } else { Ok(()) }
    }

    /// Whether librdkafka has noticed that a topic has another id.
    fn check_notices(&self) -> Result<(), Error> {
        let changed = self.consumer.client().context().take_changed();
        let check = |(topic, id): (&String, &String)| check_topic_id(topic, id, &self.topic_ids);
        changed.iter().try_for_each(check)
    }

    /// What went wrong by its name: a topic that was created anew looks like many other things, and an offset that is
    /// gone does not say at which end of the log.
    fn named(&self, error: Error) -> Error {
        let (consumer, settings) = (&self.consumer, &self.settings);
        if let Err(recreated @ Error::TopicRecreated { .. }) =
            check_topic_ids(consumer, settings, &self.topic_ids, NAME_WAIT)
        {
            return recreated;
        }
        let Error::OffsetGone { partition, offset } = &error else { return error };
        let last = self.assignment.get(partition).and_then(|progress| progress.leader_epoch);
        let ends = assignment::watermarks(consumer, partition, NAME_WAIT);
        match (last, ends) {
            (Some(last), Ok(Some((_, newest)))) if newest < *offset => Error::LogTruncated {
                partition: partition.clone(),
                offset: *offset,
                epoch: last.epoch,
                end: LogEnd(Some(newest)),
            },
            _ => error,
        }
    }

    fn has_ended(&self) -> bool {
        self.settings.until_end
            && self.waiting.is_empty()
            && self.assignment.values().all(Progress::has_ended)
    }
}

impl Source for KafkaSource {
    fn poll(&mut self, max_wait: Duration) -> Result<Polled, audit_core::Error> {
        if let Some(batch) = self.ready.pop_front() {
            return Ok(Polled::Batch(batch));
        }
        if self.has_ended() {
            return Ok(Polled::Ended);
        }
        self.take_reports()?;
        self.seek()?;
        self.fetch(max_wait)?;
        Ok(self.ready.pop_front().map_or(Polled::Idle, Polled::Batch))
    }
}

/// Commits settled offsets to the consumer group, for tools that show lag.
pub struct Acknowledger {
    consumer: Arc<Client>,
    /// Settled offsets that were not committed to the broker yet.
    unacked: HashMap<TopicPartition, i64>,
    ack_task: Option<JoinHandle<()>>,
}

#[async_trait]
impl Acknowledge for Acknowledger {
    /// Waits for a short time only: a broker that does not answer must not delay the table, and the next call
    /// commits what this one could not.
    async fn acknowledge(&mut self, covered: &Offsets) -> Result<(), audit_core::Error> {
        self.unacked.extend(covered.iter().map(|(at, span)| (at.clone(), span.next)));
        if self.ack_task.as_ref().is_some_and(|task| !task.is_finished()) {
            return Ok(());
        }
        let (consumer, offsets) = (Arc::clone(&self.consumer), std::mem::take(&mut self.unacked));
        // Synchronous on a thread of its own: the result of an asynchronous commit would arrive in the queue from
        // which batches are read.
        let mut task = tokio::task::spawn_blocking(move || {
            if let Err(error) = commit(&consumer, &offsets) {
                tracing::warn!(%error, "could not commit offsets to Kafka; the table is not affected");
            }
        });
        if timeout(ACKNOWLEDGE_WAIT, &mut task).await.is_err() {
            self.ack_task = Some(task);
        }
        Ok(())
    }
}

fn commit(consumer: &Client, offsets: &HashMap<TopicPartition, i64>) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (at, next) in offsets {
        list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*next))?;
    }
    consumer.commit(&list, CommitMode::Sync)
}
