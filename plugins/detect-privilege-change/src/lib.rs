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

use audit_detect::{State, corrupt, format_of, raise};
use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Judgement,
    RestoreError, export_detector, log,
};

use actor::Actor;
use config::Settings;

/// The version of the state's format. The previous version can be read as well.
const STATE_VERSION: u32 = 2;

/// Distinguishes a state of this detector from any other bytes.
const MAGIC: &[u8] = b"privilege-change";

/// The detector and its state.
#[derive(Debug)]
pub struct DetectPrivilegeChange {
    settings: Settings,
    actors: State<Actor>,
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
        let actors = State::new(settings.limits);
        Ok((Self { settings, actors }, change::bound(Binding::default())))
    }

    fn process(&mut self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        // All calls to the host come before any change of the state, because a batch with a fault is judged
        // again.
        let (changes, n_ignored) = change::of_batch(batch, &self.settings)?;
        if n_ignored > 0 {
            log::warn(&format!(
                "{n_ignored} changes of permissions without actor or time were skipped"
            ));
        }
        for change in changes {
            let now = change.event.received;
            let outbreak = self.actors.touch(change.actor, now, |actor, evictions| {
                actor.add(&change, &self.settings, evictions)
            });
            if let Some((outbreak, reason)) = outbreak {
                raise(out, report::changes(&change, outbreak, reason, &self.settings));
            }
            self.actors.report(now, report::EVICTED, out);
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.actors.snapshot(MAGIC)
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        let format = format_of(version, STATE_VERSION)?;
        let actors = State::read(MAGIC, bytes, self.settings.limits, format);
        self.actors = actors.ok_or_else(corrupt)?;
        Ok(())
    }
}

export_detector!(DetectPrivilegeChange);
