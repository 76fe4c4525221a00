//! What is remembered of each user: the closed stretches in which it was seen.

use audit_detect::{Episodes, Evictions, Incident, Keyed, Limits, Remembered};
use audit_hours::Stretch;
use audit_plugin_sdk::Judgement;
use audit_plugin_sdk::codec::{Reader, Writer};

use crate::config::Settings;
use crate::{Access, LATE_MICROS, report};

/// Tells a state of this detector from any other bytes.
const MAGIC: &[u8] = b"off-hours";

/// All users.
#[derive(Debug)]
pub(crate) struct State {
    users: Keyed<User>,
    evictions: Evictions,
}

/// The stretches of a user: each is an episode that starts where the calendar closed.
#[derive(Debug, Default)]
struct User(Episodes);

impl Remembered for User {
    fn n_bytes(&self) -> usize {
        self.0.n_bytes()
    }
}

impl State {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { users: Keyed::new(limits), evictions: Evictions::default() }
    }

    /// Counts an access in a closed stretch and raises the alerts that it trips.
    pub(crate) fn add(
        &mut self,
        access: &Access<'_>,
        stretch: Stretch,
        settings: &Settings,
        out: &mut Judgement,
    ) {
        let Access { user, event, is_urgent } = *access;
        let until = stretch.end.max(event.received).saturating_add(LATE_MICROS);
        let incident = Incident { event, start: stretch.start, until, is_urgent };
        let outbreak = self.users.touch(user, event.received, |user| {
            user.0.add(incident, settings.n_events_min, |episode| episode.start == stretch.start)
        });
        if let Some(outbreak) = outbreak {
            out.alert(report::access(user, outbreak, settings.show_email));
        }
        let n_evicted = self.users.n_evicted();
        if let Some(alert) = self.evictions.due(n_evicted, event.received, report::EVICTED) {
            out.alert(alert);
        }
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        // Close to what is needed, as a vector that grows would take twice that for a moment.
        let mut writer = Writer::with_capacity(self.users.n_bytes() / 3);
        writer.bytes(MAGIC);
        self.users.write(&mut writer, |writer, user| user.0.write(writer));
        self.evictions.write(&mut writer);
        writer.finish()
    }

    /// `None` for bytes that `snapshot` does not make.
    pub(crate) fn restore(bytes: &[u8], limits: Limits) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.bytes()? != MAGIC {
            return None;
        }
        let users = Keyed::read(&mut reader, limits, |reader| {
            Episodes::read(reader).filter(|episodes| !episodes.is_empty()).map(User)
        })?;
        let evictions = Evictions::read(&mut reader, users.n_evicted())?;
        reader.is_at_end().then_some(Self { users, evictions })
    }
}
