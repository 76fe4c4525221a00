//! An attack from one address.

use audit_plugin_sdk::codec::{Reader, Writer};

use crate::config::Settings;

/// Bytes of an attack in memory.
pub(crate) const ATTACK_BYTES: usize = 32;

/// An attack that was reported. It is kept as long as a login after it is worth an alert of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attack {
    /// The start of the first alerted window.
    pub(crate) start: i64,
    /// The time of the failure that tripped the rule: a login from then on is the consequence.
    pub(crate) since: i64,
    /// The time of the last failure.
    pub(crate) last: i64,
    /// Whether a login after it was reported. One is enough: the address is then under investigation.
    pub(crate) is_reported: bool,
}

impl Attack {
    /// Whether a login at a time follows the attack and is the first to be reported.
    pub(crate) fn report(&mut self, time: i64, settings: &Settings) -> bool {
        let limit = settings.after_attack.micros();
        let follows = limit > 0 && time >= self.since && time.saturating_sub(self.last) <= limit;
        let is_new = follows && !self.is_reported;
        self.is_reported |= is_new;
        is_new
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.int(self.start);
        writer.int(self.since);
        writer.int(self.last);
        writer.uint(u64::from(self.is_reported));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            start: reader.int()?,
            since: reader.int()?,
            last: reader.int()?,
            is_reported: is_set(reader)?,
        })
    }
}

pub(crate) fn is_set(reader: &mut Reader<'_>) -> Option<bool> {
    match reader.uint()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
