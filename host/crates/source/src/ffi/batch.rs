//! Reading in batches.
//!
//! `rd_kafka_consume_batch_queue` returns many records in one call: 95-160 ns per record, compared with
//! 350-500 ns through `Client::poll` (measured, 505-byte records). It is safe only for partitions that
//! are *assigned*: with `subscribe` it would swallow rebalances. Each partition has a queue of its own, so that one that is
//! far behind is not kept waiting by the records of the others.

use std::ffi::{CStr, CString, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use audit_core::TopicPartition;
use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafka;

use crate::ffi::notices::Client;

/// Records that a call may return: enough to make the cost of the call negligible.
const RECORDS_MAX: usize = 1024;

/// One record, or one error, as librdkafka returns it.
pub(crate) struct Message<'a> {
    pub(crate) offset: i64,
    /// Of a record, where the broker gives one.
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) payload: &'a [u8],
    pub(crate) error: Option<MessageError<'a>>,
}

/// What librdkafka reports in place of a record.
pub(crate) enum MessageError<'a> {
    /// The end of the partition; the message's offset is the one to read next.
    PartitionEnd,
    /// The requested offset does not exist.
    OffsetOutOfRange,
    /// The broker's log is not the one that was read. With the text in which librdkafka says where it ends.
    LogTruncated(&'a str),
    /// Librdkafka tries again by itself.
    Transient(&'a str),
    /// Anything else, in librdkafka's words.
    Other(&'a str),
}

/// A record or an error that librdkafka has handed over.
// Invariant: the pointer is valid, and nobody else has it.
pub(crate) struct Received(*mut sys::rd_kafka_message_t);

// SAFETY: a message belongs to whoever received it, on any thread.
unsafe impl Send for Received {}

impl Received {
    pub(crate) fn view(&self) -> Message<'_> {
        // SAFETY: by the invariant; what is borrowed cannot outlive `self`.
        unsafe { view(&*self.0) }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        // SAFETY: as above.
        unsafe { payload_of(&*self.0) }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        // SAFETY: by the invariant it is destroyed once.
        unsafe { sys::rd_kafka_message_destroy(self.0) };
    }
}

/// What wakes the reader, and what it is woken by: set by librdkafka's threads.
#[derive(Default)]
pub(crate) struct Bell {
    has_rung: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.has_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rung.notify_one();
    }

    /// Waits until something is received that was not there at the last wait, or for `max_wait`.
    pub(crate) fn wait(&self, max_wait: Duration) {
        let has_rung = self.has_rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.rung.wait_timeout_while(has_rung, max_wait, |has_rung| !*has_rung);
        let (mut has_rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *has_rung = false;
    }
}

/// Whether a queue has received anything since it was last empty.
struct Doorbell {
    has_news: AtomicBool,
    bell: Arc<Bell>,
}

/// A queue of librdkafka: of all events of a client, or of the records of one partition.
// Invariant: `queue` is valid until drop, because `client` keeps the client alive. librdkafka has a pointer to what is in
// `doorbell`, which is taken away before that is dropped.
pub(crate) struct Queue {
    queue: *mut sys::rd_kafka_queue_t,
    doorbell: Option<Box<Doorbell>>,
    topic: CString,
    partition: i32,
    client: Arc<Client>,
}

// SAFETY: librdkafka's queues may be used from any thread; `&mut self` keeps it to one at a time.
unsafe impl Send for Queue {}

impl Queue {
    /// Everything that belongs to no partition.
    pub(crate) fn of_events(client: Arc<Client>) -> Option<Self> {
        // SAFETY: the client is alive; the call returns a new reference to its queue, or null.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(client.client().native_ptr()) };
        (!queue.is_null()).then_some(Self {
            queue,
            doorbell: None,
            topic: CString::default(),
            partition: -1,
            client,
        })
    }

    /// The records of one partition. Must be called before the partition is assigned for the first time: until then its
    /// records would arrive in the queue of events.
    pub(crate) fn of_partition(
        client: Arc<Client>,
        partition: &TopicPartition,
        bell: Arc<Bell>,
    ) -> Option<Self> {
        let topic = CString::new(&*partition.topic).ok()?;
        let doorbell = Box::new(Doorbell { has_news: AtomicBool::new(true), bell });
        // SAFETY: client and name are alive for the call; the queue is a new reference, or null. The pointer that is
        // given away is valid until `drop` takes it back.
        let queue = unsafe {
            let native = client.client().native_ptr();
            let queue =
                sys::rd_kafka_queue_get_partition(native, topic.as_ptr(), partition.partition);
            if queue.is_null() {
                return None;
            }
            sys::rd_kafka_queue_forward(queue, std::ptr::null_mut());
            let opaque = std::ptr::from_ref::<Doorbell>(&doorbell).cast_mut().cast();
            sys::rd_kafka_queue_cb_event_enable(queue, Some(on_news), opaque);
            queue
        };
        Some(Self {
            queue,
            doorbell: Some(doorbell),
            topic,
            partition: partition.partition,
            client,
        })
    }

    /// Whether anything may be there.
    pub(crate) fn has_news(&self) -> bool {
        self.doorbell.as_ref().is_none_or(|doorbell| doorbell.has_news.load(Ordering::Acquire))
    }

    /// The offset after the last record of the partition, of transactions that are not decided too, as of the last
    /// answer to a fetch.
    pub(crate) fn high_watermark(&self) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: client and name are alive; the call asks no broker.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                self.client.client().native_ptr(),
                self.topic.as_ptr(),
                self.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    /// Passes what is there to `take`, at most `n_max`, without waiting. Returns whether there may be more.
    pub(crate) fn receive(&mut self, n_max: usize, mut take: impl FnMut(Received)) -> bool {
        let mut messages = [std::ptr::null_mut(); RECORDS_MAX];
        let n_max = n_max.min(RECORDS_MAX);
        // Before the call: what arrives during it rings again.
        if let Some(doorbell) = &self.doorbell {
            doorbell.has_news.store(false, Ordering::Release);
        }
        // SAFETY: `messages` has room for the number of pointers that is passed.
        let received = unsafe {
            sys::rd_kafka_consume_batch_queue(self.queue, 0, messages.as_mut_ptr(), n_max)
        };
        let n_received = usize::try_from(received).unwrap_or(0);
        for message in messages.iter().take(n_received) {
            // The first `n_received` pointers are messages that are ours from now on.
            take(Received(*message));
        }
        let is_full = n_received == n_max;
        if let (true, Some(doorbell)) = (is_full, &self.doorbell) {
            doorbell.has_news.store(true, Ordering::Release);
        }
        is_full
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the callback is taken away under the lock under which it is called, so that `doorbell` is used by
        // nobody afterwards; the reference is our own, released once.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue, None, std::ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// SAFETY: librdkafka calls it with the pointer that was given to `rd_kafka_queue_cb_event_enable`.
unsafe extern "C" fn on_news(_client: *mut RDKafka, doorbell: *mut c_void) {
    // SAFETY: the doorbell lives as long as the callback is set.
    if let Some(doorbell) = unsafe { doorbell.cast::<Doorbell>().as_ref() } {
        doorbell.has_news.store(true, Ordering::Release);
        doorbell.bell.ring();
    }
}

/// SAFETY: `message` is a live message of librdkafka, whose fields are valid until it is destroyed.
unsafe fn view(message: &sys::rd_kafka_message_t) -> Message<'_> {
    // SAFETY: as above; names are NUL-terminated, payload and length belong together.
    unsafe {
        let payload = payload_of(message);
        let error = error_of(message, payload);
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let stamp = sys::rd_kafka_message_timestamp(message, &raw mut kind);
        let leader_epoch = sys::rd_kafka_message_leader_epoch(message);
        Message {
            offset: message.offset,
            leader_epoch: (error.is_none() && leader_epoch >= 0).then_some(leader_epoch),
            timestamp_ms: (stamp >= 0).then_some(stamp),
            payload: if error.is_some() { &[] } else { payload },
            error,
        }
    }
}

/// SAFETY: as for [`view`].
unsafe fn payload_of(message: &sys::rd_kafka_message_t) -> &[u8] {
    if message.payload.is_null() {
        return &[];
    }
    // SAFETY: payload and length belong together.
    unsafe { std::slice::from_raw_parts(message.payload.cast::<u8>(), message.len) }
}

/// SAFETY: as for [`view`]. The payload of an error is its text.
unsafe fn error_of<'a>(
    message: &sys::rd_kafka_message_t,
    text: &'a [u8],
) -> Option<MessageError<'a>> {
    use sys::rd_kafka_resp_err_t as code;
    if message.err == code::RD_KAFKA_RESP_ERR_NO_ERROR {
        return None;
    }
    let text = std::str::from_utf8(text).unwrap_or_default().trim_end_matches('\0');
    let text = if text.is_empty() { name_of(message.err) } else { text };
    Some(match message.err {
        code::RD_KAFKA_RESP_ERR__PARTITION_EOF => MessageError::PartitionEnd,
        // By `auto.offset.reset=error` every lost position has one code, and its cause is in the text.
        code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
            if text.contains(name_of(code::RD_KAFKA_RESP_ERR__LOG_TRUNCATION)) =>
        {
            MessageError::LogTruncated(text)
        }
        code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
        | code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE => MessageError::OffsetOutOfRange,
        code::RD_KAFKA_RESP_ERR__TRANSPORT
        | code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
        | code::RD_KAFKA_RESP_ERR__RESOLVE
        | code::RD_KAFKA_RESP_ERR__TIMED_OUT
        | code::RD_KAFKA_RESP_ERR__NODE_UPDATE
        | code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
        | code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
        | code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
        | code::RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE
        | code::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE
        | code::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION
        | code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR
        | code::RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE
        | code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH
        | code::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH => MessageError::Transient(text),
        _ => MessageError::Other(text),
    })
}

/// What librdkafka calls an error.
fn name_of(code: sys::rd_kafka_resp_err_t) -> &'static str {
    // SAFETY: returns a static string for every code.
    unsafe { CStr::from_ptr(sys::rd_kafka_err2str(code)) }.to_str().unwrap_or("unknown error")
}
