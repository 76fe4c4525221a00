//! The source: assigned partitions, read in batches by time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use audit_core::stage::{Acknowledge, Polled, Source};
use audit_core::{Counters, Offsets, RawBatch, TopicPartition};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::assignment::{self, check_topic_id, check_topic_ids};
use crate::error::{Error, LogEnd};
use crate::ffi::{Client, MessageError, Queue};
use crate::merge::Now;
use crate::progress::{Progress, Trust, to_list};
use crate::reader::{Partition, Reader, now};
use crate::settings::{ASK_TIMEOUT, Settings, check_properties};
use crate::watch::{Known, Report, Watch};

/// How long an epoch waits for the broker to commit its offsets.
const ACKNOWLEDGE_WAIT: Duration = Duration::from_secs(1);

/// How long librdkafka may take to accept a seek: it is done by its own thread, without a broker.
const SEEK_WAIT: Duration = Duration::from_secs(1);
/// How often a seek may be refused: a partition that was just assigned again is stopped first, within milliseconds.
const SEEK_WITHIN: Duration = Duration::from_mins(1);

/// How long the last question before an error may take.
const NAME_WAIT: Duration = Duration::from_secs(5);

/// How many partitions a line of the log names.
const NAMED_MAX: usize = 8;

/// Records from Kafka.
pub struct KafkaSource {
    settings: Settings,
    /// Fetches, and nothing else: what is asked of a broker would wait behind the records that it sends.
    consumer: Arc<Client>,
    /// Asks the brokers, and commits offsets for lag tools.
    control: Arc<Client>,
    events: Queue,
    topic_ids: HashMap<String, String>,
    starts: HashMap<TopicPartition, i64>,
    reader: Reader,
    /// Partitions that wait for a leader since the start.
    waiting: HashSet<TopicPartition>,
    ready: VecDeque<RawBatch>,
    watch: Watch,
    counters: Arc<Counters>,
}

impl KafkaSource {
    /// Connects, finds the partitions and starts to prefetch. Blocks for at most some seconds.
    pub fn connect(settings: Settings, counters: Arc<Counters>) -> Result<Self, Error> {
        check_properties(&settings.properties)?;
        let control = unclosed(settings.client()?);
        let topics: Vec<Arc<str>> = settings.topics.iter().map(|t| Arc::from(t.as_str())).collect();
        // First: of a topic that was created anew, no offset means anything.
        let topic_ids = check_topic_ids(&control, &settings, &settings.topic_ids, ASK_TIMEOUT)?;
        let plan = assignment::plan(&control, &settings, &topics)?;
        let n_partitions = plan.starts.len() + plan.leaderless.len();
        let consumer = unclosed(settings.fetcher(n_partitions, &control)?);
        let events = Queue::of_events(Arc::clone(&consumer))
            .ok_or_else(|| Error::Consumer("librdkafka has no queue of the consumer".to_owned()))?;
        let watch = Watch::start(Known {
            client: Arc::clone(&control),
            fetcher: Arc::clone(&consumer),
            settings: settings.clone(),
            topics: topics.clone(),
            topic_ids: topic_ids.clone(),
            read: plan.starts.keys().cloned().collect(),
            waiting: plan.leaderless.clone(),
        })?;
        let reader = Reader::new(Arc::clone(&consumer), topics, settings.alignment_wait);
        let mut source = Self {
            settings,
            consumer,
            control,
            events,
            topic_ids,
            starts: plan.starts.iter().map(|(at, start)| (at.clone(), start.next)).collect(),
            reader,
            waiting: plan.leaderless,
            ready: VecDeque::new(),
            watch,
            counters,
        };
        for (partition, start) in plan.starts {
            source.reader.add(partition, start.next, Progress::new(&start))?;
        }
        source.assign()?;
        Ok(source)
    }

    /// The handle that commits settled offsets to the broker.
    pub fn acknowledger(&self) -> Acknowledger {
        let consumer = Arc::clone(&self.control);
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
        self.reader.partitions.len()
    }

    /// Sends librdkafka to our position in every partition. All of them, because adding one pauses the others, and
    /// from a pause librdkafka returns to a position of its own.
    fn assign(&mut self) -> Result<(), Error> {
        let list = to_list(self.reader.positions())?;
        self.consumer
            .assign(&list)
            .map_err(|cause| Error::Assign { n_partitions: self.n_partitions(), cause })?;
        for partition in &mut self.reader.partitions {
            partition.progress.assigned();
        }
        Ok(())
    }

    /// Seeks in the partitions that are in doubt. A seek with a leader epoch fetches nothing until the broker has
    /// confirmed that its log holds what was read.
    fn seek(&mut self) -> Result<(), Error> {
        let is_doubted = |(_, progress): &(&TopicPartition, &Progress)| progress.is_doubted();
        if !self.reader.positions().any(|position| is_doubted(&position)) {
            return Ok(());
        }
        let list = to_list(self.reader.positions().filter(is_doubted))?;
        let answers = self.consumer.seek_partitions(list, SEEK_WAIT);
        let elements = answers.iter().flat_map(TopicPartitionList::elements);
        let done: HashSet<(String, i32)> = elements
            .filter(|element| element.error().is_ok())
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        for Partition { at, progress, .. } in &mut self.reader.partitions {
            let Trust::Doubted(since) = progress.trust else { continue };
            if done.contains(&(at.topic.to_string(), at.partition)) {
                progress.trust = Trust::Sought;
            } else if since.elapsed() > SEEK_WITHIN {
                return Err(Error::Seek { partition: at.clone(), offset: progress.next });
            }
        }
        Ok(())
    }

    fn take_reports(&mut self) -> Result<(), Error> {
        let n_before = self.n_partitions();
        while let Some(report) = self.watch.report() {
            match report {
                Report::Failed(error) => return Err(error),
                Report::Partition(partition, start) => {
                    self.waiting.remove(&partition);
                    self.reader.add(partition, start.next, Progress::new(&start))?;
                }
                Report::Ends { ends, asked_at } => {
                    for (partition, end) in ends {
                        self.reader.answered(&partition, end, asked_at);
                    }
                }
            }
        }
        if self.n_partitions() > n_before { self.assign() } else { Ok(()) }
    }

    /// Reads until a batch is full, or for at most `max_wait`.
    fn read(&mut self, max_wait: Duration) -> Result<(), Error> {
        let until = Instant::now() + max_wait;
        loop {
            self.take_reports()?;
            self.seek()?;
            let now = now();
            let is_full = self.reader.read(now).map_err(|error| self.named(error))?;
            if std::mem::take(&mut self.reader.must_assign) {
                self.assign()?;
            }
            if is_full {
                break;
            }
            self.hold(now);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.has_ended() {
                break;
            }
            self.reader.wait(left);
        }
        self.take_events()?;
        // Of what was received, records of a topic that was created anew must not be passed on.
        self.check_notices().map_err(|error| self.named(error))?;
        self.ready.extend(self.reader.gaps.drain(..));
        self.ready.extend(self.reader.close()?);
        Ok(())
    }

    /// Serves librdkafka's events, of which errors are the only ones for us.
    fn take_events(&mut self) -> Result<(), Error> {
        let mut failed = None;
        self.events.receive(usize::MAX, |received| {
            if let Some(MessageError::Other(text)) = received.view().error {
                failed.get_or_insert_with(|| Error::Consumer(text.to_owned()));
            }
        });
        failed.map_or(Ok(()), Err)
    }

    /// Nothing can be read now: asks partitions that hold the others whether they have ended, and goes on without those
    /// that have held them for too long.
    fn hold(&mut self, now: Now) {
        let held = self.reader.hold(now);
        let at = |idx: &usize| self.reader.partitions.get(*idx).map(|partition| &partition.at);
        if !held.ask.is_empty() {
            self.watch.ask(held.ask.iter().filter_map(at).cloned().collect());
        }
        if !held.unaligned.is_empty() {
            Counters::add(&self.counters.alignment_timeouts, held.unaligned.len() as u64);
            let named = held.unaligned.iter().filter_map(at).take(NAMED_MAX);
            let named: Vec<String> = named.map(TopicPartition::to_string).collect();
            tracing::warn!(
                partitions = named.join(", "),
                n_partitions = held.unaligned.len(),
                waited_s = self.settings.alignment_wait.as_secs(),
                "partition is unaligned: it delivered nothing while older records of others waited; \
                 the others are read without it, and its next records may come late for detectors"
            );
        }
        Counters::set(&self.counters.partitions_unaligned, self.reader.n_unaligned() as u64);
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
        let (consumer, settings) = (&self.control, &self.settings);
        if let Err(recreated @ Error::TopicRecreated { .. }) =
            check_topic_ids(consumer, settings, &self.topic_ids, NAME_WAIT)
        {
            return recreated;
        }
        let Error::OffsetGone { partition, offset } = &error else { return error };
        let last = self.reader.positions().find(|(at, _)| *at == partition);
        let last = last.and_then(|(_, progress)| progress.leader_epoch);
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
        self.settings.until_end && self.waiting.is_empty() && self.reader.has_ended()
    }
}

impl Source for KafkaSource {
    fn poll(&mut self, max_wait: Duration) -> Result<Polled, audit_core::Error> {
        self.ready.extend(self.reader.gaps.drain(..));
        if let Some(batch) = self.ready.pop_front() {
            return Ok(Polled::Batch(batch));
        }
        if self.has_ended() {
            return Ok(Polled::Ended);
        }
        self.read(max_wait)?;
        Ok(self.ready.pop_front().map_or(Polled::Idle, Polled::Batch))
    }
}

/// A client that is never closed. Closing waits for every broker thread, up to 45 s if a broker is down, and reports each
/// lost connection again. Nothing depends on it: the offsets that count are in the table, and this
/// consumer is not a member of its group.
fn unclosed(client: Client) -> Arc<Client> {
    let client = Arc::new(client);
    std::mem::forget(Arc::clone(&client));
    client
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
        // The broker refuses a commit of nothing: an epoch without records, as of a plugin that changed.
        let is_busy = self.ack_task.as_ref().is_some_and(|task| !task.is_finished());
        if is_busy || self.unacked.is_empty() {
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
