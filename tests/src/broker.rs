//! The one Kafka node of the test program, and what a test does with it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::env;
use crate::kafka::Kafka;

/// The largest record that a test sends has 100 MiB, and a request has a head of its own.
const MESSAGE_BYTES_MAX: &str = "125829120";
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A record to send: `None` is a null payload.
pub type Payload = Option<Vec<u8>>;

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
    let mut config = client_of(brokers);
    config.set("enable.idempotence", "true").set("queue.buffering.max.kbytes", "1048576");
    let producer: BaseProducer = config.create()?;
    for (partition, payload) in records {
        let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition);
        record.payload = payload.as_deref();
        while let Err((error, back)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            ensure!(error == full, "sending to {topic}: {error}");
            producer.poll(Duration::from_millis(20));
            record = back;
        }
    }
    producer.flush(ANSWER_WITHIN * 2).with_context(|| format!("sending to {topic}"))?;
    ensure!(producer.in_flight_count() == 0, "the node did not take all records of {topic}");
    Ok(())
}
