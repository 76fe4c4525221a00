//! What is remembered of one address.

use audit_detect::{
    Bursts, Event, Evictions, Finding, Format, Remembered, Saved, Sighting, read_sightings,
    write_sightings,
};
use audit_plugin_sdk::Alert;
use audit_plugin_sdk::codec::{Reader, Writer};

use crate::config::Settings;
use crate::report;
use crate::rules::{Guessing, NOBODY, Spraying, is_success, tag};

/// The most logins that are kept of an address for failures before them that come late.
const SUCCESSES_MAX: usize = 32;

/// Memory of an attack and of a login that is kept.
const ATTACK_BYTES: usize = 32;
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
    /// Logins that succeeded, by time. Those in `sprays` are not enough: they are moved into its windows,
    /// and none are there where the rule is off or a login has no user.
    pub(crate) successes: Vec<Sighting>,
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
            writer.int(attack.start);
            writer.int(attack.since);
            writer.int(attack.last);
            writer.uint(u64::from(attack.is_told));
        }
    }

    fn read(reader: &mut Reader<'_>, format: Format) -> Option<Self> {
        let (guesses, sprays) = (Bursts::read(reader, format)?, Bursts::read(reader, format)?);
        let successes = match format {
            Format::Now => read_sightings(reader).filter(|kept| kept.len() <= SUCCESSES_MAX)?,
            Format::Before => successes_before(&sprays),
        };
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
        Some(Self { guesses, sprays, successes, attack })
    }
}

/// The release before had no other logins than those of its sprays. Those that came last are worth most.
fn successes_before(sprays: &Bursts) -> Vec<Sighting> {
    let mut successes: Vec<Sighting> =
        sprays.loose().iter().filter(|sighting| is_success(sighting)).copied().collect();
    successes.drain(..successes.len().saturating_sub(SUCCESSES_MAX));
    successes
}

impl Address {
    /// Counts a login, and gives what it trips.
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
            && attack.tell(login.event.time, settings)
        {
            return vec![report::login(key, attack, login.event, settings)];
        }
        Vec::new()
    }

    /// Keeps a login for failures that come late. Where there is no room, one goes that lies between two
    /// others no more than `after-attack` apart: whatever attack it follows, one of them follows as well.
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
            // Both are kept for as long as the one that they stand for.
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

    /// Notes an attack: the one that goes on, or another where that began long before.
    fn note(&mut self, finding: &Finding, settings: &Settings) {
        let start = finding.burst.start;
        // The window of a spray holds users who succeed as well.
        let failure = finding.burst.kept.iter().rev().find(|sighting| !is_success(sighting));
        let last = failure.map_or(start, |failure| failure.event.time);
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
        let follows = |success: &&Sighting| attack.tell(success.event.time, settings);
        let success = self.successes.iter().find(follows)?;
        Some(report::login(key, attack, success.event, settings))
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
