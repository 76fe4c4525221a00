//! What librdkafka says in its log and nowhere else: that a topic has another id than before.
//!
//! When a topic is deleted and created again, librdkafka looks its new id up and goes on at the old offset, so that
//! other records arrive as if nothing had happened (a `FIXME` in its `rdkafka_topic.c`). It has no event for that.
//! The line arrives in the queue before the first record of the new topic does, because the records are asked for
//! by the new id.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int};
use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::types::RDKafka;

/// The consumer of this crate.
pub(crate) type Client = BaseConsumer<Notices>;

/// The kind of debug lines that name a topic's id.
pub(crate) const DEBUG_CONTEXT: &str = "metadata";

/// The newest id of each topic whose id changed. As many entries as the client knows topics.
#[derive(Default)]
pub(crate) struct Notices {
    changed: Mutex<HashMap<String, String>>,
}

impl ClientContext for Notices {}
impl ConsumerContext for Notices {}

impl Notices {
    /// The topics whose id changed since the last call, with their new ids.
    pub(crate) fn take_changed(&self) -> HashMap<String, String> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self, line: &str) {
        if let Some((topic, id)) = changed_id(line) {
            let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.insert(topic.to_owned(), id.to_owned());
        }
    }
}

/// Reads `[thrd:main]: Topic NAME changed id from OLD to NEW`.
fn changed_id(line: &str) -> Option<(&str, &str)> {
    let (before, ids) = line.split_once(" changed id from ")?;
    let (_, topic) = before.rsplit_once("Topic ")?;
    let (_, new) = ids.rsplit_once(" to ")?;
    Some((topic, new.trim()))
}

/// Sends the log of `client` to its [`Notices`]. Call it before the client's queue is read for the first time.
pub(crate) fn listen(client: &Client) {
    // SAFETY: the client is alive; the function that is set is valid for ever.
    unsafe { sys::rd_kafka_set_logger(client.client().native_ptr(), Some(on_line)) };
}

/// SAFETY: librdkafka calls it with its client and NUL-terminated text, while the client's queue is read.
unsafe extern "C" fn on_line(
    client: *const RDKafka,
    _level: c_int,
    _facility: *const c_char,
    line: *const c_char,
) {
    if client.is_null() || line.is_null() {
        return;
    }
    // SAFETY: rdkafka gives every client its context as the opaque, and keeps it as long as the client; only a
    // [`Client`], whose context is `Notices`, is given this function.
    let (context, line) =
        unsafe { (sys::rd_kafka_opaque(client).cast::<Notices>().as_ref(), CStr::from_ptr(line)) };
    if let (Some(notices), Ok(line)) = (context, line.to_str()) {
        notices.read(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_id_is_found_in_the_line_that_librdkafka_writes() {
        let line =
            "[thrd:main]: Topic a to b changed id from lMUWdQkLSkCQHlMwVNLjZA to 5jbGCSOHT8aA";
        assert_eq!(changed_id(line), Some(("a to b", "5jbGCSOHT8aA")));
        assert_eq!(changed_id("[thrd:main]: Topic t [0] Leader 1 Epoch 0"), None);
    }
}
