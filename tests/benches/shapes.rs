//! Events of any shape, for the benchmark of memory: the generator's own are all alike in what memory depends on.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use audit_tests::broker;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

/// What a topic looks like.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) n_kafka_partitions: i32,
    n_days: u64,
    n_actions: u64,
    /// How the producer compresses; an uncompressed topic fills the program's queues fastest.
    codec: &'static str,
    /// Of text that does not compress, beside the about 100 bytes of any event's `details`.
    details_bytes: usize,
    /// Whether few of the table's partitions get most of the rows.
    is_skewed: bool,
    pub(crate) n_events: usize,
}

pub(crate) static SHAPES: [Shape; 5] = [
    Shape {
        name: "uncompressed",
        n_kafka_partitions: 8,
        n_days: 2,
        n_actions: 14,
        codec: "none",
        details_bytes: 0,
        is_skewed: false,
        n_events: 2_000_000,
    },
    Shape {
        name: "one-day",
        n_kafka_partitions: 4,
        n_days: 1,
        n_actions: 14,
        codec: "lz4",
        details_bytes: 0,
        is_skewed: false,
        n_events: 1_000_000,
    },
    Shape {
        name: "large-details",
        n_kafka_partitions: 1,
        n_days: 2,
        n_actions: 1,
        codec: "lz4",
        details_bytes: 4096,
        is_skewed: false,
        n_events: 200_000,
    },
    Shape {
        name: "skewed",
        n_kafka_partitions: 32,
        n_days: 30,
        n_actions: 8,
        codec: "none",
        details_bytes: 0,
        is_skewed: true,
        n_events: 1_000_000,
    },
    // Everything at once that takes memory.
    Shape {
        name: "worst",
        n_kafka_partitions: 32,
        n_days: 30,
        n_actions: 20,
        codec: "none",
        details_bytes: 2048,
        is_skewed: false,
        n_events: 400_000,
    },
];

const USER_AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/17.0",
    "API Client/1.0",
    "Python/3.9 requests/2.28.0",
];
const FLUSH_WITHIN: Duration = Duration::from_mins(2);
const FULL_WAIT: Duration = Duration::from_millis(20);

impl Shape {
    pub(crate) fn n_table_partitions(&self) -> u64 {
        self.n_days * self.n_actions
    }

    fn event(&self, dice: &mut ChaCha8Rng, event: &mut Vec<u8>) -> Result<()> {
        let n = self.n_table_partitions();
        let partition = if self.is_skewed {
            // Half of the rows are in an eighth of the partitions.
            (dice.random::<f64>().powi(3) * n as f64) as u64
        } else {
            dice.random_range(0..n)
        };
        let (day, action) = (partition / self.n_actions + 1, partition % self.n_actions);
        let (user, second) = (dice.random_range(0..500), dice.random_range(0..86_400));
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let micros = dice.random_range(0..1_000_000);
        let id = uuid(dice.random());
        let session = uuid(dice.random_range(0..20_000));
        let agent = USER_AGENTS[dice.random_range(0..USER_AGENTS.len())];
        let (table, rows) = (dice.random_range(0..1_000), dice.random_range(0..10_000));
        let result = if dice.random_ratio(1, 50) { "failure" } else { "success" };
        write!(
            event,
            "{{\"audit_id\": \"{id}\", \"event_timestamp\": \
             \"2025-01-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}\", \"user_id\": \
             \"user_{user}\", \"user_email\": \"user_{user}@company.com\", \"action_type\": \
             \"action_{action}\", \"resource_type\": \"table\", \"resource_id\": \"table_{table}\", \
             \"resource_name\": \"customer_data.table_{table}\", \"action_result\": \"{result}\", \
             \"ip_address\": \"10.0.{}.{}\", \"user_agent\": \"{agent}\", \"session_id\": \"{session}\", \
             \"details\": \"{{\\\"query\\\": \\\"SELECT * FROM table_{table} WHERE amount > {rows}\\\", \
             \\\"rows_returned\\\": {rows}, \\\"text\\\": \\\"",
            dice.random_range(0..256),
            dice.random_range(0..256),
        )?;
        let begin = event.len();
        while event.len() < begin + self.details_bytes {
            write!(event, "{:x}", dice.random::<u128>())?;
        }
        event.extend_from_slice(b"\\\"}\"}");
        Ok(())
    }
}

fn uuid(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    let part = |range| hex.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// Sends the events of a shape, in turn to each partition, and waits until the broker has them all.
pub(crate) fn produce(shape: &Shape, topic: &str, n_events: usize) -> Result<()> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker::brokers()?)
        .set("enable.idempotence", "true")
        .set("compression.type", shape.codec)
        .set("linger.ms", "20")
        .set("queue.buffering.max.kbytes", "65536");
    let producer: BaseProducer = config.create()?;
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let mut event = Vec::new();
    for (partition, _) in (0..shape.n_kafka_partitions).cycle().zip(0..n_events) {
        event.clear();
        shape.event(&mut dice, &mut event)?;
        let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(&event);
        while let Err((error, back)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            ensure!(error == full, "sending to {topic}: {error}");
            producer.poll(FULL_WAIT);
            record = back;
        }
    }
    producer.flush(FLUSH_WITHIN).with_context(|| format!("sending to {topic}"))?;
    ensure!(producer.in_flight_count() == 0, "the node did not take all events of {topic}");
    Ok(())
}
