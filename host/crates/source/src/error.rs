//! What can go wrong between the host and Kafka.

use std::fmt;
use std::path::PathBuf;

use audit_core::{Kind, TopicPartition};
use rdkafka::error::KafkaError;

/// Where the log of a leader epoch ends, if the broker says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd(pub Option<i64>);

impl fmt::Display for LogEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(end) => write!(f, "Kafka's log of that epoch ends at {end}"),
            None => f.write_str("Kafka's log no longer has that epoch"),
        }
    }
}

/// An error of this crate. Messages name brokers, topics and offsets; never a payload or a password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kafka client rejects its configuration.
    ///
    /// Cause: `[kafka.properties]` has a property that librdkafka does not know, a value that it does not accept, or
    /// a file that it cannot read. There is no Kerberos (`GSSAPI`) and no `sasl.oauthbearer.method = "oidc"`.
    ///
    /// Remedy: correct or remove the property. [Connecting to a secured Kafka](operations/secured-kafka.md).
    #[error("setting up the Kafka client: {0}: check [kafka.properties]")]
    Client(String),
    /// A property is reserved.
    ///
    /// Cause: `[kafka.properties]` sets a property on which exactly-once delivery depends, or one that has a
    /// flag of its own.
    ///
    /// Remedy: remove it; brokers, group and start have flags.
    #[error(
        "[kafka.properties] sets {0}, which audit-host sets itself: remove the key (brokers, group and \
         start have flags of their own)"
    )]
    ReservedProperty(String),
    /// The brokers do not answer.
    ///
    /// Cause: the address is wrong, the broker is down, or it rejects the connection. Lines of librdkafka
    /// before this one say more.
    ///
    /// Remedy: check `--brokers`, the broker, and the broker's log.
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
    /// The topic does not exist.
    ///
    /// Cause: there is no such topic, or the user may not see it.
    ///
    /// Remedy: create it, or correct `--topic`.
    #[error("topic {topic} does not exist at the brokers {brokers}: create it, or correct --topic")]
    NoSuchTopic { topic: String, brokers: String },
    /// The offsets of a partition cannot be read.
    ///
    /// Cause: the broker does not answer, or rejects the request.
    ///
    /// Remedy: check the broker's log, then start again.
    #[error("reading the offsets of {partition}")]
    Watermarks {
        partition: TopicPartition,
        #[source]
        cause: KafkaError,
    },
    /// Records were deleted before they were read.
    ///
    /// Cause: the topic's retention is shorter than the time that audit-host was down or behind.
    ///
    /// Remedy: restore the records if possible; otherwise pass `--on-gap continue`, which records the gap in
    /// the table.
    #[error(
        "{partition}: the table ends at offset {wanted}, but Kafka's oldest record is {oldest}: \
         {missing} offsets were deleted before they were read; to go on without them and record the \
         gap in the table, pass --on-gap continue"
    )]
    Gap { partition: TopicPartition, wanted: i64, oldest: i64, missing: i64 },
    /// The topic ends before the offset to read next.
    ///
    /// Cause: the topic was deleted and created again, or these are not the brokers that filled the table.
    ///
    /// Remedy: correct `--brokers`; for a new topic use a new `--table` and a new `--group`: in this table two records
    /// would have the same position.
    #[error(
        "{partition}: the table ends at offset {wanted}, but the topic ends at {newest}: the topic \
         was deleted and created again, or these are not the brokers that filled the table; read a \
         new topic into a new --table with a new --group"
    )]
    TopicIsNewer { partition: TopicPartition, wanted: i64, newest: i64 },
    /// The topic was recreated.
    ///
    /// Cause: the topic was deleted and created again since the table was filled: it has another topic id, and
    /// its offsets mean other records.
    ///
    /// Remedy: use a new `--table` and a new `--group` for the new topic: in this table two records would have the same
    /// position.
    #[error(
        "topic {topic} has the id {found}, but the table was filled from the topic {known}: it was \
         deleted and created again, so that its offsets mean other records; read the new topic into a new \
         --table with a new --group"
    )]
    TopicRecreated { topic: String, known: String, found: String },
    /// The id of a topic cannot be read.
    ///
    /// Cause: the broker does not answer, or rejects the request.
    ///
    /// Remedy: check the broker's log, then start again.
    #[error("asking the brokers for the id of topic {topic}: {problem}")]
    TopicId { topic: String, problem: String },
    /// The partitions cannot be assigned.
    ///
    /// Cause: librdkafka rejects the assignment.
    ///
    /// Remedy: by the cause that follows; if it happens again, report it.
    #[error("assigning {n_partitions} partitions")]
    Assign {
        n_partitions: usize,
        #[source]
        cause: KafkaError,
    },
    /// A partition cannot be read.
    ///
    /// Cause: an error of the broker or of librdkafka, in librdkafka's words.
    ///
    /// Remedy: by those words; then start again.
    #[error("reading {partition}: {message}")]
    Read { partition: TopicPartition, message: String },
    /// The next offset no longer exists.
    ///
    /// Cause: the topic's retention deleted it, or the topic was recreated, while audit-host was reading.
    ///
    /// Remedy: start again: the start reports what is missing.
    #[error(
        "reading {partition}: offset {offset} no longer exists: the topic's retention deleted it, or the \
         topic was recreated; start again to see what is missing"
    )]
    OffsetGone { partition: TopicPartition, offset: i64 },
    /// Kafka cannot be read.
    ///
    /// Cause: an error of the broker or of librdkafka that concerns no single partition, in librdkafka's words.
    ///
    /// Remedy: by those words; then start again.
    #[error("reading from Kafka: {0}")]
    Consumer(String),
    /// The log of a partition was truncated.
    ///
    /// Cause: Kafka lost records that the table has, and has other records at their offsets or will have: a replica
    /// that was behind became the leader (`unclean.leader.election.enable`), or a broker came back without its disk.
    ///
    /// Remedy: find the cause in the broker's log. The rows in the table are right. For what Kafka has now, use a new
    /// `--table` and a new `--group`: in this table two records would have the same position.
    #[error(
        "{partition}: the table ends at offset {offset}, written by the leader of epoch {epoch}, but {end}: \
         Kafka has lost records that the table has, and other records stand at their offsets (an unclean leader \
         election, or a broker that lost its disk); see the broker's log, and read what Kafka has now into a \
         new --table with a new --group"
    )]
    LogTruncated { partition: TopicPartition, offset: i64, epoch: i32, end: LogEnd },
    /// A partition has no leader.
    ///
    /// Cause: every broker with a replica of the partition is down. A run without `--until-end` goes on with the other
    /// partitions and waits.
    ///
    /// Remedy: bring the broker back, then start again.
    #[error(
        "{partition} has no leader for {waited_s} s, so that --until-end cannot be reached: bring the broker back \
         that has the partition, then start again"
    )]
    NoLeader { partition: TopicPartition, waited_s: u64 },
    /// A position is not accepted.
    ///
    /// Cause: librdkafka refuses to go to an offset for a minute.
    ///
    /// Remedy: start again; if it happens again, report it.
    #[error(
        "going to offset {offset} of {partition}: librdkafka refused for a minute; start again"
    )]
    Seek { partition: TopicPartition, offset: i64 },
    /// A thread cannot be started.
    ///
    /// Cause: the process has as many threads as it may have.
    ///
    /// Remedy: raise the limit of threads (`ulimit -u`, or the container's limit of processes).
    #[error("starting the thread that looks at the topics: raise the limit of threads (ulimit -u)")]
    Thread {
        #[source]
        cause: std::io::Error,
    },
    /// The broker refuses the login.
    ///
    /// Cause: name or password is wrong, the token is not accepted, or the broker does not have the mechanism; the
    /// message has the broker's words.
    ///
    /// Remedy: correct `sasl.mechanism`, `sasl.username` and the secret. A running program says it in its log, and tries
    /// again. [Connecting to a secured Kafka](operations/secured-kafka.md).
    #[error(
        "the broker {broker} refuses the login: {words}: check sasl.mechanism, sasl.username and the password or token \
         in [kafka.properties]"
    )]
    Login { broker: String, words: String },
    /// The broker's certificate is not accepted.
    ///
    /// Cause: it has expired, is for another host, or was issued by an authority that this program does not trust; the
    /// message says which.
    ///
    /// Remedy: as the message says. `ssl.ca.location` names the certificates of authorities; without it those of the
    /// system are trusted.
    #[error("the certificate of the broker {broker} is not accepted: {problem}")]
    Certificate { broker: String, problem: String },
    /// The broker does not accept our certificate.
    ///
    /// Cause: the broker demands a certificate of its clients, and none is configured, or it has expired, or the
    /// broker does not trust who issued it.
    ///
    /// Remedy: set `ssl.certificate.location` and `ssl.key.location`; the broker's log says what it dislikes.
    #[error(
        "the broker {broker} {problem}: set ssl.certificate.location and ssl.key.location in [kafka.properties] to a \
         certificate that the broker trusts, and its key"
    )]
    ClientCertificate { broker: String, problem: String },
    /// The broker speaks another protocol.
    ///
    /// Cause: `security.protocol` does not fit to the port: TLS without a login, a login without TLS, or neither.
    ///
    /// Remedy: correct `security.protocol`, or the port in `--brokers`.
    #[error("the broker {broker} {problem}")]
    Protocol { broker: String, problem: &'static str },
    /// TLS fails.
    ///
    /// Cause: the two sides have no version or cipher in common, or the connection breaks; the message has OpenSSL's
    /// words.
    ///
    /// Remedy: by these words, and by the broker's log.
    #[error("TLS with the broker {broker} fails: {words}; the broker's log may say more")]
    Handshake { broker: String, words: String },
    /// The token cannot be used.
    ///
    /// Cause: the file of `sasl.oauthbearer.token` is absent, not readable, empty or too large, or its token has
    /// expired.
    ///
    /// Remedy: let whoever gets the tokens write a fresh one to the file. A running program says it in its log, and
    /// reads the file again every 5 s.
    #[error("the token in {} cannot be used: {problem}; write a fresh one there", path.display())]
    Token { path: PathBuf, problem: String },
    /// The demo's broker cannot be started.
    ///
    /// Cause: no local port or thread is available.
    ///
    /// Remedy: by the cause that follows.
    #[error("starting the embedded broker")]
    Embedded(#[source] KafkaError),
    /// The topic cannot be created.
    ///
    /// Cause: `generate` may not create the topic, or the broker rejects it.
    ///
    /// Remedy: create the topic, or by the cause that follows.
    #[error("creating topic {topic}")]
    CreateTopic {
        topic: String,
        #[source]
        cause: KafkaError,
    },
    /// Records cannot be sent.
    ///
    /// Cause: `generate` lost the broker, or the broker rejects the records.
    ///
    /// Remedy: by the cause that follows.
    #[error("sending to topic {topic}")]
    Send {
        topic: String,
        #[source]
        cause: KafkaError,
    },
    /// The broker did not accept all records.
    ///
    /// Cause: the broker rejected records of `generate`; the message has the first reason.
    ///
    /// Remedy: by that reason, for example a larger `max.message.bytes` of the topic.
    #[error("{failed} of {sent} records were not delivered to topic {topic}: {first}")]
    Undelivered { topic: String, failed: u64, sent: u64, first: String },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Client(_) => "AH-0200",
            Self::ReservedProperty(_) => "AH-0201",
            Self::Unreachable { .. } => "AH-0202",
            Self::NoSuchTopic { .. } => "AH-0203",
            Self::Watermarks { .. } => "AH-0204",
            Self::Gap { .. } => "AH-0205",
            Self::TopicIsNewer { .. } => "AH-0206",
            Self::TopicRecreated { .. } => "AH-0207",
            Self::TopicId { .. } => "AH-0208",
            Self::Assign { .. } => "AH-0209",
            Self::Read { .. } => "AH-0210",
            Self::OffsetGone { .. } => "AH-0211",
            Self::Consumer(_) => "AH-0212",
            Self::Embedded(_) => "AH-0213",
            Self::CreateTopic { .. } => "AH-0214",
            Self::Send { .. } => "AH-0215",
            Self::Undelivered { .. } => "AH-0216",
            Self::LogTruncated { .. } => "AH-0217",
            Self::NoLeader { .. } => "AH-0218",
            Self::Seek { .. } => "AH-0219",
            Self::Thread { .. } => "AH-0220",
            Self::Login { .. } => "AH-0230",
            Self::Certificate { .. } => "AH-0231",
            Self::ClientCertificate { .. } => "AH-0232",
            Self::Protocol { .. } => "AH-0233",
            Self::Handshake { .. } => "AH-0234",
            Self::Token { .. } => "AH-0235",
        }
    }

    /// What the program must do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Client(_)
            | Self::ReservedProperty(_)
            | Self::NoSuchTopic { .. }
            | Self::Gap { .. }
            | Self::TopicIsNewer { .. }
            | Self::TopicRecreated { .. }
            | Self::LogTruncated { .. }
            | Self::Login { .. }
            | Self::Certificate { .. }
            | Self::ClientCertificate { .. }
            | Self::Protocol { .. }
            | Self::Token { .. } => Kind::Config,
            _ => Kind::Failed,
        }
    }

    /// A rejected configuration. librdkafka's error repeats the value, which may be a password whose key
    /// was misspelled: only the key and the reason are kept.
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
        let attempted = match &error {
            Error::CreateTopic { .. } | Error::Send { .. } | Error::Undelivered { .. } => {
                "writing to Kafka"
            }
            _ => "reading from Kafka",
        };
        Self::caused_by(error.kind(), error.code(), attempted, error)
    }
}
