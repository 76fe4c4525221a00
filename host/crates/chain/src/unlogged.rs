//! Work whose log nobody should read.

use tracing::Dispatch;
use tracing::dispatcher::with_default;
use tracing::subscriber::NoSubscriber;

/// Does something without a log: what a plugin says about events that are in no topic, where whoever reads it would look
/// for them.
pub fn unlogged<T>(work: impl FnOnce() -> T) -> T {
    // Not `Dispatch::none()`, of which tracing knows nothing: what is logged for the first time under it would never be
    // logged again.
    with_default(&Dispatch::new(NoSubscriber::default()), work)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Counts what is logged.
    struct Counting(Arc<AtomicUsize>);

    impl Subscriber for Counting {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn what_is_unlogged_once_is_logged_the_next_time() {
        let n_logged = Arc::new(AtomicUsize::new(0));
        let say = || tracing::warn!("the same line");
        with_default(&Dispatch::new(Counting(Arc::clone(&n_logged))), || {
            unlogged(say);
            assert_eq!(n_logged.load(Ordering::Relaxed), 0);
            say();
            assert_eq!(n_logged.load(Ordering::Relaxed), 1);
        });
    }
}
