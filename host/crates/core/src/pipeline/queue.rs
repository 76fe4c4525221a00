//! What the judge does next: go on with the batch that it has begun, or receive one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::batch::{Batch, Remaining};

/// What the judge does next.
pub(super) enum Next {
    Records(Remaining),
    /// Nothing has come, or what is left must wait.
    Nothing,
    /// There is nothing more to judge in this run.
    Ended,
}

/// The batches to judge, and the rest of the one that was begun. While there is a rest nothing else is received:
/// the channel fills up, and the source waits.
pub(super) struct Queue<'a> {
    batches: &'a Receiver<Batch>,
    rest: Option<Remaining>,
    /// When the rest may be tried again.
    not_before: Instant,
}

impl<'a> Queue<'a> {
    pub(super) fn new(batches: &'a Receiver<Batch>) -> Self {
        Self { batches, rest: None, not_before: Instant::now() }
    }

    pub(super) fn next(&mut self, wait: Duration, stop: &AtomicBool) -> Next {
        let Some(rest) = self.rest.take() else {
            return match self.batches.recv_timeout(wait) {
                Ok(batch) => Next::Records(batch.into()),
                Err(RecvTimeoutError::Timeout) => Next::Nothing,
                Err(RecvTimeoutError::Disconnected) => Next::Ended,
            };
        };
        // A plugin may need long for the rest, or never be able to judge it: a stop does not wait for that.
        if stop.load(Ordering::Relaxed) {
            let n_records = rest.n_records();
            tracing::info!(
                n_records,
                "stopped within a batch; the next start reads the rest of it again"
            );
            return Next::Ended;
        }
        let left = self.not_before.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Next::Records(rest);
        }
        self.rest = Some(rest);
        thread::sleep(left.min(wait));
        Next::Nothing
    }

    pub(super) fn put_back(&mut self, rest: Option<Remaining>, wait: Duration) {
        self.rest = rest;
        self.not_before = Instant::now() + wait;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;

    use arrow::datatypes::Schema;
    use arrow::record_batch::RecordBatch;

    use super::*;
    use crate::raw::RawBatch;

    fn batch(name: &str) -> Batch {
        let columns = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let raw = RawBatch::empty(Arc::from(name));
        Batch { raw, columns, record_of_row: Vec::new(), rejected: Vec::new() }
    }

    fn name(next: Next) -> String {
        match next {
            Next::Records(remaining) => remaining.batch().raw.topic.to_string(),
            Next::Nothing => "nothing".to_owned(),
            Next::Ended => "ended".to_owned(),
        }
    }

    #[test]
    fn the_rest_comes_before_any_other_batch_and_a_stop_before_the_rest() {
        let (sender, batches) = sync_channel(3);
        for topic in ["a", "b", "c"] {
            sender.send(batch(topic)).unwrap();
        }
        let (stop, wait) = (AtomicBool::new(false), Duration::from_millis(1));
        let mut queue = Queue::new(&batches);
        assert_eq!(name(queue.next(wait, &stop)), "a");
        queue.put_back(Some(batch("rest of a").into()), Duration::ZERO);
        assert_eq!(name(queue.next(wait, &stop)), "rest of a");
        queue.put_back(Some(batch("rest of a").into()), Duration::from_hours(1));
        assert_eq!(name(queue.next(wait, &stop)), "nothing");
        queue.put_back(None, Duration::ZERO);
        assert_eq!(name(queue.next(wait, &stop)), "b");
        // What is in flight is judged as far as nothing holds it up.
        stop.store(true, Ordering::Relaxed);
        assert_eq!(name(queue.next(wait, &stop)), "c");
        queue.put_back(Some(batch("rest of c").into()), Duration::from_hours(1));
        assert_eq!(name(queue.next(Duration::from_hours(1), &stop)), "ended");
    }

    #[test]
    fn the_rest_is_judged_although_the_source_has_ended() {
        let (sender, batches) = sync_channel(1);
        sender.send(batch("a")).unwrap();
        drop(sender);
        let (stop, wait) = (AtomicBool::new(false), Duration::ZERO);
        let mut queue = Queue::new(&batches);
        assert_eq!(name(queue.next(wait, &stop)), "a");
        queue.put_back(Some(batch("rest of a").into()), Duration::ZERO);
        assert_eq!(name(queue.next(wait, &stop)), "rest of a");
        assert_eq!(name(queue.next(wait, &stop)), "ended");
    }
}
