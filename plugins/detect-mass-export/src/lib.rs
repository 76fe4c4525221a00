//! Alerts on users who export much in a short time: many exports in a few minutes, or many rows in an
//! hour.
//!
//! The number of rows is in the JSON text of `details`, which is parsed only for exports. Event times are capped
//! and late events counted as by every detector: see `docs/plugins/detect_mass_export.md`.

#![forbid(unsafe_code)]

mod config;
mod details;
mod report;
mod rule;

use audit_detect::{
    Bursts, EventColumns, Sighting, State, corrupt, format_of, is_one_of, key, raise,
};
use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Judgement,
    RestoreError, Utf8Column, export_detector, log,
};

use config::Settings;

/// The version of the state's format. The previous version can be read as well.
const STATE_VERSION: u32 = 2;

/// Distinguishes a state of this detector from any other bytes.
const MAGIC: &[u8] = b"mass-export";

/// The name of the keys in alerts on evictions.
const KEYS: &str = "users with exports";

/// The detector and its state.
#[derive(Debug)]
pub struct DetectMassExport {
    settings: Settings,
    users: State<Bursts>,
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
        let users = State::new(settings.limits);
        Ok((Self { settings, users }, Columns::bound(Binding::default())))
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
        self.users.snapshot(MAGIC)
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        let format = format_of(version, STATE_VERSION)?;
        let users = State::read(MAGIC, bytes, self.settings.limits, format);
        self.users = users.ok_or_else(corrupt)?;
        Ok(())
    }
}

impl DetectMassExport {
    fn add(&mut self, user: &[u8], export: Sighting, out: &mut Judgement) {
        let (settings, received) = (&self.settings, export.event.received);
        let user = key(user);
        let add =
            |exports: &mut Bursts, evictions: &mut _| exports.add(export, settings, evictions);
        if let Some(finding) = self.users.touch(user, received, add) {
            raise(out, report::exports(user, &finding, settings));
        }
        self.users.report(received, KEYS, out);
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

    /// Whether a row counts. Runs for every row: the action is checked first, because it rules out nearly all
    /// of them.
    fn is_export(&self, row: usize, settings: &Settings) -> bool {
        is_one_of(self.action_type, row, &settings.actions)
            && is_one_of(self.action_result, row, &settings.results)
    }

    /// A row as an export, with the exported rows as the tag. `None` if it has no user or no time.
    fn export(&self, row: usize, settings: &Settings) -> Option<(&'a [u8], Sighting)> {
        let event = self.events.event(row, settings.max_future_micros)?;
        let user = self.user_id.get(row)?;
        let details = self.details.get(row).unwrap_or_default();
        Some((user, Sighting { event, tag: details::n_rows(details, &settings.row_fields) }))
    }
}
