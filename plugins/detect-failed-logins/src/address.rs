//! What is remembered of one address.

use audit_detect::{Bursts, Event, Finding, Remembered, Sighting};
use audit_plugin_sdk::Alert;
use audit_plugin_sdk::codec::{Reader, Writer};

use crate::config::Settings;
use crate::report;
use crate::rules::{Guessing, NOBODY, Spraying, is_success, tag};

/// Memory of an attack.
const ATTACK_BYTES: usize = 32;

/// A login.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) event: Event,
    pub(crate) user: Option<&'a [u8]>,
    pub(crate) is_success: bool,
}

/// An address.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Failures.
    pub(crate) guesses: Bursts,
    /// Users who fail and users who succeed.
    pub(crate) sprays: Bursts,
    pub(crate) attack: Option<Attack>,
}

/// What was alerted on, for as long as a login that follows is worth an alert of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attack {
    /// The start of the first window that was alerted.
    pub(crate) start: i64,
    /// The time of the failure that tripped the rule: what succeeds from then on is the consequence.
    pub(crate) since: i64,
    /// The time of the last failure.
    pub(crate) last: i64,
    /// Whether a login was told. One is enough: the address is then under investigation.
    pub(crate) is_told: bool,
}

impl Remembered for Address {
    fn n_bytes(&self) -> usize {
        self.guesses.n_bytes() + self.sprays.n_bytes() + ATTACK_BYTES
    }
}

impl Address {
    /// Counts a login, and gives what it trips.
    pub(crate) fn add(&mut self, key: &[u8], login: Login<'_>, settings: &Settings) -> Vec<Alert> {
        let mut alerts = Vec::new();
        if login.is_success {
            self.add_to_sprays(login, settings);
            if let Some(attack) = &mut self.attack
                && attack.tell(login.event.time, settings)
            {
                alerts.push(report::login(key, attack, login.event, settings));
            }
            return alerts;
        }
        let rule = Guessing(settings);
        let sighting = Sighting { event: login.event, tag: tag(login.user, false) };
        let guessed = self.guesses.add(sighting, &rule);
        let sprayed = self.add_to_sprays(login, settings);
        let is_attack = self.guesses.burst_at(login.event.time, &rule).is_some()
            || self.sprays.burst_at(login.event.time, &Spraying(settings)).is_some();
        if let (true, Some(attack)) = (is_attack, &mut self.attack) {
            attack.last = attack.last.max(login.event.time);
        }
        let mut is_news = false;
        for finding in [&guessed, &sprayed].into_iter().flatten().filter(|found| !found.is_rise) {
            self.note(finding, settings);
            is_news = true;
        }
        alerts.extend(guessed.map(|finding| report::guessing(key, &finding, settings)));
        alerts.extend(sprayed.map(|finding| report::spraying(key, &finding, settings)));
        if is_news {
            alerts.extend(self.tell_what_came_earlier(key, settings));
        }
        alerts
    }

    fn add_to_sprays(&mut self, login: Login<'_>, settings: &Settings) -> Option<Finding> {
        let tag = tag(login.user, login.is_success);
        if settings.spray_users == 0 || tag & !1 == NOBODY {
            return None;
        }
        self.sprays.add(Sighting { event: login.event, tag }, &Spraying(settings))
    }

    /// Notes an attack: the one that goes on, or another where that began long before.
    fn note(&mut self, finding: &Finding, settings: &Settings) {
        let (start, last) = (finding.burst.start, finding.burst.last);
        match &mut self.attack {
            Some(attack) if start.saturating_sub(attack.start) < settings.after_attack.micros() => {
                attack.since = attack.since.min(last);
                attack.last = attack.last.max(last);
            }
            _ => self.attack = Some(Attack { start, since: last, last, is_told: false }),
        }
    }

    /// A login that was read before the failures that came before it: another partition lagged.
    fn tell_what_came_earlier(&mut self, key: &[u8], settings: &Settings) -> Option<Alert> {
        let attack = self.attack.as_mut()?;
        let successes = self.sprays.loose().iter().filter(|sighting| is_success(sighting));
        for sighting in successes {
            if attack.tell(sighting.event.time, settings) {
                return Some(report::login(key, attack, sighting.event, settings));
            }
        }
        None
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        self.guesses.write(writer);
        self.sprays.write(writer);
        writer.uint(u64::from(self.attack.is_some()));
        if let Some(attack) = &self.attack {
            writer.int(attack.start);
            writer.int(attack.since);
            writer.int(attack.last);
            writer.uint(u64::from(attack.is_told));
        }
    }

    /// `None` for bytes that `write` does not make.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (guesses, sprays) = (Bursts::read(reader)?, Bursts::read(reader)?);
        let attack = match reader.uint()? {
            0 => None,
            1 => Some(Attack {
                start: reader.int()?,
                since: reader.int()?,
                last: reader.int()?,
                is_told: is_set(reader)?,
            }),
            _ => return None,
        };
        Some(Self { guesses, sprays, attack })
    }
}

impl Attack {
    /// Whether a login at a time follows and is to be told.
    fn tell(&mut self, time: i64, settings: &Settings) -> bool {
        let limit = settings.after_attack.micros();
        let follows = limit > 0 && time >= self.since && time.saturating_sub(self.last) <= limit;
        let is_news = follows && !self.is_told;
        self.is_told |= is_news;
        is_news
    }
}

pub(crate) fn is_set(reader: &mut Reader<'_>) -> Option<bool> {
    match reader.uint()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
