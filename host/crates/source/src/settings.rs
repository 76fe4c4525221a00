//! How to reach Kafka.

use std::collections::HashMap;
use std::time::Duration;

use audit_core::{LeaderEpoch, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::error::Error;
use crate::properties::Properties;

/// How long a request to the brokers may take at the start. A broker that is starting up answers within
/// seconds; a wrong address never does.
pub(crate) const ASK_TIMEOUT: Duration = Duration::from_secs(15);

/// What is prefetched, over all partitions. One whose records come in runs is read alone while all others wait, so up
/// to 1 MiB for one may make it twice as much; and the least for one.
const PREFETCH_KIB: usize = 8192;
const PREFETCH_KIB_OF_ONE: usize = 1024;
const PREFETCH_KIB_MIN: usize = 128;
/// What one fetch may bring of one partition, compressed: several times as much in memory. A batch that is larger comes
/// by itself.
const FETCH_BYTES: (usize, usize) = (128 << 10, 1 << 20);

/// How long a broker may hold a fetch that finds nothing. There is one fetch at a time for each broker, so while it waits
/// at the ends of some partitions, it brings nothing of those with a backlog: 5 ms are as much as these can bridge
/// with what is prefetched. Of very many partitions each fetch is a lot of work for a broker.
fn fetch_wait_ms(n_partitions: usize) -> usize {
    (n_partitions / 20).clamp(5, 50)
}

/// Where to start in a partition for which the table has no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
}

/// The settings of the source.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port[,host:port]`.
    pub brokers: String,
    pub topics: Vec<String>,
    pub group: String,
    pub start: Start,
    /// The offset to read next of every partition for which the table has one.
    pub resume: HashMap<TopicPartition, i64>,
    /// Which leader wrote the last record before these offsets.
    pub leader_epochs: HashMap<TopicPartition, LeaderEpoch>,
    /// Kafka's id of every topic whose offsets the table holds.
    pub topic_ids: HashMap<String, String>,
    /// End when every partition is read up to where it ended at the start.
    pub until_end: bool,
    /// How long a partition that delivers nothing may hold older records of the others.
    pub alignment_wait: Duration,
    /// Skip records that Kafka has deleted, instead of stopping.
    pub continue_on_gap: bool,
    /// Further librdkafka properties, for example `security.protocol`.
    pub properties: Properties,
}

impl Settings {
    /// Whether the table has an offset of any partition of the topic: then a partition without one was added
    /// since, and all of its records are new.
    pub(crate) fn knows_topic(&self, partition: &TopicPartition) -> bool {
        self.resume.keys().any(|known| known.topic == partition.topic)
    }

    /// No broker has answered.
    pub(crate) fn unreachable(&self, topic: &str, waited: Duration, cause: KafkaError) -> Error {
        let (brokers, topic, waited_s) = (self.brokers.clone(), topic.to_owned(), waited.as_secs());
        Error::Unreachable { brokers, topic, waited_s, cause }
    }

    pub(crate) fn client_config(&self, n_partitions: usize) -> ClientConfig {
        // Each partition has a queue of its own, to which these limits apply.
        let share = PREFETCH_KIB / n_partitions.max(1);
        let share = share.max((share * 2).min(PREFETCH_KIB_OF_ONE)).max(PREFETCH_KIB_MIN);
        let (least, most) = FETCH_BYTES;
        let fetch_bytes = (share * 1024 / 4).clamp(least, most);
        let mut config = base_config(&self.brokers);
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // An offset that Kafka has deleted must be an error, not a jump.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            // Reports the end of a partition, transaction markers included.
            .set("enable.partition.eof", "true")
            .set("check.crcs", "true")
            // At the default of 1 s a full prefetch queue costs two thirds of the throughput.
            .set("fetch.queue.backoff.ms", "2")
            .set("fetch.wait.max.ms", fetch_wait_ms(n_partitions).to_string())
            // Prefetch: 8 MiB keep one core busy for 25 ms; more only fills memory and caches. A response is
            // decompressed as a whole, so it is bounded too.
            .set("queued.min.messages", "20000")
            .set("queued.max.messages.kbytes", share.to_string())
            .set("fetch.message.max.bytes", fetch_bytes.to_string())
            .set("fetch.max.bytes", "4194304")
            // A record may be as large as the broker allows: the decoder rejects it, not the client, which
            // would stop at it forever.
            .set("receive.message.max.bytes", "1000000000");
        self.properties.apply(&mut config);
        config
    }
}

/// The configuration that consumers and producers share.
pub(crate) fn base_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "audit-host")
        // While batches are read, librdkafka would print to standard error, past the log.
        .set_log_level(RDKafkaLogLevel::Emerg);
    // An OpenSSL that is built in does not know where this system keeps its authorities.
    #[cfg(feature = "tls-vendored")]
    config.set("ssl.ca.location", "probe");
    config
}

/// Rejects properties by which the offsets of the table would no longer decide what is read.
pub(crate) fn check_properties(properties: &Properties) -> Result<(), Error> {
    const OURS: [&str; 11] = [
        "bootstrap.servers",
        "metadata.broker.list",
        "group.id",
        "group.instance.id",
        "enable.auto.commit",
        "auto.commit.enable",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "isolation.level",
        "enable.partition.eof",
        "debug",
    ];
    match properties.names().find(|key| OURS.contains(key)) {
        Some(key) => Err(Error::ReservedProperty(key.to_owned())),
        None => Ok(()),
    }
}
