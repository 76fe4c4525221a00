//! What can go wrong between us and Kafka.

use audit_core::{Kind, TopicPartition};
use rdkafka::error::KafkaError;

/// An error of this crate. Messages name brokers, topics and offsets; never a payload or a password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "setting up the Kafka client: {0}: check [kafka.properties] (TLS and SASL need a program built \
         with `--features tls`)"
    )]
    Client(String),
    #[error(
        "[kafka.properties] sets {0}, which audit-host sets itself: remove the key (brokers, group and \
         start have flags of their own)"
    )]
    ReservedProperty(String),
    #[error(
        "asking the brokers at {brokers} about topic {topic} (waited {waited_s} s): check --brokers \
         and that the broker runs"
    )]
    Unreachable {
        brokers: String,
        topic: String,
        waited_s: u64,
        #[source]
        cause: KafkaError,
    },
    #[error("topic {topic} does not exist at the brokers {brokers}: create it, or correct --topic")]
    NoSuchTopic { topic: String, brokers: String },
    #[error("reading the offsets of {partition}")]
    Watermarks {
        partition: TopicPartition,
        #[source]
        cause: KafkaError,
    },
    #[error(
        "{partition}: the table ends at offset {wanted}, but Kafka's oldest record is {oldest}: \
         {missing} offsets were deleted before they were read; to go on without them and record the \
         gap in the table, pass --on-gap continue"
    )]
    Gap { partition: TopicPartition, wanted: i64, oldest: i64, missing: i64 },
    #[error(
        "{partition}: the table ends at offset {wanted}, but the topic ends at {newest}: the topic \
         was deleted and created again, or these are not the brokers that filled the table; use \
         another --group for a new topic"
    )]
    TopicIsNewer { partition: TopicPartition, wanted: i64, newest: i64 },
    #[error(
        "topic {topic} has the id {found}, but the table was filled from the topic {known}: it was \
         deleted and created again, so that its offsets mean other records; use another --group for the \
         new topic"
    )]
    TopicRecreated { topic: String, known: String, found: String },
    #[error("asking the brokers for the id of topic {topic}: {problem}")]
    TopicId { topic: String, problem: String },
    #[error("assigning {n_partitions} partitions")]
    Assign {
        n_partitions: usize,
        #[source]
        cause: KafkaError,
    },
    #[error("reading {partition}: {message}")]
    Read { partition: TopicPartition, message: String },
    #[error("reading from Kafka: {0}")]
    Consumer(String),
    #[error("starting the embedded broker")]
    Embedded(#[source] KafkaError),
    #[error("creating topic {topic}")]
    CreateTopic {
        topic: String,
        #[source]
        cause: KafkaError,
    },
    #[error("sending to topic {topic}")]
    Send {
        topic: String,
        #[source]
        cause: KafkaError,
    },
    #[error("{failed} of {sent} records were not delivered to topic {topic}: {first}")]
    Undelivered { topic: String, failed: u64, sent: u64, first: String },
}

impl Error {
    /// A refused configuration. librdkafka's error repeats the value, which may be a password whose key
    /// was misspelt: only the key and the reason are kept.
    pub(crate) fn client(error: KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, reason, key, _) => {
                let reason =
                    reason.split('"').next().unwrap_or_default().trim_end_matches([' ', ':']);
                Self::Client(format!("{key}: {reason}"))
            }
            KafkaError::ClientCreation(reason) => Self::Client(reason),
            other => Self::Client(other.to_string()),
        }
    }
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Client(_) | Error::ReservedProperty(_) | Error::NoSuchTopic { .. } => {
                Kind::Config
            }
            _ => Kind::Failed,
        };
        let attempted = match &error {
            Error::CreateTopic { .. } | Error::Send { .. } | Error::Undelivered { .. } => {
                "writing to Kafka"
            }
            _ => "reading from Kafka",
        };
        Self::caused_by(kind, "AH-0200", attempted, error)
    }
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        "AH-0200"
    }

    /// What the program must do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Client(_) | Self::ReservedProperty(_) | Self::NoSuchTopic { .. } => Kind::Config,
            _ => Kind::Failed,
        }
    }
}
