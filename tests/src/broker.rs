//! The one Kafka node of the test program, and what a test does with it.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::env;
use crate::kafka::Kafka;

/// The largest record that a test sends has 100 MiB, and a request has a head of its own.
const MESSAGE_BYTES_MAX: &str = "125829120";
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A record to send: `None` is a null payload.
pub type Payload = Option<Vec<u8>>;

/// A record with all that Kafka lets a producer say.
#[derive(Debug, Default)]
pub struct Message {
    pub payload: Payload,
    pub key: Option<Vec<u8>>,
    /// Milliseconds since 1970. The client takes 0 for "now".
    pub time: Option<i64>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl From<Payload> for Message {
    fn from(payload: Payload) -> Self {
        Self { payload, ..Self::default() }
    }
}

/// The address of the shared node; the first caller starts it, and it ends with this process.
pub fn brokers() -> Result<String> {
    static NODE: OnceLock<Result<Kafka, String>> = OnceLock::new();
    let node = NODE.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    node.as_ref().map(Kafka::bootstrap).map_err(|error| anyhow!("starting Kafka: {error}"))
}

fn start() -> Result<Kafka> {
    let props = [
        ("message.max.bytes", MESSAGE_BYTES_MAX),
        ("socket.request.max.bytes", MESSAGE_BYTES_MAX),
        ("replica.fetch.max.bytes", MESSAGE_BYTES_MAX),
        // Generated events may have Kafka times of long ago, which the default retention deletes.
        ("log.retention.ms", "-1"),
        // A test waits until a topic is compacted.
        ("log.cleaner.backoff.ms", "500"),
    ];
    Kafka::start(&env::kafka()?, &env::folder("kafka")?, 0, &props)
}

fn client() -> Result<ClientConfig> {
    Ok(client_of(&brokers()?))
}

fn client_of(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("message.max.bytes", MESSAGE_BYTES_MAX);
    config
}

/// Runs one request of the admin client and waits for its answer.
fn administer<T>(
    brokers: &str,
    ask: impl AsyncFnOnce(&AdminClient<DefaultClientContext>, &AdminOptions) -> Result<T, KafkaError>,
) -> Result<T> {
    let admin: AdminClient<DefaultClientContext> = client_of(brokers).create()?;
    let options = AdminOptions::new().operation_timeout(Some(ANSWER_WITHIN));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(ask(&admin, &options))?)
}

/// Deletes a topic with all its records.
pub fn delete_topic(name: &str) -> Result<()> {
    let answers =
        administer(&brokers()?, async |admin, options| admin.delete_topics(&[name], options).await)
            .with_context(|| format!("deleting the topic {name}"))?;
    if let Some(Err((_, code))) = answers.into_iter().next() {
        bail!("deleting the topic {name}: {code}");
    }
    Ok(())
}

/// Deletes the records of partition 0 that stand before an offset, as the topic's retention does.
pub fn delete_records(topic: &str, before: i64) -> Result<()> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(before))?;
    administer(&brokers()?, async |admin, options| admin.delete_records(&list, options).await)
        .with_context(|| format!("deleting records of {topic}"))?;
    Ok(())
}

/// Creates a topic and returns once its partitions have leaders.
pub fn create_topic(name: &str, n_partitions: i32) -> Result<()> {
    let topic = NewTopic::new(name, n_partitions, TopicReplication::Fixed(1));
    create(&brokers()?, &topic, n_partitions)
}

/// [`create_topic`] for records of any time: a node refuses those of the future otherwise.
pub fn create_topic_of_any_time(name: &str, n_partitions: i32) -> Result<()> {
    create_topic_with(
        name,
        n_partitions,
        &[("message.timestamp.after.max.ms", "9223372036854775807")],
    )
}

/// [`create_topic`] with settings of the topic.
pub fn create_topic_with(name: &str, n_partitions: i32, settings: &[(&str, &str)]) -> Result<()> {
    let topic = NewTopic::new(name, n_partitions, TopicReplication::Fixed(1));
    let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    create(&brokers()?, &topic, n_partitions)
}

/// Adds partitions to a topic until it has so many.
pub fn add_partitions(name: &str, n_partitions: usize) -> Result<()> {
    let more = NewPartitions::new(name, n_partitions);
    let answers = administer(&brokers()?, async |admin, options| {
        admin.create_partitions([&more], options).await
    })
    .with_context(|| format!("adding partitions to {name}"))?;
    if let Some(Err((_, code))) = answers.into_iter().next() {
        bail!("adding partitions to {name}: {code}");
    }
    Ok(())
}

/// Creates a topic in another cluster, with its partitions on these nodes.
pub fn create_topic_on(brokers: &str, name: &str, nodes: &[i32]) -> Result<()> {
    let replicas: Vec<&[i32]> = nodes.iter().map(std::slice::from_ref).collect();
    let n_partitions = i32::try_from(nodes.len())?;
    let topic = NewTopic::new(name, n_partitions, TopicReplication::Variable(&replicas));
    create(brokers, &topic, n_partitions)
}

fn create(brokers: &str, topic: &NewTopic<'_>, n_partitions: i32) -> Result<()> {
    let name = topic.name;
    let answers =
        administer(brokers, async |admin, options| admin.create_topics([topic], options).await)
            .with_context(|| format!("creating the topic {name}"))?;
    if let Some(Err((_, code))) = answers.into_iter().next() {
        bail!("creating the topic {name}: {code}");
    }
    let deadline = Instant::now() + ANSWER_WITHIN;
    loop {
        match ends(&client_of(brokers), name, n_partitions) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {}
        }
    }
}

/// For each partition the offset that the next record gets.
pub fn watermarks(topic: &str, n_partitions: i32) -> Result<Vec<i64>> {
    ends(&client()?, topic, n_partitions)
}

/// Where a reader finds a record now, as (partition, offset): not what was compacted, aborted, or is not committed.
pub fn readable(brokers: &str, topic: &str, n_partitions: i32) -> Result<BTreeSet<(i64, i64)>> {
    let mut config = client_of(brokers);
    config.set("group.id", "readable").set("isolation.level", "read_committed");
    config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..n_partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let (mut found, mut at_end) = (BTreeSet::new(), BTreeSet::new());
    let deadline = Instant::now() + ANSWER_WITHIN;
    while at_end.len() < list.count() {
        ensure!(Instant::now() < deadline, "{topic}: only {at_end:?} were read to their end");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                found.insert((record.partition().into(), record.offset()));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                at_end.insert(partition);
            }
            Some(Err(error)) => bail!("reading {topic}: {error}"),
            None => {}
        }
    }
    Ok(found)
}

fn ends(client: &ClientConfig, topic: &str, n_partitions: i32) -> Result<Vec<i64>> {
    let consumer: BaseConsumer = client.create()?;
    let end = |partition| {
        let (_, end) = consumer
            .fetch_watermarks(topic, partition, ANSWER_WITHIN)
            .with_context(|| format!("reading the offsets of {topic}[{partition}]"))?;
        Ok(end)
    };
    (0..n_partitions).map(end).collect()
}

/// Sends records in order and waits until the node has them all.
pub fn send(topic: &str, records: impl IntoIterator<Item = (i32, Payload)>) -> Result<()> {
    send_to(&brokers()?, topic, records)
}

/// [`send`] to another cluster.
pub fn send_to(
    brokers: &str,
    topic: &str,
    records: impl IntoIterator<Item = (i32, Payload)>,
) -> Result<()> {
    send_all(brokers, topic, records.into_iter().map(|(at, payload)| (at, payload.into())))
}

/// [`send`] for records with more than a payload.
pub fn send_messages(topic: &str, records: impl IntoIterator<Item = (i32, Message)>) -> Result<()> {
    send_all(&brokers()?, topic, records)
}

/// [`send_messages`] to another cluster.
pub fn send_all(
    brokers: &str,
    topic: &str,
    records: impl IntoIterator<Item = (i32, Message)>,
) -> Result<()> {
    let mut config = client_of(brokers);
    config.set("enable.idempotence", "true").set("queue.buffering.max.kbytes", "1048576");
    let producer: BaseProducer = config.create()?;
    for (partition, message) in records {
        queue(&producer, topic, partition, &message)?;
    }
    producer.flush(ANSWER_WITHIN * 2).with_context(|| format!("sending to {topic}"))?;
    ensure!(producer.in_flight_count() == 0, "the node did not take all records of {topic}");
    Ok(())
}

/// Hands a record to a producer; waits while its queue is full.
fn queue(producer: &BaseProducer, topic: &str, partition: i32, message: &Message) -> Result<()> {
    let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition);
    record.payload = message.payload.as_deref();
    record.key = message.key.as_deref();
    record.timestamp = message.time;
    if !message.headers.is_empty() {
        let add = |all: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
            all.insert(Header { key, value: value.as_ref() })
        };
        record.headers = Some(message.headers.iter().fold(OwnedHeaders::new(), add));
    }
    while let Err((error, back)) = producer.send(record) {
        let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
        ensure!(error == full, "sending to {topic}: {error}");
        producer.poll(Duration::from_millis(20));
        record = back;
    }
    Ok(())
}

/// Sends to a topic again and again: a connection takes longer than a record.
pub struct Sender {
    producer: BaseProducer,
    topic: String,
}

impl Sender {
    pub fn connect(topic: &str) -> Result<Self> {
        let mut config = client()?;
        config.set("enable.idempotence", "true");
        Ok(Self { producer: config.create()?, topic: topic.to_owned() })
    }

    /// Sends records in order and waits until the node has them all.
    pub fn send(&self, records: impl IntoIterator<Item = (i32, Message)>) -> Result<()> {
        for (partition, message) in records {
            queue(&self.producer, &self.topic, partition, &message)?;
        }
        self.producer.flush(ANSWER_WITHIN).with_context(|| format!("sending to {}", self.topic))
    }
}

/// Records that readers see once they are committed. Dropping it leaves them open.
pub struct Transaction {
    producer: BaseProducer,
    topic: String,
}

impl Transaction {
    /// Begins a transaction; `name` is that of its producer.
    pub fn begin(topic: &str, name: &str) -> Result<Self> {
        let mut config = client()?;
        config.set("transactional.id", name).set("transaction.timeout.ms", "300000");
        let producer: BaseProducer = config.create()?;
        producer.init_transactions(ANSWER_WITHIN)?;
        producer.begin_transaction()?;
        Ok(Self { producer, topic: topic.to_owned() })
    }

    /// Sends records and waits until the node has them all.
    pub fn send(&self, records: impl IntoIterator<Item = (i32, Message)>) -> Result<()> {
        for (partition, message) in records {
            queue(&self.producer, &self.topic, partition, &message)?;
        }
        self.producer.flush(ANSWER_WITHIN).context("sending in a transaction")
    }

    pub fn commit(self) -> Result<()> {
        self.producer.commit_transaction(ANSWER_WITHIN).context("committing a transaction")
    }

    pub fn abort(self) -> Result<()> {
        self.producer.abort_transaction(ANSWER_WITHIN).context("aborting a transaction")
    }
}
