//! Alerts on guessed passwords, address by address: more than `threshold` failed logins in any span of
//! `window`, many users failing in any span of `spray-window`, and a login that succeeds after either.
//!
//! Event times come from clients, so they are capped at the record's Kafka time plus `max-future`: a single
//! event far in the future must not move a window past the others. Late events count at their own
//! time. See `docs/plugins/detect_failed_logins.md`.

#![forbid(unsafe_code)]

mod address;
mod attack;
mod config;
mod report;
mod rules;
mod version_1;

use audit_detect::{EventColumns, Origin, State, corrupt, format_of, is_one_of, raise};
use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Judgement,
    RestoreError, Utf8Column, export_detector, log,
};

use address::{Address, Login};
use config::Settings;

/// The version of the state's format. Older versions can be read as well.
const STATE_VERSION: u32 = 3;

/// Distinguishes a state of this detector from any other bytes.
const MAGIC: &[u8] = b"failed-logins";

/// The name of the keys in alerts on evictions.
const KEYS: &str = "addresses with logins";

/// The detector and its state.
#[derive(Debug)]
pub struct DetectFailedLogins {
    settings: Settings,
    addresses: State<Address>,
}

impl Detector for DetectFailedLogins {
    const DESCRIPTION: Description = Description {
        config_schema: config::SCHEMA,
        key_columns: &["ip_address"],
        state_version: STATE_VERSION,
        ..Description::new("detect_failed_logins", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let settings = Settings::from_config(config)?;
        let addresses = State::new(settings.limits);
        Ok((Self { settings, addresses }, Columns::bound(Binding::default())))
    }

    fn process(&mut self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let columns = Columns::of(batch)?;
        let mut n_ignored = 0;
        for row in 0..batch.rows() {
            let Some(is_success) = columns.outcome(row, &self.settings) else {
                continue;
            };
            match columns.login(row, is_success, &self.settings) {
                Some((address, login)) => self.add(address, login, out),
                None => n_ignored += 1,
            }
        }
        if n_ignored > 0 {
            log::warn(&format!("{n_ignored} logins without address or time were not counted"));
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.addresses.snapshot(MAGIC)
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        let addresses = if version == 1 {
            version_1::read(MAGIC, bytes, &self.settings)
        } else {
            let format = format_of(version, STATE_VERSION)?;
            State::read(MAGIC, bytes, self.settings.limits, format)
        };
        self.addresses = addresses.ok_or_else(corrupt)?;
        Ok(())
    }
}

impl DetectFailedLogins {
    fn add(&mut self, address: &[u8], login: Login<'_>, out: &mut Judgement) {
        let settings = &self.settings;
        let key = Origin::of(address).key(address, settings.ipv6_prefix);
        let received = login.event.received;
        let alerts = self
            .addresses
            .touch(&key, received, |known, evictions| known.add(&key, login, settings, evictions));
        for alert in alerts {
            raise(out, alert);
        }
        self.addresses.report(received, KEYS, out);
    }
}

export_detector!(DetectFailedLogins);

/// The columns that the detector reads.
struct Columns<'a> {
    action_type: &'a Utf8Column,
    action_result: &'a Utf8Column,
    ip_address: &'a Utf8Column,
    user_id: &'a Utf8Column,
    events: EventColumns<'a>,
}

impl<'a> Columns<'a> {
    fn bound(binding: Binding) -> Binding {
        let names = ["action_type", "action_result", "ip_address", "user_id"];
        EventColumns::bound(names.iter().fold(binding, |binding, name| binding.reading(name)))
    }

    fn of(batch: &'a Batch) -> Result<Self, Fault> {
        Ok(Self {
            action_type: batch.utf8("action_type")?,
            action_result: batch.utf8("action_result")?,
            ip_address: batch.utf8("ip_address")?,
            user_id: batch.utf8("user_id")?,
            events: EventColumns::of(batch)?,
        })
    }

    /// Whether a login succeeded. `None` if the row is not a login or has another result. Runs for every row:
    /// the action is checked first, because it rules out most of them.
    fn outcome(&self, row: usize, settings: &Settings) -> Option<bool> {
        if !is_one_of(self.action_type, row, &settings.actions) {
            return None;
        }
        if is_one_of(self.action_result, row, &settings.results) {
            return Some(false);
        }
        is_one_of(self.action_result, row, &settings.success_results).then_some(true)
    }

    /// A row as a login. `None` if it has no address or no time.
    fn login(
        &self,
        row: usize,
        is_success: bool,
        settings: &Settings,
    ) -> Option<(&'a [u8], Login<'a>)> {
        let event = self.events.event(row, settings.max_future_micros)?;
        let login = Login { event, user: self.user_id.get(row), is_success };
        Some((self.ip_address.get(row)?, login))
    }
}
