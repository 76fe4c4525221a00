//! The state of one actor: its changes of the last hour or two, and what was reported of them.

use audit_detect::{Episodes, Event, Evictions, Format, Incident, Outbreak, Remembered, Saved};
use audit_plugin_sdk::codec::{Reader, Writer};

use crate::change::Change;
use crate::config::Settings;

/// The most changes of an actor that are matched with each other.
const TRACES_MAX: usize = 128;

/// Bytes of a trace in memory, with the slack of a vector.
const TRACE_BYTES: usize = 48;

/// A change, kept to find permissions that were only lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trace {
    time: i64,
    received: i64,
    resource: u64,
    is_grant: bool,
}

/// Why a change is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The actor has no admin role: not urgent by itself.
    NoAdmin,
    /// The actor granted itself something.
    SelfGrant,
    /// What was granted was revoked soon after.
    Lent,
}

/// An actor.
#[derive(Debug, Default)]
pub(crate) struct Actor {
    episodes: Episodes,
    /// In order of arrival.
    traces: Vec<Trace>,
}

impl Remembered for Actor {
    fn n_bytes(&self) -> usize {
        self.episodes.n_bytes() + self.traces.len() * TRACE_BYTES
    }
}

impl Saved for Actor {
    fn write(&self, writer: &mut Writer) {
        self.episodes.write(writer);
        writer.uint(self.traces.len() as u64);
        for trace in &self.traces {
            writer.int(trace.time);
            writer.int(trace.received.wrapping_sub(trace.time));
            writer.uint(trace.resource);
            writer.uint(u64::from(trace.is_grant));
        }
    }

    fn read(reader: &mut Reader<'_>, format: Format) -> Option<Self> {
        let episodes = Episodes::read(reader, format)?;
        let n_traces = reader.count().filter(|&n| n <= TRACES_MAX)?;
        let mut traces = Vec::with_capacity(n_traces);
        for _ in 0..n_traces {
            let time = reader.int()?;
            let received = time.wrapping_add(reader.int()?);
            let resource = reader.uint()?;
            let is_grant = match reader.uint()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            traces.push(Trace { time, received, resource, is_grant });
        }
        Some(Self { episodes, traces })
    }
}

impl Actor {
    /// Counts a change. Returns what to report, and why.
    pub(crate) fn add(
        &mut self,
        change: &Change<'_>,
        settings: &Settings,
        evictions: &mut Evictions,
    ) -> Option<(Outbreak, Reason)> {
        let event = change.event;
        let oldest = event.received.saturating_sub(settings.kept_micros());
        self.traces.retain(|trace| trace.received >= oldest);
        let reason = if change.is_self_grant {
            Reason::SelfGrant
        } else if self.is_lent(change, settings) {
            Reason::Lent
        } else {
            Reason::NoAdmin
        };
        self.trace(change, evictions);
        let window = settings.window_micros;
        let incident = Incident {
            event,
            start: event.time,
            until: event.received.saturating_add(settings.kept_micros()),
            is_urgent: reason != Reason::NoAdmin,
        };
        // Late events before the first one belong to the same run.
        let outbreak = self
            .episodes
            .add(incident, 1, evictions, |episode| is_near(episode.start, event.time, window))?;
        Some((outbreak, reason))
    }

    /// Whether a change is one half of a grant that was revoked within a window. The halves may come in any order.
    fn is_lent(&self, change: &Change<'_>, settings: &Settings) -> bool {
        let Event { time, .. } = change.event;
        self.traces.iter().any(|trace| {
            let (granted, revoked) =
                if change.is_grant { (time, trace.time) } else { (trace.time, time) };
            Some(trace.resource) == change.resource
                && trace.is_grant != change.is_grant
                && granted <= revoked
                && is_near(granted, revoked, settings.window_micros)
        })
    }

    fn trace(&mut self, change: &Change<'_>, evictions: &mut Evictions) {
        let Some(resource) = change.resource else {
            return;
        };
        if self.traces.len() >= TRACES_MAX {
            self.traces.remove(0);
            evictions.lose();
        }
        let Event { time, received, .. } = change.event;
        self.traces.push(Trace { time, received, resource, is_grant: change.is_grant });
    }
}

/// Whether two times are less than a window apart.
fn is_near(a: i64, b: i64, window_micros: i64) -> bool {
    a.abs_diff(b) < window_micros.unsigned_abs()
}
