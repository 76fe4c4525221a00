//! Alerts on users seen from more than `addresses` addresses in any span of `window`: a shared account, or a
//! stolen session next to its owner's.
//!
//! Every row is inspected, so it must be cheap, and a user with many events takes no more state than one with
//! few: of each address only the sightings at the edges of a window are kept. Event times are capped and late
//! events counted as by every detector: see `docs/plugins/detect_ip_spread.md`.

#![forbid(unsafe_code)]

mod config;
mod report;
mod rule;

use audit_detect::{
    Bursts, EventColumns, Origin, Sighting, State, corrupt, format_of, is_one_of, key, raise,
};
use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Judgement,
    RestoreError, Utf8Column, export_detector,
};

use config::Settings;

/// The version of the state's format. The previous version can be read as well.
const STATE_VERSION: u32 = 2;

/// Distinguishes a state of this detector from any other bytes.
const MAGIC: &[u8] = b"ip-spread";

/// The name of the keys in alerts on evictions.
const KEYS: &str = "users with addresses";

/// The detector and its state.
#[derive(Debug)]
pub struct DetectIpSpread {
    settings: Settings,
    users: State<Bursts>,
}

impl Detector for DetectIpSpread {
    const DESCRIPTION: Description = Description {
        config_schema: config::SCHEMA,
        key_columns: &["user_id"],
        state_version: STATE_VERSION,
        ..Description::new("detect_ip_spread", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let settings = Settings::from_config(config)?;
        let binding = Columns::bound(&settings);
        let users = State::new(settings.limits);
        Ok((Self { settings, users }, binding))
    }

    fn process(&mut self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let columns = Columns::of(batch, &self.settings)?;
        for row in 0..batch.rows() {
            // Rows of service accounts and jobs may have no user, address or time.
            if let Some((user, sighting)) = columns.sighting(row, &self.settings) {
                self.add(user, sighting, out);
            }
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

impl DetectIpSpread {
    fn add(&mut self, user: &[u8], sighting: Sighting, out: &mut Judgement) {
        let (settings, received) = (&self.settings, sighting.event.received);
        let user = key(user);
        let add = |seen: &mut Bursts, evictions: &mut _| seen.add(sighting, settings, evictions);
        if let Some(finding) = self.users.touch(user, received, add) {
            raise(out, report::spread(user, &finding, settings));
        }
        self.users.report(received, KEYS, out);
    }
}

export_detector!(DetectIpSpread);

/// The columns that the detector reads. Those of a filter only if it is set.
struct Columns<'a> {
    user_id: &'a Utf8Column,
    ip_address: &'a Utf8Column,
    action_type: Option<&'a Utf8Column>,
    action_result: Option<&'a Utf8Column>,
    events: EventColumns<'a>,
}

impl<'a> Columns<'a> {
    fn bound(settings: &Settings) -> Binding {
        let mut binding = Binding::default().reading("user_id").reading("ip_address");
        if !settings.actions.is_empty() {
            binding = binding.reading("action_type");
        }
        if !settings.results.is_empty() {
            binding = binding.reading("action_result");
        }
        EventColumns::bound(binding)
    }

    fn of(batch: &'a Batch, settings: &Settings) -> Result<Self, Fault> {
        let filtered = |name: &str, wanted: &[Vec<u8>]| {
            if wanted.is_empty() { Ok(None) } else { batch.utf8(name).map(Some) }
        };
        Ok(Self {
            user_id: batch.utf8("user_id")?,
            ip_address: batch.utf8("ip_address")?,
            action_type: filtered("action_type", &settings.actions)?,
            action_result: filtered("action_result", &settings.results)?,
            events: EventColumns::of(batch)?,
        })
    }

    /// A row as a sighting of its user, with the address as the tag. `None` if it does not count.
    fn sighting(&self, row: usize, settings: &Settings) -> Option<(&'a [u8], Sighting)> {
        let is_wanted = |column: Option<&Utf8Column>, wanted: &[Vec<u8>]| {
            column.is_none_or(|column| is_one_of(column, row, wanted))
        };
        if !is_wanted(self.action_result, &settings.results)
            || !is_wanted(self.action_type, &settings.actions)
        {
            return None;
        }
        let (user, address) = (self.user_id.get(row)?, self.ip_address.get(row)?);
        let origin = Origin::of(address);
        if settings.ignored.holds(origin) {
            return None;
        }
        let event = self.events.event(row, settings.max_future_micros)?;
        Some((user, Sighting { event, tag: origin.tag(address, settings.ipv6_prefix) }))
    }
}
