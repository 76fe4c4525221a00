//! Sends records, for `generate` and the demo.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

use crate::assignment::partitions;
use crate::error::Error;
use crate::properties::Properties;
use crate::settings::{ASK_TIMEOUT, Settings, Start, base_config, check_properties};
use crate::token::Tokens;

/// How long the delivery of the last records may take.
const FLUSH_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a slow sender looks at what librdkafka has to say, and at its token.
const SERVE_EVERY: Duration = Duration::from_secs(1);

/// Sends records to one topic and counts those that the broker did not accept.
pub struct Producer {
    topic: Arc<str>,
    producer: BaseProducer<Deliveries>,
    deliveries: Arc<Tally>,
    sent: u64,
    tokens: Tokens,
    served: Instant,
}

impl Producer {
    /// Connects to a topic that exists.
    pub fn connect(brokers: &str, topic: &str, properties: &Properties) -> Result<Self, Error> {
        check_properties(properties)?;
        require_topic(brokers, topic, properties)?;
        let mut config = base_config(brokers);
        config
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "20")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.kbytes", "65536");
        properties.apply(&mut config);
        let deliveries = Arc::new(Tally::default());
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(Deliveries(Arc::clone(&deliveries)))
            .map_err(Error::client)?;
        let mut tokens = Tokens::of(properties);
        tokens.start(producer.client())?;
        let (topic, served) = (Arc::from(topic), Instant::now());
        Ok(Self { topic, producer, deliveries, sent: 0, tokens, served })
    }

    /// Creates the topic unless it exists.
    pub async fn create_topic(
        brokers: &str,
        topic: &str,
        partitions: i32,
        properties: &Properties,
    ) -> Result<(), Error> {
        check_properties(properties)?;
        // What is wrong with the connection is said by name, and soon.
        settings_of(brokers, topic, properties).client()?;
        let mut config = base_config(brokers);
        properties.apply(&mut config);
        let admin: AdminClient<_> = config.create().map_err(Error::client)?;
        Tokens::of(properties).start(admin.inner())?;
        let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
        let options = AdminOptions::new().operation_timeout(Some(ASK_TIMEOUT));
        let failed = |cause| Error::CreateTopic { topic: topic.to_owned(), cause };
        let answers = admin.create_topics([&wanted], &options).await.map_err(failed)?;
        match answers.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
                Err(failed(KafkaError::AdminOp(code)))
            }
            _ => Ok(()),
        }
    }

    /// Queues a record; waits while the queue is full. The topic's partitioner chooses the partition.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), Error> {
        let topic = Arc::clone(&self.topic);
        self.queue(BaseRecord::to(&topic).payload(payload))
    }

    /// [`Producer::send`] with the time of the record (`CreateTime`), in milliseconds since 1970.
    pub fn send_at(&mut self, payload: &[u8], time_ms: i64) -> Result<(), Error> {
        let topic = Arc::clone(&self.topic);
        self.queue(BaseRecord::to(&topic).payload(payload).timestamp(time_ms))
    }

    fn queue(&mut self, mut record: BaseRecord<'_, (), [u8]>) -> Result<(), Error> {
        self.sent += 1;
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(Duration::from_millis(20));
                    record = back;
                }
                Err((cause, _)) => {
                    return Err(Error::Send { topic: self.topic.to_string(), cause });
                }
            }
        }
        // Serves delivery reports; cheap, and not needed for every record.
        if self.sent.is_multiple_of(256) || self.served.elapsed() >= SERVE_EVERY {
            self.served = Instant::now();
            self.tokens.renew(self.producer.client());
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits until the broker has all records, and fails if it rejected any.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.tokens.renew(self.producer.client());
        let flushed = self.producer.flush(FLUSH_TIMEOUT);
        flushed.map_err(|cause| Error::Send { topic: self.topic.to_string(), cause })?;
        match self.deliveries.failed.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => Err(Error::Undelivered {
                topic: self.topic.to_string(),
                failed,
                sent: self.sent,
                first: self.deliveries.first_error(),
            }),
        }
    }
}

/// librdkafka would queue records for a topic that does not exist until they time out.
fn require_topic(brokers: &str, topic: &str, properties: &Properties) -> Result<(), Error> {
    let settings = settings_of(brokers, topic, properties);
    let client = settings.client()?;
    partitions(&client, &settings, topic, ASK_TIMEOUT).map(|_| ())
}

/// Of a client that asks, and reads nothing.
fn settings_of(brokers: &str, topic: &str, properties: &Properties) -> Settings {
    Settings {
        brokers: brokers.to_owned(),
        topics: vec![topic.to_owned()],
        group: "audit-host-generate".to_owned(),
        start: Start::Latest,
        resume: HashMap::new(),
        leader_epochs: HashMap::new(),
        topic_ids: HashMap::new(),
        alignment_wait: Duration::ZERO,
        until_end: false,
        continue_on_gap: false,
        properties: properties.clone(),
    }
}

#[derive(Default)]
struct Tally {
    failed: AtomicU64,
    first: Mutex<Option<String>>,
}

impl Tally {
    fn first_error(&self) -> String {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.clone().unwrap_or_default()
    }
}

struct Deliveries(Arc<Tally>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        if let Err((error, _)) = result {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
            let mut first = self.0.first.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| error.to_string());
        }
    }
}
