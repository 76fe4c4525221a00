//! Events at a steady rate, and when each was sent to which offset.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use audit_tests::broker;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

use crate::events;

/// How late an event may be sent: what is due is sent this often.
const STEP: Duration = Duration::from_millis(1);
/// The number of the event that does not count.
const UNCOUNTED: usize = usize::MAX;
const FLUSH_WITHIN: Duration = Duration::from_secs(30);

/// One event on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) partition: usize,
    pub(crate) offset: i64,
    /// When it was handed to the client.
    pub(crate) at: Instant,
}

pub(crate) struct Produced {
    pub(crate) events: Vec<Event>,
    time: Duration,
}

impl Produced {
    /// For each partition the offset behind its last event.
    pub(crate) fn ends(&self, n_partitions: i32) -> Vec<i64> {
        let mut ends = vec![0; n_partitions as usize];
        for event in &self.events {
            ends[event.partition] = ends[event.partition].max(event.offset + 1);
        }
        ends
    }

    pub(crate) fn events_per_second(&self) -> f64 {
        self.events.len() as f64 / self.time.as_secs_f64()
    }
}

/// Sends generated events to a topic and waits until the broker has them all.
pub(crate) fn at_rate(topic: &str, n_events: usize, per_second: u32) -> Result<Produced> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker::brokers()?).set("enable.idempotence", "true");
    let delivered = Deliveries::default();
    let producer: BaseProducer<Deliveries> = config.create_with_context(delivered.clone())?;
    let step = Duration::from_secs(1) / per_second;
    // One event that does not count: the client gets its id, and the broker's first answer is slow.
    let mut generator = events::generator(n_events as u64 + 1, step)?;
    let mut sent = Vec::with_capacity(n_events);
    let mut event = Vec::new();
    generator.next_event(&mut event).context("the generator ended early")?;
    let first = BaseRecord::<(), [u8], usize>::with_opaque_to(topic, UNCOUNTED);
    producer.send(first.payload(&event)).map_err(|(error, _)| error)?;
    producer.flush(FLUSH_WITHIN).context("sending the first event")?;
    let started = Instant::now();
    while sent.len() < n_events {
        let due = started.elapsed().as_secs_f64() * f64::from(per_second);
        while sent.len() < n_events.min(due as usize) {
            event.clear();
            generator.next_event(&mut event).context("the generator ended early")?;
            let record = BaseRecord::<(), [u8], usize>::with_opaque_to(topic, sent.len());
            sent.push(Instant::now());
            producer.send(record.payload(&event)).map_err(|(error, _)| error)?;
        }
        producer.poll(STEP);
        thread::sleep(STEP);
    }
    let time = started.elapsed();
    producer.flush(FLUSH_WITHIN).context("sending the last events")?;
    let delivered = delivered.0.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(delivered.len() == n_events, "the broker took {} of {n_events}", delivered.len());
    let event = |&(partition, offset, idx): &(i32, i64, usize)| Event {
        partition: partition as usize,
        offset,
        at: sent[idx],
    };
    Ok(Produced { events: delivered.iter().map(event).collect(), time })
}

/// Partition, offset and number of each event that the broker took.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<Vec<(i32, i64, usize)>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, idx: usize) {
        // What was refused is missed when all are counted.
        if let (Ok(message), true) = (result, idx != UNCOUNTED) {
            let mut delivered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            delivered.push((message.partition(), message.offset(), idx));
        }
    }
}
