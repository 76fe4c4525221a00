//! The id that Kafka assigns to a topic when it is created.

use std::ffi::{CStr, CString, c_char, c_int};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafka;

use crate::ffi::notices::Client;

/// Asks the brokers for a topic's id, in base64 as Kafka's own tools show it. `None` where the broker
/// has no ids.
pub(crate) fn topic_id(
    consumer: &Client,
    broker_id: i32,
    topic: &str,
    max_wait: Duration,
) -> Result<Option<String>, String> {
    let name = CString::new(topic).map_err(|_| "the name holds a zero byte".to_owned())?;
    let timeout_ms = c_int::try_from(max_wait.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the client is alive for the whole call. Every object that is made is destroyed once, after
    // its last use; the answer's parts live as long as the event.
    unsafe {
        let client = consumer.client().native_ptr();
        let queue = sys::rd_kafka_queue_new(client);
        ask(client, broker_id, &name, timeout_ms, queue);
        let event = sys::rd_kafka_queue_poll(queue, timeout_ms.saturating_add(1000));
        let answer = if event.is_null() {
            Err(format!("no answer within {} s", max_wait.as_secs()))
        } else {
            let answer = read(event);
            sys::rd_kafka_event_destroy(event);
            answer
        };
        sys::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// SAFETY: `client` and `queue` are alive.
unsafe fn ask(
    client: *mut RDKafka,
    broker_id: i32,
    topic: &CString,
    timeout_ms: c_int,
    queue: *mut sys::rd_kafka_queue_t,
) {
    // SAFETY: the collection copies the name; options and collection are copied by the request.
    unsafe {
        let mut names = [topic.as_ptr()];
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = sys::rd_kafka_AdminOptions_new(client, kind);
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options,
            timeout_ms,
            std::ptr::null_mut(),
            0,
        );
        // Any broker knows the id. Without this the request waits for the controller, which a cluster may lack for
        // a while, and the embedded broker always.
        sys::rd_kafka_AdminOptions_set_broker(options, broker_id, std::ptr::null_mut(), 0);
        sys::rd_kafka_DescribeTopics(client, topics, options, queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_TopicCollection_destroy(topics);
    }
}

/// SAFETY: `event` is alive, and an answer to [`ask`].
unsafe fn read(event: *mut sys::rd_kafka_event_t) -> Result<Option<String>, String> {
    // SAFETY: every part is checked for null before it is read, and lives as long as the event.
    unsafe {
        if sys::rd_kafka_event_error(event)
            == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE
        {
            return Ok(None);
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if sys::rd_kafka_event_error(event) != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            || result.is_null()
        {
            return Err(text_of(sys::rd_kafka_event_error_string(event)).to_owned());
        }
        let mut n_topics = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut n_topics);
        if n_topics == 0 || topics.is_null() || (*topics).is_null() {
            return Err("the answer holds no topic".to_owned());
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(*topics);
        let is_zero = id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id) == 0
                && sys::rd_kafka_Uuid_least_significant_bits(id) == 0);
        Ok((!is_zero).then(|| text_of(sys::rd_kafka_Uuid_base64str(id)).to_owned()))
    }
}

/// SAFETY: `text` is null or NUL-terminated, and outlives what is returned.
unsafe fn text_of<'a>(text: *const c_char) -> &'a str {
    if text.is_null() {
        return "";
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("(not UTF-8)")
}
