//! The source: assigned partitions, read in batches.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use audit_core::stage::{Acknowledge, Polled, Source};
use audit_core::{Offsets, RawBatch, Span, TopicPartition};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::assignment::{self, Assignment};
use crate::error::Error;
use crate::ffi::{BatchQueue, Message, MessageError};
use crate::settings::{Settings, check_properties};

/// Payload bytes of one batch: bounds the memory of a batch of large records, and keeps every column of it far
/// below the 2 GiB that Arrow's text columns can hold.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// How often to check for partitions that were added to a topic.
const NEW_PARTITIONS_EVERY: Duration = Duration::from_mins(1);

/// How long an epoch waits for the broker to commit its offsets.
const ACKNOWLEDGE_WAIT: Duration = Duration::from_secs(1);

/// Records from Kafka.
pub struct KafkaSource {
    settings: Settings,
    consumer: Arc<BaseConsumer>,
    queue: BatchQueue,
    topics: Vec<Arc<str>>,
    topic_ids: HashMap<String, String>,
    assignment: Assignment,
    ready: VecDeque<RawBatch>,
    looked_for_partitions: Instant,
}

impl KafkaSource {
    /// Connects, finds the partitions and starts to prefetch. Blocks for at most some seconds.
    pub fn connect(settings: Settings) -> Result<Self, Error> {
        check_properties(&settings.properties)?;
        let consumer: BaseConsumer = settings.client_config().create().map_err(Error::client)?;
        let consumer = Arc::new(consumer);
        // Never closed. Closing waits for every broker thread, up to 45 s if a broker is down, and reports each
        // lost connection again. Nothing depends on it: the offsets that count are in the table, and this
        // consumer is not a member of its group.
        std::mem::forget(Arc::clone(&consumer));
        let topics: Vec<Arc<str>> = settings.topics.iter().map(|t| Arc::from(t.as_str())).collect();
        let assignment = assignment::plan(&consumer, &settings, &topics)?;
        let topic_ids = assignment::check_topic_ids(&consumer, &settings)?;
        consumer
            .assign(&assignment::to_list(&assignment)?)
            .map_err(|cause| Error::Assign { n_partitions: assignment.len(), cause })?;
        let queue = BatchQueue::of(Arc::clone(&consumer))
            .ok_or_else(|| Error::Consumer("librdkafka has no queue of the consumer".to_owned()))?;
        let ready = VecDeque::new();
        let looked_for_partitions = Instant::now();
        Ok(Self {
            settings,
            consumer,
            queue,
            topics,
            topic_ids,
            assignment,
            ready,
            looked_for_partitions,
        })
    }

    /// The handle that commits settled offsets to the broker.
    pub fn acknowledger(&self) -> Acknowledger {
        let consumer = Arc::clone(&self.consumer);
        Acknowledger { consumer, unacked: HashMap::new(), ack_task: None }
    }

    /// The offset up to which each partition is covered.
    pub fn starts(&self) -> HashMap<TopicPartition, i64> {
        self.assignment.iter().map(|(at, progress)| (at.clone(), progress.next)).collect()
    }

    /// Kafka's ids of the topics, where the broker has any.
    pub fn topic_ids(&self) -> &HashMap<String, String> {
        &self.topic_ids
    }

    /// The number of partitions that are read.
    pub fn n_partitions(&self) -> usize {
        self.assignment.len()
    }

    fn fetch(&mut self, max_wait: Duration) -> Result<(), Error> {
        let mut sorter = Sorter {
            topics: &self.topics,
            assignment: &mut self.assignment,
            ready: &mut self.ready,
            failed: None,
        };
        self.queue.consume(max_wait, |message| sorter.take(message));
        sorter.failed.map_or(Ok(()), Err)
    }

    fn has_ended(&self) -> bool {
        self.settings.until_end
            && self.assignment.values().all(|read| read.at_end || read.next >= read.end)
    }

    /// A partition that was added later is read from its beginning, regardless of `--start`: all of its records
    /// were written after the start.
    fn look_for_partitions(&mut self) -> Result<(), Error> {
        if self.looked_for_partitions.elapsed() < NEW_PARTITIONS_EVERY {
            return Ok(());
        }
        self.looked_for_partitions = Instant::now();
        let mut added = Assignment::new();
        for topic in &self.topics {
            let found = match assignment::partitions(&self.consumer, &self.settings, topic) {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%error, "could not check for new partitions");
                    continue;
                }
            };
            for partition in found {
                let partition = TopicPartition::new(topic, partition);
                if !self.assignment.contains_key(&partition) {
                    tracing::info!(%partition, "reading a new partition");
                    let progress = assignment::start_of_new(&self.consumer, &partition)?;
                    added.insert(partition, progress);
                }
            }
        }
        if !added.is_empty() {
            self.consumer
                .incremental_assign(&assignment::to_list(&added)?)
                .map_err(|cause| Error::Assign { n_partitions: added.len(), cause })?;
            self.assignment.extend(added);
        }
        Ok(())
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
        self.look_for_partitions()?;
        self.fetch(max_wait)?;
        Ok(self.ready.pop_front().map_or(Polled::Idle, Polled::Batch))
    }
}

/// Sorts the messages of librdkafka into batches of one topic each, and tracks the positions.
struct Sorter<'a> {
    topics: &'a [Arc<str>],
    assignment: &'a mut Assignment,
    ready: &'a mut VecDeque<RawBatch>,
    failed: Option<Error>,
}

impl Sorter<'_> {
    fn take(&mut self, message: &Message<'_>) {
        if self.failed.is_some() {
            return;
        }
        if let Err(error) = self.sort(message) {
            self.failed = Some(error);
        }
    }

    fn sort(&mut self, message: &Message<'_>) -> Result<(), Error> {
        let Some(topic) = self.topics.iter().find(|topic| ***topic == *message.topic) else {
            return match &message.error {
                Some(MessageError::Other(text)) => Err(Error::Consumer((*text).to_owned())),
                _ => Ok(()),
            };
        };
        let partition = TopicPartition::new(topic, message.partition);
        let Some(progress) = self.assignment.get_mut(&partition) else { return Ok(()) };
        match &message.error {
            None => {}
            Some(MessageError::PartitionEnd) => {
                progress.at_end = true;
                if message.offset <= progress.next {
                    return Ok(());
                }
            }
            Some(MessageError::OffsetOutOfRange) => {
                return Err(Error::OffsetGone { partition, offset: progress.next });
            }
            Some(MessageError::Other(text)) => {
                return Err(Error::Read { partition, message: (*text).to_owned() });
            }
        }
        self.append(topic, partition, message)
    }

    /// Adds a record (or the end of a partition, which covers offsets without a record).
    fn append(
        &mut self,
        topic: &Arc<str>,
        partition: TopicPartition,
        message: &Message<'_>,
    ) -> Result<(), Error> {
        let Some(progress) = self.assignment.get_mut(&partition) else { return Ok(()) };
        if message.offset < progress.next {
            // Fetched before a seek; it is covered already.
            return Ok(());
        }
        let is_record = message.error.is_none();
        let next = message.offset + i64::from(is_record);
        let span = Span { start: progress.next, next, records: u64::from(is_record) };
        progress.next = next;
        progress.at_end &= !is_record;

        // Records of several topics come interleaved: each topic has an open batch of its own.
        let open = self
            .ready
            .iter_mut()
            .rfind(|batch| batch.topic == *topic)
            .filter(|batch| batch.bytes.len() + message.payload.len() <= BATCH_BYTES_MAX);
        let batch = match open {
            Some(batch) => batch,
            None => self.ready.push_back_mut(RawBatch::empty(Arc::clone(topic))),
        };
        if is_record {
            batch.push(message.partition, message.offset, message.timestamp_ms, message.payload);
        }
        batch
            .covered
            .cover(partition.clone(), span)
            .map_err(|gap| Error::Read { partition, message: gap.to_string() })
    }
}

/// Commits settled offsets to the consumer group, for tools that show lag.
pub struct Acknowledger {
    consumer: Arc<BaseConsumer>,
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

fn commit(
    consumer: &BaseConsumer,
    offsets: &HashMap<TopicPartition, i64>,
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (at, next) in offsets {
        list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*next))?;
    }
    consumer.commit(&list, CommitMode::Sync)
}
