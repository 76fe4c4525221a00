//! Alerts on access to data outside business hours: one alert for each user and closed stretch of the
//! calendar, urgent once data is exported, downloaded or deleted.
//!
//! Event times come from clients, so they are capped at the record's Kafka time plus `max-future`. See
//! `docs/plugins/detect_off_hours.md`.

#![forbid(unsafe_code)]

mod calendars;
mod config;
mod report;

use audit_detect::{
    Episodes, Event, EventColumns, Incident, State, corrupt, format_of, key, raise,
};
use audit_hours::Stretch;
use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Judgement,
    RestoreError, Utf8Column, export_detector, log,
};

use calendars::Calendars;
use config::{DAY_MICROS, LATE_MICROS, STRETCH_MICROS_MAX, Settings};

/// The version of the state's format. The previous version can be read as well.
const STATE_VERSION: u32 = 2;

/// Distinguishes a state of this detector from any other bytes.
const MAGIC: &[u8] = b"off-hours";

/// The detector and its state.
#[derive(Debug)]
pub struct DetectOffHours {
    settings: Settings,
    calendars: Calendars,
    /// The closed stretches of each user. Each is an episode that starts when the calendar closed.
    users: State<Episodes>,
}

impl Detector for DetectOffHours {
    const DESCRIPTION: Description = Description {
        config_schema: config::SCHEMA,
        key_columns: &["user_id"],
        state_version: STATE_VERSION,
        ..Description::new("detect_off_hours", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let (settings, calendars) = config::read(config)?;
        let users = State::new(settings.limits);
        let binding = EventColumns::bound(
            Binding::default().reading("action_type").reading("action_result").reading("user_id"),
        );
        Ok((Self { settings, calendars, users }, binding))
    }

    fn process(&mut self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let accesses = self.accesses(batch)?;
        let closed = self.outside(&accesses)?;
        for (access, stretch) in closed {
            add(&mut self.users, access, stretch, &self.settings, out);
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.users.snapshot(MAGIC)
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        let format = format_of(version, STATE_VERSION)?;
        let users = State::read(MAGIC, bytes, self.settings.limits, format);
        self.users = users.ok_or_else(corrupt)?;
        Ok(())
    }
}

export_detector!(DetectOffHours);

/// An event that counts only outside business hours.
struct Access<'a> {
    user: &'a [u8],
    event: Event,
    is_urgent: bool,
}

impl DetectOffHours {
    /// The rows that count, before their time is checked.
    fn accesses<'a>(&self, batch: &'a Batch) -> Result<Vec<Access<'a>>, Fault> {
        let actions = batch.utf8("action_type")?;
        let results = batch.utf8("action_result")?;
        let users = batch.utf8("user_id")?;
        let events = EventColumns::of(batch)?;
        let mut accesses = Vec::new();
        let mut n_ignored = 0;
        for row in 0..batch.rows() {
            let Some(is_urgent) = self.urgency(row, actions, results) else {
                continue;
            };
            match (users.get(row), events.event(row, self.settings.max_future_micros)) {
                (Some(user), Some(event)) => {
                    if !self.settings.ignored.iter().any(|pattern| pattern.matches(user)) {
                        accesses.push(Access { user: key(user), event, is_urgent });
                    }
                }
                _ => n_ignored += 1,
            }
        }
        if n_ignored > 0 {
            log::warn(&format!("{n_ignored} accesses without user or time were skipped"));
        }
        Ok(accesses)
    }

    /// Whether the action of a row is urgent. `None` if the row does not count.
    fn urgency(&self, row: usize, actions: &Utf8Column, results: &Utf8Column) -> Option<bool> {
        let name = actions.get(row)?;
        let action = self.settings.actions.iter().find(|action| action.name == name)?;
        let counts = match &self.settings.results {
            None => true,
            Some(wanted) => audit_detect::is_one_of(results, row, wanted),
        };
        counts.then_some(action.is_urgent)
    }

    /// The accesses in a closed stretch. All calls to the host come before any change of the state, because
    /// a batch with a fault is judged again.
    fn outside<'a>(
        &mut self,
        accesses: &'a [Access<'a>],
    ) -> Result<Vec<(&'a Access<'a>, Stretch)>, Fault> {
        self.calendars.start_batch();
        let of = accesses.iter().map(|access| (access.user, access.event.time));
        let names = self.calendars.names(of)?;
        let mut outside = Vec::new();
        for (index, access) in accesses.iter().enumerate() {
            let stretch = self.calendars.at(&names, index, access.event.time)?;
            if !stretch.is_open {
                outside.push((access, part_of(stretch, access.event.time)));
            }
        }
        Ok(outside)
    }
}

/// Counts an access in a closed stretch and raises the alerts that it trips.
fn add(
    users: &mut State<Episodes>,
    access: &Access<'_>,
    stretch: Stretch,
    settings: &Settings,
    out: &mut Judgement,
) {
    let Access { user, event, is_urgent } = *access;
    let start = stretch.start;
    let until = stretch.end.max(event.received).saturating_add(LATE_MICROS);
    let incident = Incident { event, start, until, is_urgent };
    let outbreak = users.touch(user, event.received, |stretches, evictions| {
        stretches.add(incident, settings.n_events_min, evictions, |episode| episode.start == start)
    });
    if let Some(outbreak) = outbreak {
        raise(out, report::access(user, outbreak, settings.show_email));
    }
    users.report(event.received, report::EVICTED, out);
}

/// The part of a closed stretch that a time lies in: all of it, unless it is very long. If the start is
/// unbounded or long ago, the parts are counted from 1970.
fn part_of(stretch: Stretch, time: i64) -> Stretch {
    let since = time.saturating_sub(stretch.start);
    if stretch.end.saturating_sub(stretch.start) <= STRETCH_MICROS_MAX {
        return stretch;
    }
    let is_known = since < 400 * DAY_MICROS;
    let into = if is_known { since } else { time }.rem_euclid(STRETCH_MICROS_MAX);
    let start = time.saturating_sub(into);
    let end = start.saturating_add(STRETCH_MICROS_MAX).min(stretch.end);
    Stretch { start: start.max(stretch.start), end, is_open: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_without_end_is_split() {
        let month = STRETCH_MICROS_MAX;
        let check = |start, end, time, expected: (i64, i64)| {
            let part = part_of(Stretch { start, end, is_open: false }, time);
            assert_eq!((part.start, part.end), expected);
            assert!(part.covers(time));
        };
        check(5, 5 + month, 7, (5, 5 + month));
        check(5, 6 + month, 4 + month, (5, 5 + month));
        check(5, 6 + month, 5 + month, (5 + month, 6 + month));
        check(i64::MIN, i64::MAX, 3 * month + 1, (3 * month, 4 * month));
        check(i64::MIN, i64::MAX, -1, (-month, 0));
        check(i64::MIN, 7, 6, (0, 7));
        check(i64::MIN, i64::MAX, i64::MIN + 1, (i64::MIN, i64::MIN + month));
    }
}
