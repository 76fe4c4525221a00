//! How to reach Kafka.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use audit_core::{LeaderEpoch, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::error::Error;
use crate::ffi::{Client, DEBUG_CONTEXT, Notices};

/// How long a request to the brokers may take at the start. A broker that is starting up answers within
/// seconds; a wrong address never does.
pub(crate) const ASK_TIMEOUT: Duration = Duration::from_secs(15);

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
    /// Skip records that Kafka has deleted, instead of stopping.
    pub continue_on_gap: bool,
    /// Further librdkafka properties, for example `security.protocol`.
    pub properties: BTreeMap<String, String>,
}

impl Settings {
    /// Whether the table has an offset of any partition of the topic: then a partition without one was added
    /// since, and all of its records are new.
    pub(crate) fn knows_topic(&self, partition: &TopicPartition) -> bool {
        self.resume.keys().any(|known| known.topic == partition.topic)
    }

    /// A client that notices when a topic has another id.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let mut config = self.client_config();
        config.set("debug", DEBUG_CONTEXT).set_log_level(RDKafkaLogLevel::Debug);
        config.create_with_context(Notices::default()).map_err(Error::client)
    }

    fn client_config(&self) -> ClientConfig {
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
            // 10 ms: at the default of 1 s a full prefetch queue costs two thirds of the throughput.
            .set("fetch.queue.backoff.ms", "10")
            // Prefetch: 8 MiB keep one core busy for 25 ms; more only fills memory and caches. A response is
            // decompressed as a whole, so it is bounded too.
            .set("queued.min.messages", "20000")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.max.bytes", "4194304")
            // A record may be as large as the broker allows: the decoder rejects it, not the client, which
            // would stop at it forever.
            .set("receive.message.max.bytes", "1000000000");
        for (key, value) in &self.properties {
            config.set(key, value);
        }
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
    config
}

/// Rejects properties by which the offsets of the table would no longer decide what is read.
pub(crate) fn check_properties(properties: &BTreeMap<String, String>) -> Result<(), Error> {
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
    match properties.keys().find(|key| OURS.contains(&key.as_str())) {
        Some(key) => Err(Error::ReservedProperty(key.clone())),
        None => Ok(()),
    }
}
