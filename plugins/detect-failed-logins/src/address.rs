//! The state of one address.

use audit_detect::{
    Bursts, Event, Evictions, Finding, Format, Remembered, Saved, Sighting, read_sightings,
    write_sightings,
};
use audit_plugin_sdk::Alert;
use audit_plugin_sdk::codec::{Reader, Writer};

use crate::attack::{ATTACK_BYTES, Attack};
use crate::config::Settings;
use crate::report;
use crate::rules::{Guessing, NOBODY, Spraying, is_success, tag};

/// The most successful logins that are kept of an address, for late failures that came before them.
const SUCCESSES_MAX: usize = 32;

/// Bytes of a login that is kept in memory.
const SUCCESS_BYTES: usize = 48;

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
    /// Successful logins, by time. Those in `sprays` are not enough: they move into its windows, and there
    /// are none if the rule is off or a login has no user.
    pub(crate) successes: Vec<Sighting>,
    pub(crate) attack: Option<Attack>,
}

impl Remembered for Address {
    fn n_bytes(&self) -> usize {
        let successes = self.successes.len() * SUCCESS_BYTES;
        self.guesses.n_bytes() + self.sprays.n_bytes() + successes + ATTACK_BYTES
    }
}

impl Saved for Address {
    fn write(&self, writer: &mut Writer) {
        self.guesses.write(writer);
        self.sprays.write(writer);
        write_sightings(writer, &self.successes);
        writer.uint(u64::from(self.attack.is_some()));
        if let Some(attack) = &self.attack {
            attack.write(writer);
        }
    }

    fn read(reader: &mut Reader<'_>, format: Format) -> Option<Self> {
        let (guesses, sprays) = (Bursts::read(reader, format)?, Bursts::read(reader, format)?);
        let successes = match format {
            Format::Current => read_sightings(reader).filter(|kept| kept.len() <= SUCCESSES_MAX)?,
            Format::Previous => previous_successes(&sprays),
        };
        let attack = match reader.uint()? {
            0 => None,
            1 => Some(Attack::read(reader)?),
            _ => return None,
        };
        Some(Self { guesses, sprays, successes, attack })
    }
}

/// The previous release only kept the logins in its sprays. The newest are worth most.
fn previous_successes(sprays: &Bursts) -> Vec<Sighting> {
    let mut successes: Vec<Sighting> =
        sprays.loose().iter().filter(|sighting| is_success(sighting)).copied().collect();
    successes.drain(..successes.len().saturating_sub(SUCCESSES_MAX));
    successes
}

impl Address {
    /// Counts a login. Returns the alerts that it trips.
    pub(crate) fn add(
        &mut self,
        key: &[u8],
        login: Login<'_>,
        settings: &Settings,
        evictions: &mut Evictions,
    ) -> Vec<Alert> {
        let oldest = login.event.received.saturating_sub(settings.kept_micros);
        self.successes.retain(|success| success.event.received >= oldest);
        if login.is_success {
            return self.add_success(key, login, settings, evictions);
        }
        let mut alerts = Vec::new();
        let rule = Guessing(settings);
        let sighting = Sighting { event: login.event, tag: tag(login.user, false) };
        let guessed = self.guesses.add(sighting, &rule, evictions);
        let sprayed = self.add_to_sprays(login, settings, evictions);
        let is_attack = self.guesses.burst_at(login.event.time, &rule).is_some()
            || self.sprays.burst_at(login.event.time, &Spraying(settings)).is_some();
        if let (true, Some(attack)) = (is_attack, &mut self.attack) {
            attack.last = attack.last.max(login.event.time);
        }
        let mut is_new = false;
        for finding in [&guessed, &sprayed].into_iter().flatten().filter(|found| !found.is_rise) {
            self.note(finding, settings);
            is_new = true;
        }
        alerts.extend(guessed.map(|finding| report::guessing(key, &finding, settings)));
        alerts.extend(sprayed.map(|finding| report::spraying(key, &finding, settings)));
        if is_new {
            alerts.extend(self.report_earlier_success(key, settings));
        }
        alerts
    }

    fn add_success(
        &mut self,
        key: &[u8],
        login: Login<'_>,
        settings: &Settings,
        evictions: &mut Evictions,
    ) -> Vec<Alert> {
        self.add_to_sprays(login, settings, evictions);
        self.keep_success(login, settings, evictions);
        if let Some(attack) = &mut self.attack
            && attack.report(login.event.time, settings)
        {
            return vec![report::login(key, attack, login.event, settings)];
        }
        Vec::new()
    }

    /// Keeps a login for late failures. If there is no room, one is dropped that lies between two others at
    /// most `after-attack` apart: one of them follows every attack that it follows.
    fn keep_success(&mut self, login: Login<'_>, settings: &Settings, evictions: &mut Evictions) {
        let limit = settings.after_attack.micros();
        if limit == 0 {
            return;
        }
        let success = Sighting { event: login.event, tag: tag(login.user, true) };
        let order = success.event.order();
        let kept = &mut self.successes;
        let at = kept.partition_point(|other| other.event.order() <= order);
        // Most addresses have one or two: doubling from four would waste most of the memory.
        if kept.len() == kept.capacity() {
            kept.reserve_exact(1 + kept.len() / 2);
        }
        kept.insert(at, success);
        if kept.len() <= SUCCESSES_MAX {
            return;
        }
        let is_spare =
            |three: &[Sighting]| three[2].event.time.saturating_sub(three[0].event.time) <= limit;
        if let Some(before) = kept.windows(3).position(is_spare) {
            let dropped = kept.remove(before + 1).event.received;
            // Both are kept at least as long as the one that they replace.
            for other in &mut kept[before..before + 2] {
                other.event.received = other.event.received.max(dropped);
            }
            return;
        }
        let came = |(_, success): &(usize, &Sighting)| success.event.received;
        if let Some((at, _)) = kept.iter().enumerate().min_by_key(came) {
            kept.remove(at);
            evictions.lose();
        }
    }

    fn add_to_sprays(
        &mut self,
        login: Login<'_>,
        settings: &Settings,
        evictions: &mut Evictions,
    ) -> Option<Finding> {
        let tag = tag(login.user, login.is_success);
        if settings.spray_users == 0 || tag & !1 == NOBODY {
            return None;
        }
        self.sprays.add(Sighting { event: login.event, tag }, &Spraying(settings), evictions)
    }

    /// Records an attack: it continues the current one, unless that started long before.
    fn note(&mut self, finding: &Finding, settings: &Settings) {
        let start = finding.burst.start;
        // The window of a spray also holds users who succeeded.
        let failure = finding.burst.kept.iter().rev().find(|sighting| !is_success(sighting));
        let last = failure.map_or(start, |failure| failure.event.time);
        match &mut self.attack {
            Some(attack) if start.saturating_sub(attack.start) < settings.after_attack.micros() => {
                attack.since = attack.since.min(last);
                attack.last = attack.last.max(last);
            }
            _ => self.attack = Some(Attack { start, since: last, last, is_reported: false }),
        }
    }

    /// A login that was read before the failures that preceded it: another partition lagged.
    fn report_earlier_success(&mut self, key: &[u8], settings: &Settings) -> Option<Alert> {
        let attack = self.attack.as_mut()?;
        let follows = |success: &&Sighting| attack.report(success.event.time, settings);
        let success = self.successes.iter().find(follows)?;
        Some(report::login(key, attack, success.event, settings))
    }
}
