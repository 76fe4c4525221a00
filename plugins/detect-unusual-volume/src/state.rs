//! The state: all pairs of user and action.

use audit_detect::{Event, Evictions, Keyed, raise};
use audit_plugin_sdk::Judgement;

use crate::config::Settings;
use crate::profile::{Profile, hour_of};
use crate::report;

/// The name of the keys in alerts on evictions.
const KEYS: &str = "pairs of user and action";

/// The state of the detector.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) profiles: Keyed<Profile>,
    pub(crate) evictions: Evictions,
}

impl State {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { profiles: Keyed::new(settings.limits), evictions: Evictions::default() }
    }

    /// Counts an event of a key and raises the alerts that it trips. `None` if its time is out of range.
    pub(crate) fn add(
        &mut self,
        key: &[u8],
        event: &Event,
        settings: &Settings,
        out: &mut Judgement,
    ) -> Option<()> {
        let hour = hour_of(event.time)?;
        let count = |profile: &mut Profile| profile.count(event, hour, settings);
        if let Some(finding) = self.profiles.touch(key, event.received, count) {
            raise(out, report::unusual(key, finding, settings));
        }
        let n_evicted = self.profiles.n_evicted();
        self.evictions.report(n_evicted, event.received, KEYS, out);
        Some(())
    }
}
