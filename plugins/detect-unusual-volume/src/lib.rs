//! Alerts on hours in which a user does far more of one action than usual: the count of an hour, by event time,
//! compared with the same hours of the user's last weeks.
//!
//! Event times come from clients, so they are capped at the record's Kafka time plus `max-future`. An event
//! older than `max-late` when Kafka receives it is not counted, so that a day that is sent again is not unusual.
//! See `docs/plugins/detect_unusual_volume.md`.

mod baseline;
mod coarse;
mod config;
mod history;
mod profile;
mod report;
mod snapshot;
mod state;

use audit_detect::{Event, EventColumns, corrupt, format_of, is_one_of, key};
use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Judgement,
    RestoreError, Utf8Column, export_detector, log,
};

use config::Settings;
use state::State;

/// The version of the state's format. The previous version can be read as well.
const STATE_VERSION: u32 = 2;

/// The detector and its state.
#[derive(Debug)]
pub struct DetectUnusualVolume {
    settings: Settings,
    state: State,
    /// The key of the current row. A buffer, because every row needs one.
    key: Vec<u8>,
}

impl Detector for DetectUnusualVolume {
    const DESCRIPTION: Description = Description {
        config_schema: config::SCHEMA,
        key_columns: &["user_id", "action_type"],
        state_version: STATE_VERSION,
        ..Description::new("detect_unusual_volume", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let settings = Settings::from_config(config)?;
        let binding = Binding::default().reading("user_id").reading("action_type");
        let state = State::new(&settings);
        Ok((Self { settings, state, key: Vec::new() }, EventColumns::bound(binding)))
    }

    fn process(&mut self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let columns = Columns::of(batch)?;
        let (mut n_unclear, mut n_late) = (0, 0);
        for row in 0..batch.rows() {
            if !is_one_of(columns.action_type, row, &self.settings.actions) {
                continue;
            }
            match columns.seen(row, &self.settings) {
                Seen::Unclear => n_unclear += 1,
                Seen::Late => n_late += 1,
                Seen::Ignored => {}
                Seen::Event { user, action, event } => {
                    report::write_key(&mut self.key, user, action);
                    let added = self.state.add(&self.key, &event, &self.settings, out);
                    n_unclear += usize::from(added.is_none());
                }
            }
        }
        if n_unclear > 0 {
            log::warn(&format!("{n_unclear} events without user or time were not counted"));
        }
        if n_late > 0 {
            log::warn(&format!("{n_late} events that came later than max-late were not counted"));
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.state, &self.settings)
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        let format = format_of(version, STATE_VERSION)?;
        self.state = snapshot::read(bytes, &self.settings, format).ok_or_else(corrupt)?;
        Ok(())
    }
}

export_detector!(DetectUnusualVolume);

/// The columns that the detector reads.
struct Columns<'a> {
    user_id: &'a Utf8Column,
    action_type: &'a Utf8Column,
    event: EventColumns<'a>,
}

/// A row with a counted action.
enum Seen<'a> {
    /// It has no user, time or position.
    Unclear,
    /// It is too late to be counted.
    Late,
    /// Its user is ignored.
    Ignored,
    Event {
        user: &'a [u8],
        action: &'a [u8],
        event: Event,
    },
}

impl<'a> Columns<'a> {
    fn of(batch: &'a Batch) -> Result<Self, Fault> {
        Ok(Self {
            user_id: batch.utf8("user_id")?,
            action_type: batch.utf8("action_type")?,
            event: EventColumns::of(batch)?,
        })
    }

    fn seen(&self, row: usize, settings: &Settings) -> Seen<'a> {
        let user = self.user_id.get(row);
        let action = self.action_type.get(row);
        let event = self.event.event(row, settings.max_future_micros);
        let (Some(user), Some(action), Some(event)) = (user, action, event) else {
            return Seen::Unclear;
        };
        if settings.ignore_users.iter().any(|ignored| ignored == user) {
            return Seen::Ignored;
        }
        if event.received.saturating_sub(event.time) > settings.max_late_micros {
            return Seen::Late;
        }
        Seen::Event { user: key(user), action, event }
    }
}
