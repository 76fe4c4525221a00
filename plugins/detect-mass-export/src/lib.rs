//! Alerts on users who export much in a short time: many exports in a few minutes, or many rows in an
//! hour.
//!
//! The number of rows stands in the JSON text of `details`, which is looked at for exports alone. Times
//! are cut and late events counted as by every detector: see `docs/plugins/detect_mass_export.md`.

#![forbid(unsafe_code)]

mod config;
mod details;
mod report;
mod rule;

use audit_detect::{Bursts, EventColumns, Evictions, Keyed, Remembered, Sighting, is_one_of, key};
use audit_plugin_sdk::codec::{Reader, Writer};
use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Judgement,
    RestoreError, Utf8Column, export_detector, log,
};

use config::Settings;

/// The version of the format of a snapshot.
const STATE_VERSION: u32 = 1;

/// Tells a state of this detector from any other bytes.
const MAGIC: &[u8] = b"mass-export";

/// What is forgotten for want of room, in alerts.
const KEYS: &str = "users with exports";

/// The detector with what it remembers.
#[derive(Debug)]
pub struct DetectMassExport {
    settings: Settings,
    users: Keyed<User>,
    evictions: Evictions,
}

/// What is remembered of a user.
#[derive(Debug, Default)]
struct User {
    exports: Bursts,
}

impl Remembered for User {
    fn n_bytes(&self) -> usize {
        self.exports.n_bytes()
    }
}

impl Detector for DetectMassExport {
    const DESCRIPTION: Description = Description {
        config_schema: config::SCHEMA,
        key_columns: &["user_id"],
        state_version: STATE_VERSION,
        ..Description::new("detect_mass_export", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let settings = Settings::from_config(config)?;
        let (users, evictions) = (Keyed::new(settings.limits), Evictions::default());
        Ok((Self { settings, users, evictions }, Columns::bound(Binding::default())))
    }

    fn process(&mut self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let columns = Columns::of(batch)?;
        let mut n_ignored = 0;
        for row in 0..batch.rows() {
            if !columns.is_export(row, &self.settings) {
                continue;
            }
            match columns.export(row, &self.settings) {
                Some((user, export)) => self.add(user, export, out),
                None => n_ignored += 1,
            }
        }
        if n_ignored > 0 {
            log::warn(&format!("{n_ignored} exports without user or time were not counted"));
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        // Close to what is needed, as a vector that grows would take twice that for a moment.
        let mut writer = Writer::with_capacity(self.users.n_bytes() / 3);
        writer.bytes(MAGIC);
        self.users.write(&mut writer, |writer, user| user.exports.write(writer));
        self.evictions.write(&mut writer);
        writer.finish()
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        if version != STATE_VERSION {
            return Err(RestoreError::UnsupportedVersion);
        }
        let corrupt = || RestoreError::Corrupt("not a state of this detector".to_owned());
        (self.users, self.evictions) = self.read(bytes).ok_or_else(corrupt)?;
        Ok(())
    }
}

impl DetectMassExport {
    fn add(&mut self, user: &[u8], export: Sighting, out: &mut Judgement) {
        let (settings, received) = (&self.settings, export.event.received);
        let user = key(user);
        let found = self.users.touch(user, received, |known| known.exports.add(export, settings));
        if let Some(finding) = found {
            out.alert(report::exports(user, &finding, settings));
        }
        if let Some(alert) = self.evictions.due(self.users.n_evicted(), received, KEYS) {
            out.alert(alert);
        }
    }

    /// `None` for bytes that `snapshot` does not make.
    fn read(&self, bytes: &[u8]) -> Option<(Keyed<User>, Evictions)> {
        let mut reader = Reader::new(bytes);
        if reader.bytes()? != MAGIC {
            return None;
        }
        let user = |reader: &mut Reader<'_>| Bursts::read(reader).map(|exports| User { exports });
        let users = Keyed::read(&mut reader, self.settings.limits, user)?;
        let evictions = Evictions::read(&mut reader, users.n_evicted())?;
        reader.is_at_end().then_some((users, evictions))
    }
}

export_detector!(DetectMassExport);

/// The columns that the detector reads.
struct Columns<'a> {
    action_type: &'a Utf8Column,
    action_result: &'a Utf8Column,
    user_id: &'a Utf8Column,
    details: &'a Utf8Column,
    events: EventColumns<'a>,
}

impl<'a> Columns<'a> {
    fn bound(binding: Binding) -> Binding {
        let names = ["action_type", "action_result", "user_id", "details"];
        EventColumns::bound(names.iter().fold(binding, |binding, name| binding.reading(name)))
    }

    fn of(batch: &'a Batch) -> Result<Self, Fault> {
        Ok(Self {
            action_type: batch.utf8("action_type")?,
            action_result: batch.utf8("action_result")?,
            user_id: batch.utf8("user_id")?,
            details: batch.utf8("details")?,
            events: EventColumns::of(batch)?,
        })
    }

    /// Whether a row is what the detector counts. Asked of every row: the action comes first, as it rules
    /// out nearly all of them.
    fn is_export(&self, row: usize, settings: &Settings) -> bool {
        is_one_of(self.action_type, row, &settings.actions)
            && is_one_of(self.action_result, row, &settings.results)
    }

    /// A row as an export, its rows as the tag. `None` where it has no user or no time to count it under.
    fn export(&self, row: usize, settings: &Settings) -> Option<(&'a [u8], Sighting)> {
        let event = self.events.event(row, settings.max_future_micros)?;
        let user = self.user_id.get(row)?;
        let details = self.details.get(row).unwrap_or_default();
        Some((user, Sighting { event, tag: details::n_rows(details, &settings.row_fields) }))
    }
}
