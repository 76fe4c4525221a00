//! What librdkafka says in its log and nowhere else: that a topic has another id than before, and why a broker is not
//! connected.
//!
//! When a topic is deleted and created again, librdkafka looks its new id up and goes on at the old offset, so that
//! other records arrive as if nothing had happened (a `FIXME` in its `rdkafka_topic.c`). It has no event for that.
//! The line arrives in the queue before the first record of the new topic does, because the records are asked for
//! by the new id.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafka;

use crate::refusal::{Refusal, Why, is_unconnected};

/// The consumer of this crate.
pub(crate) type Client = BaseConsumer<Notices>;

/// The kind of debug lines that name a topic's id.
pub(crate) const DEBUG_CONTEXT: &str = "metadata";

/// How often the log repeats that a broker refuses us for the same reason.
const REPEAT_AFTER: Duration = Duration::from_mins(10);

#[derive(Default)]
pub(crate) struct Notices {
    /// The newest id of each topic whose id changed. As many entries as the client knows topics.
    changed: Mutex<HashMap<String, String>>,
    /// Shared by the clients of a source, so that each refusal is logged once.
    refusals: Arc<Mutex<Refusals>>,
}

/// The connections that cannot get better by themselves.
#[derive(Default)]
struct Refusals {
    /// Whether a broker has answered: until then the start reports refusals, after that the log does.
    has_started: bool,
    /// Since when brokers refuse us, and the newest refusal of the start.
    at_start: Option<(Instant, Refusal)>,
    /// Refusals to log. At most one for each entry of `known`.
    to_log: Vec<Refusal>,
    /// What is known of each broker, and since when. As many entries as there are brokers.
    known: HashMap<String, (Why, Instant)>,
}

/// What comes by events, when the client is polled in rdkafka's way; else the lines come to [`on_line`].
impl ClientContext for Notices {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, line: &str) {
        self.read(line);
    }

    fn error(&self, _code: KafkaError, line: &str) {
        self.read(line);
    }
}

impl ConsumerContext for Notices {}

impl Notices {
    /// For a second client of the same source.
    pub(crate) fn beside(&self) -> Self {
        Self { changed: Mutex::default(), refusals: Arc::clone(&self.refusals) }
    }

    /// The topics whose id changed since the last call, with their new ids.
    pub(crate) fn take_changed(&self) -> HashMap<String, String> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A broker has answered: from now on, [`Notices::take_refusals`] has what comes.
    pub(crate) fn started(&self) {
        let mut refusals = self.refusals();
        refusals.has_started = true;
        refusals.at_start = None;
    }

    /// Since when brokers have refused us while none has answered yet, and how one did last.
    pub(crate) fn refused(&self) -> Option<(Instant, Refusal)> {
        self.refusals().at_start.clone()
    }

    /// The refusals since the last call that the log does not have yet.
    pub(crate) fn take_refusals(&self) -> Vec<Refusal> {
        std::mem::take(&mut self.refusals().to_log)
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, line: &str) {
        if let Some(refusal) = Refusal::read(line) {
            self.refusals().note(refusal, Instant::now());
        } else if is_unconnected(line) {
            self.refusals().forget_guess();
        } else if let Some((topic, id)) = changed_id(line) {
            let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.insert(topic.to_owned(), id.to_owned());
        }
    }
}

impl Refusals {
    fn note(&mut self, refusal: Refusal, now: Instant) {
        if !self.has_started {
            self.note_at_start(refusal, now);
            return;
        }
        if refusal.why.is_guess() {
            return;
        }
        let is_known = |(why, at): &(Why, Instant)| *why == refusal.why && now - *at < REPEAT_AFTER;
        if self.known.get(&refusal.broker).is_some_and(is_known) {
            return;
        }
        self.known.insert(refusal.broker.clone(), (refusal.why, now));
        self.to_log.retain(|other| other.broker != refusal.broker);
        self.to_log.push(refusal);
    }

    /// What is certain wins over a guess. How long it lasts counts from the first of its kind.
    fn note_at_start(&mut self, refusal: Refusal, now: Instant) {
        let is_guess = refusal.why.is_guess();
        self.at_start = Some(match self.at_start.take() {
            Some(certain) if is_guess && !certain.1.why.is_guess() => certain,
            Some((since, other)) if other.why.is_guess() == is_guess => (since, refusal),
            _ => (now, refusal),
        });
    }

    /// A broker that cannot even be connected is going down or coming up: that it closed connections meant nothing.
    fn forget_guess(&mut self) {
        self.at_start.take_if(|(_, refusal)| refusal.why.is_guess());
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
    fn a_refusal_ends_the_start_or_is_logged_once() {
        let refusal = |why| Refusal { broker: "k:1".to_owned(), why, words: String::new() };
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        refusals.note(refusal(Why::Login), now);
        refusals.note(refusal(Why::Certificate), now + Duration::from_secs(1));
        refusals.note(refusal(Why::ClosedAtOnce), now + Duration::from_secs(2));
        refusals.forget_guess();
        let certain = Some((now, refusal(Why::Certificate)));
        assert_eq!(refusals.at_start, certain, "it says nothing of another broker");
        refusals.at_start = None;
        refusals.note(refusal(Why::WantsLogin), now);
        refusals.forget_guess();
        assert_eq!(refusals.at_start, None);
        refusals.has_started = true;
        let mut is_logged = |why, minutes| {
            refusals.note(refusal(why), now + Duration::from_mins(minutes));
            !std::mem::take(&mut refusals.to_log).is_empty()
        };
        assert!(!is_logged(Why::WantsLogin, 0), "a broker that goes down");
        assert!(is_logged(Why::Login, 0));
        assert!(!is_logged(Why::Login, 9));
        assert!(is_logged(Why::Certificate, 9));
        assert!(is_logged(Why::Certificate, 20));
    }

    #[test]
    fn a_changed_id_is_found_in_the_line_that_librdkafka_writes() {
        let line =
            "[thrd:main]: Topic a to b changed id from lMUWdQkLSkCQHlMwVNLjZA to 5jbGCSOHT8aA";
        assert_eq!(changed_id(line), Some(("a to b", "5jbGCSOHT8aA")));
        assert_eq!(changed_id("[thrd:main]: Topic t [0] Leader 1 Epoch 0"), None);
    }
}
