//! librdkafka's log lines and errors.
//!
//! They come as events of the client's main queue, which rdkafka forwards into the queue that records
//! come from. A batch call would print them to standard error, past our log: so the main queue is
//! taken back and asked by itself.

use std::ffi::{CStr, c_char, c_int};
use std::sync::Arc;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// From this syslog level on a line is no warning (4) any more.
const LEVEL_NOTICE: c_int = 5;

// Invariant: `queue` is valid until drop, because `consumer` keeps the client alive.
pub(super) struct LogQueue {
    queue: *mut sys::rd_kafka_queue_t,
    _consumer: Arc<BaseConsumer>,
}

// SAFETY: librdkafka's queues may be used from any thread; `&mut self` keeps it to one at a time.
unsafe impl Send for LogQueue {}

impl LogQueue {
    pub(super) fn of(consumer: Arc<BaseConsumer>) -> Option<Self> {
        // SAFETY: the client is alive; the call returns a new reference to its queue, or null, and a
        // queue forwarded to null serves its events itself.
        let queue = unsafe {
            let queue = sys::rd_kafka_queue_get_main(consumer.client().native_ptr());
            if queue.is_null() {
                return None;
            }
            sys::rd_kafka_queue_forward(queue, std::ptr::null_mut());
            queue
        };
        Some(Self { queue, _consumer: consumer })
    }

    /// Passes what has come on to our own log.
    pub(super) fn drain(&mut self) {
        loop {
            // SAFETY: the queue is alive; an event is ours until it is destroyed, once, below.
            unsafe {
                let event = sys::rd_kafka_queue_poll(self.queue, 0);
                if event.is_null() {
                    return;
                }
                pass_on(event);
                sys::rd_kafka_event_destroy(event);
            }
        }
    }
}

impl Drop for LogQueue {
    fn drop(&mut self) {
        // SAFETY: our own reference, given back once.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
    }
}

/// SAFETY: `event` is a live event; its texts live as long.
unsafe fn pass_on(event: *mut sys::rd_kafka_event_t) {
    // SAFETY: as above.
    unsafe {
        match sys::rd_kafka_event_type(event) {
            sys::RD_KAFKA_EVENT_LOG => {
                let (mut facility, mut text) = (std::ptr::null(), std::ptr::null());
                let mut level = 0;
                let failed = sys::rd_kafka_event_log(
                    event,
                    &raw mut facility,
                    &raw mut text,
                    &raw mut level,
                );
                if failed != 0 {
                    return;
                }
                let (facility, line) = (text_of(facility), text_of(text));
                if level < LEVEL_NOTICE {
                    tracing::warn!(target: "librdkafka", facility, "{line}");
                } else {
                    tracing::debug!(target: "librdkafka", facility, "{line}");
                }
            }
            sys::RD_KAFKA_EVENT_ERROR => {
                let line = text_of(sys::rd_kafka_event_error_string(event));
                tracing::warn!(target: "librdkafka", "{line}");
            }
            _ => {}
        }
    }
}

/// SAFETY: `text` is null or NUL-terminated, and outlives what is returned.
pub(super) unsafe fn text_of<'a>(text: *const c_char) -> &'a str {
    if text.is_null() {
        return "";
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("(not UTF-8)")
}
