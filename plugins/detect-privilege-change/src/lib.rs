//! Alerts on permissions that were granted or revoked by an actor without an admin role as of that
//! time, and on actors who grant themselves something.
//!
//! An event does not say in which role somebody acted: a table of the host does, as of event time.
//! See `docs/plugins/detect_privilege_change.md`.

#![forbid(unsafe_code)]

mod actor;
mod change;
mod config;
mod details;
mod report;

use audit_detect::{Evictions, Keyed};
use audit_plugin_sdk::codec::{Reader, Writer};
use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Judgement,
    RestoreError, export_detector, log,
};

use actor::Actor;
use config::Settings;

/// The version of the format of the state.
const STATE_VERSION: u32 = 1;

/// Tells a state of this detector from any other bytes.
const MAGIC: &[u8] = b"privilege-change";

/// The detector with what it remembers.
#[derive(Debug)]
pub struct DetectPrivilegeChange {
    settings: Settings,
    actors: Keyed<Actor>,
    evictions: Evictions,
}

impl Detector for DetectPrivilegeChange {
    const DESCRIPTION: Description = Description {
        config_schema: config::SCHEMA,
        key_columns: &["user_id"],
        state_version: STATE_VERSION,
        ..Description::new("detect_privilege_change", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let settings = Settings::from_config(config)?;
        let (actors, evictions) = (Keyed::new(settings.limits), Evictions::default());
        Ok((Self { settings, actors, evictions }, change::bound(Binding::default())))
    }

    fn process(&mut self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        // All questions to the host come before any change of state, as a batch with a fault is judged
        // again.
        let (changes, n_ignored) = change::of_batch(batch, &self.settings)?;
        if n_ignored > 0 {
            log::warn(&format!(
                "{n_ignored} changes of permissions without actor or time were not looked at"
            ));
        }
        for change in changes {
            let now = change.event.received;
            let told =
                self.actors.touch(change.actor, now, |actor| actor.add(&change, &self.settings));
            if let Some((outbreak, reason)) = told {
                out.alert(report::changes(&change, outbreak, reason, &self.settings));
            }
            let n_evicted = self.actors.n_evicted();
            if let Some(alert) = self.evictions.due(n_evicted, now, report::EVICTED) {
                out.alert(alert);
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        // Close to what is needed, as a vector that grows would take twice that for a moment.
        let mut writer = Writer::with_capacity(self.actors.n_bytes() / 3);
        writer.bytes(MAGIC);
        self.actors.write(&mut writer, |writer, actor| actor.write(writer));
        self.evictions.write(&mut writer);
        writer.finish()
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        if version != STATE_VERSION {
            return Err(RestoreError::UnsupportedVersion);
        }
        (self.actors, self.evictions) = self
            .read(bytes)
            .ok_or_else(|| RestoreError::Corrupt("not a state of this detector".to_owned()))?;
        Ok(())
    }
}

export_detector!(DetectPrivilegeChange);

impl DetectPrivilegeChange {
    /// `None` for bytes that `snapshot` does not make.
    fn read(&self, bytes: &[u8]) -> Option<(Keyed<Actor>, Evictions)> {
        let mut reader = Reader::new(bytes);
        if reader.bytes()? != MAGIC {
            return None;
        }
        let actors = Keyed::read(&mut reader, self.settings.limits, |reader| {
            Actor::read(reader).filter(|actor| !actor.is_empty())
        })?;
        let evictions = Evictions::read(&mut reader, actors.n_evicted())?;
        reader.is_at_end().then_some((actors, evictions))
    }
}
