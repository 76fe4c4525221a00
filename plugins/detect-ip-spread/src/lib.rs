//! Alerts on users seen from more than `addresses` addresses in any span of `window`: a shared account,
//! or a stolen session beside its owner's.
//!
//! Every row is looked at, so it must be cheap, and a user with many events takes no more state than one
//! with few: of one address only the sightings at the edges of a window are kept. Times are cut and late
//! events counted as by every detector: see `docs/plugins/detect_ip_spread.md`.

#![forbid(unsafe_code)]

mod config;
mod report;
mod rule;

use audit_detect::{
    Bursts, EventColumns, Evictions, Keyed, Origin, Remembered, Sighting, is_one_of, key,
};
use audit_plugin_sdk::codec::{Reader, Writer};
use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Judgement,
    RestoreError, Utf8Column, export_detector,
};

use config::Settings;

/// The version of the format of a snapshot.
const STATE_VERSION: u32 = 1;

/// Tells a state of this detector from any other bytes.
const MAGIC: &[u8] = b"ip-spread";

/// What is forgotten for want of room, in alerts.
const KEYS: &str = "users with addresses";

/// The detector with what it remembers.
#[derive(Debug)]
pub struct DetectIpSpread {
    settings: Settings,
    users: Keyed<User>,
    evictions: Evictions,
}

/// What is remembered of a user.
#[derive(Debug, Default)]
struct User {
    addresses: Bursts,
}

impl Remembered for User {
    fn n_bytes(&self) -> usize {
        self.addresses.n_bytes()
    }
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
        let (users, evictions) = (Keyed::new(settings.limits), Evictions::default());
        Ok((Self { settings, users, evictions }, binding))
    }

    fn process(&mut self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let columns = Columns::of(batch, &self.settings)?;
        for row in 0..batch.rows() {
            // A row without user, address or time is nobody's: service accounts and jobs have such rows.
            if let Some((user, sighting)) = columns.sighting(row, &self.settings) {
                self.add(user, sighting, out);
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        // Close to what is needed, as a vector that grows would take twice that for a moment.
        let mut writer = Writer::with_capacity(self.users.n_bytes() / 3);
        writer.bytes(MAGIC);
        self.users.write(&mut writer, |writer, user| user.addresses.write(writer));
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

impl DetectIpSpread {
    fn add(&mut self, user: &[u8], sighting: Sighting, out: &mut Judgement) {
        let (settings, received) = (&self.settings, sighting.event.received);
        let user = key(user);
        let found =
            self.users.touch(user, received, |known| known.addresses.add(sighting, settings));
        if let Some(finding) = found {
            out.alert(report::spread(user, &finding, settings));
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
        let user = |reader: &mut Reader<'_>| {
            let addresses = Bursts::read(reader)?;
            Some(User { addresses })
        };
        let users = Keyed::read(&mut reader, self.settings.limits, user)?;
        let evictions = Evictions::read(&mut reader, users.n_evicted())?;
        reader.is_at_end().then_some((users, evictions))
    }
}

export_detector!(DetectIpSpread);

/// The columns that the detector reads, those with a filter only where there is one.
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

    /// A row as a sighting of its user, the address as the tag. `None` where it is none that counts.
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
