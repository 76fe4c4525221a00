//! Alerts on bursts of failed logins from one address: more than `threshold` failures in any span of
//! `window`, by event time.
//!
//! Event times come from clients, so a time is never believed to be later than the record's Kafka
//! time plus `max-future`: a single event stamped far ahead must not move a window past the others.
//! Late events count where they belong. See `docs/plugins/detect_failed_logins.md`.

mod address;
mod config;
mod report;
mod snapshot;
mod state;

use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Fixed, Judgement,
    RestoreError, Utf8Column, export_detector, log,
};

use address::Failure;
use config::Settings;
use state::State;

/// The version of the format of [`snapshot`].
const STATE_VERSION: u32 = 1;

/// The detector with what it remembers.
#[derive(Debug)]
pub struct DetectFailedLogins {
    settings: Settings,
    state: State,
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
        let binding =
            Columns::NAMES.iter().fold(Binding::default(), |binding, name| binding.reading(name));
        let state = State::default();
        Ok((Self { settings, state }, binding))
    }

    fn process(&mut self, ctx: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let columns = Columns::of(batch)?;
        let mut n_ignored = 0;
        for row in 0..batch.rows() {
            if !columns.is_failed_login(row, &self.settings) {
                continue;
            }
            match columns.failure(row, &self.settings) {
                Some((address, failure)) => self.state.add(address, failure, &self.settings),
                None => n_ignored += 1,
            }
        }
        if n_ignored > 0 {
            self.state.n_ignored += n_ignored;
            log::warn(&format!(
                "{n_ignored} failed logins without address or time were not counted"
            ));
        }
        self.state.report_bursts(&self.settings, out);
        self.state.report_evictions(ctx.clock, out);
        self.state.forget_old(ctx.clock, &self.settings);
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.state)
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        if version != STATE_VERSION {
            return Err(RestoreError::UnsupportedVersion);
        }
        self.state = snapshot::read(bytes, &self.settings)
            .ok_or_else(|| RestoreError::Corrupt("not a state of this detector".to_owned()))?;
        Ok(())
    }
}

export_detector!(DetectFailedLogins);

/// The columns that the detector reads.
struct Columns<'a> {
    action_type: &'a Utf8Column,
    action_result: &'a Utf8Column,
    ip_address: &'a Utf8Column,
    user_id: &'a Utf8Column,
    event_timestamp: &'a Fixed<i64>,
    source_timestamp: &'a Fixed<i64>,
    source_partition: &'a Fixed<i32>,
    source_offset: &'a Fixed<i64>,
}

impl<'a> Columns<'a> {
    const NAMES: [&'static str; 8] = [
        "action_type",
        "action_result",
        "ip_address",
        "user_id",
        "event_timestamp",
        "source_timestamp",
        "source_partition",
        "source_offset",
    ];

    fn of(batch: &'a Batch) -> Result<Self, Fault> {
        Ok(Self {
            action_type: batch.utf8("action_type")?,
            action_result: batch.utf8("action_result")?,
            ip_address: batch.utf8("ip_address")?,
            user_id: batch.utf8("user_id")?,
            event_timestamp: batch.timestamp("event_timestamp")?,
            source_timestamp: batch.timestamp("source_timestamp")?,
            source_partition: batch.int32("source_partition")?,
            source_offset: batch.int64("source_offset")?,
        })
    }

    /// Whether a row is what the detector counts. Asked of every row: the result comes first, as it
    /// rules out nearly all of them.
    fn is_failed_login(&self, row: usize, settings: &Settings) -> bool {
        let is_one_of = |column: &Utf8Column, wanted: &[Vec<u8>]| {
            column.get(row).is_some_and(|value| wanted.iter().any(|wanted| wanted == value))
        };
        is_one_of(self.action_result, &settings.results)
            && is_one_of(self.action_type, &settings.actions)
    }

    /// A row as a failure. `None` where it has no address or no time to count it under.
    fn failure(&self, row: usize, settings: &Settings) -> Option<(&'a [u8], Failure)> {
        let received = self.source_timestamp.get(row)?;
        let latest = received.saturating_add(settings.max_future_micros);
        let failure = Failure {
            time: self.event_timestamp.get(row)?.min(latest),
            received,
            partition: self.source_partition.get(row)?,
            offset: self.source_offset.get(row)?,
            user: self.user_id.get(row).map_or(0, user_hash),
        };
        Some((address::key(self.ip_address.get(row)?), failure))
    }
}

/// FNV-1a of 32 bits, for the number of distinct users only: a collision makes it one too small. 0
/// stands for no user.
fn user_hash(user: &[u8]) -> u32 {
    let hash = user
        .iter()
        .fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.max(1)
}
