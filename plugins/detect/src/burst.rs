//! Bursts of one key: the sightings that no alert covers yet, and the windows that were alerted.
//!
//! Each sighting of a key counts in one place. One inside an alerted window belongs to that window and
//! counts nowhere else. One that comes late and lies less than a window before an alerted one (another
//! partition was read later, or the first events had clocks ahead) belongs to the same burst: otherwise one
//! burst would raise two alerts. It counts there and may raise the severity. The burst keeps the start with
//! which it was reported, so that a few events that claim to be later cannot hide many. So every span that
//! holds too much either raises an alert or touches an alerted window, and steady activity raises one alert
//! per window.

use audit_plugin_sdk::codec::{Reader, Writer};
use audit_plugin_sdk::{Alert, Field, Position, Severity};

use crate::alert::{EVENTS_MAX, severity_code, severity_of};
use crate::event::Event;
use crate::evictions::Evictions;
use crate::keyed::Remembered;
use crate::saved::{Format, Saved};

/// The most sightings of a key that no alert covers. The threshold of a rule must be lower.
pub const LOOSE_MAX: usize = 1_000;

/// The most windows that are kept of a key. A key has more than three or four only if events are
/// backdated over a long time.
const ALERTED_MAX: usize = 64;

/// The lateness that is always tolerated, even for a shorter window: a partition may lag that much.
const LATE_MICROS: i64 = 3_600_000_000;

/// Bytes of a sighting and of a window in memory, with the slack of vectors.
const SIGHTING_BYTES: usize = 56;
const BURST_BYTES: usize = 104;

/// How long a sighting is kept after its arrival, for a rule with this window: an event that is late by up
/// to a window or an hour still meets all of its neighbors.
pub const fn kept_micros(window_micros: i64) -> i64 {
    let late = if window_micros > LATE_MICROS { window_micros } else { LATE_MICROS };
    window_micros + late
}

/// What a detector counts in windows.
pub trait Rule {
    /// The length of a window.
    fn window_micros(&self) -> i64;

    /// The first of the sightings that exceed the threshold together with the new one at `at`. All lie
    /// within one window of the first. The sightings are sorted by time and in no alerted window.
    fn first_of_burst(&self, loose: &[Sighting], at: usize) -> Option<usize>;

    /// The severity of a window with the sighting at `at` of those that it keeps. Called after each of them
    /// until the worst severity was reported. The result may fall; the reported severity does not.
    fn severity(&self, burst: &Burst, at: usize) -> Severity;

    /// The highest result of `severity`. After it there is nothing more to report.
    fn worst(&self) -> Severity;

    /// The weight that a sighting adds to a window.
    fn weight(&self, _sighting: &Sighting) -> u64 {
        0
    }

    /// How many sightings an alerted window keeps until the worst severity was reported.
    fn n_kept(&self) -> usize {
        EVENTS_MAX
    }

    /// Whether the rule only depends on which tags a span holds. Then a sighting between two others of the
    /// same tag, at most a window apart, need not be kept: every span that holds it holds one of the two. A
    /// key then has about two sightings per tag and window, no matter how many events it has.
    fn is_of_tags(&self) -> bool {
        false
    }
}

/// An event as a rule counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// When and where.
    pub event: Event,
    /// What the rule counts: a user, an address, a number of rows.
    pub tag: u64,
}

/// An alerted window: from `start` for the length of the rule's window, and late events up to the same
/// length before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burst {
    /// The time of the first sighting when it was reported. The host identifies the alert by it, so it
    /// never changes.
    pub start: i64,
    /// The time of the first sighting.
    pub first: i64,
    /// The time of the last one.
    pub last: i64,
    /// The newest Kafka time of its sightings.
    pub received: i64,
    /// The number of its sightings. `kept` may hold fewer.
    pub n_events: u64,
    /// Their total weight.
    pub weight: u64,
    /// The highest severity so far.
    pub severity: Severity,
    /// Sorted. Empty once the worst severity was reported.
    pub kept: Vec<Sighting>,
}

/// A burst to report: a new one, or one whose severity rose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The burst as of the event that tripped the rule.
    pub burst: Burst,
    /// Whether it was reported before, with a lower severity.
    pub is_rise: bool,
}

impl Finding {
    /// The alert. A rise has a rule of its own, because the host takes two alerts with the same rule, key
    /// and window for one. The detector may set another `count`.
    pub fn alert(&self, rule: &str, key: Vec<Field>, message: String, labels: Vec<Field>) -> Alert {
        let burst = &self.burst;
        let rule = match (self.is_rise, burst.severity) {
            (false, _) => rule.to_owned(),
            (true, Severity::Critical) => format!("{rule}-critical"),
            (true, _) => format!("{rule}-escalated"),
        };
        Alert {
            rule,
            severity: burst.severity,
            key,
            window_start: burst.start,
            first_event: burst.first,
            last_event: burst.last,
            count: burst.n_events,
            events: positions(burst.kept.iter()),
            message,
            labels,
        }
    }
}

/// The positions of the newest sightings, oldest first.
pub fn positions<'a>(sightings: impl DoubleEndedIterator<Item = &'a Sighting>) -> Vec<Position> {
    let newest = sightings.rev().take(EVENTS_MAX);
    let mut positions: Vec<Position> = newest.map(|sighting| sighting.event.position()).collect();
    positions.reverse();
    positions
}

/// The bursts of a key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Bursts {
    /// Sorted.
    loose: Vec<Sighting>,
    /// In the order in which they opened.
    alerted: Vec<Burst>,
}

impl Bursts {
    /// Counts an event. A finding must be reported at once, with the state as of that event, so that batch
    /// boundaries make no difference. Dropping a sighting or a window because there is no room counts as an
    /// eviction.
    pub fn add(
        &mut self,
        sighting: Sighting,
        rule: &impl Rule,
        evictions: &mut Evictions,
    ) -> Option<Finding> {
        let window = rule.window_micros();
        self.forget_before(sighting.event.received.saturating_sub(kept_micros(window)));
        let time = sighting.event.time;
        if let Some(burst) = self.alerted.iter_mut().find(|burst| burst.covers(time, window)) {
            return burst.add(sighting, rule);
        }
        // No two windows start less than a window apart, so there is at most one.
        if let Some(burst) = self.alerted.iter_mut().find(|burst| burst.follows(time, window)) {
            return burst.add(sighting, rule);
        }
        let at = if rule.is_of_tags() {
            insert_tag(&mut self.loose, sighting, window)?
        } else {
            insert(&mut self.loose, sighting)
        };
        if let Some(first) = rule.first_of_burst(&self.loose, at) {
            return Some(self.open(first, rule, evictions));
        }
        if self.loose.len() > LOOSE_MAX {
            self.drop_lightest(sighting.event.received, rule);
            evictions.lose();
        }
        None
    }

    /// Bursts from another format of a state. `None` for parts that no detector could have written.
    pub fn from_parts(loose: Vec<Sighting>, alerted: Vec<Burst>) -> Option<Self> {
        let is_sorted =
            |sightings: &[Sighting]| sightings.is_sorted_by_key(|sighting| sighting.event.order());
        let is_sound = loose.len() <= LOOSE_MAX
            && alerted.len() <= ALERTED_MAX
            && is_sorted(&loose)
            && alerted.iter().all(|burst| burst.is_sound() && is_sorted(&burst.kept));
        is_sound.then_some(Self { loose, alerted })
    }

    /// The sightings that no alert covers, by time.
    pub fn loose(&self) -> &[Sighting] {
        &self.loose
    }

    /// The alerted window that an event belongs to.
    pub fn burst_at(&self, time: i64, rule: &impl Rule) -> Option<&Burst> {
        self.alerted.iter().find(|burst| burst.covers(time, rule.window_micros()))
    }

    fn forget_before(&mut self, received: i64) {
        self.loose.retain(|sighting| sighting.event.received >= received);
        self.alerted.retain(|burst| burst.received >= received);
    }

    /// Opens the window that starts at a loose sighting and moves the sightings in it there.
    fn open(&mut self, first: usize, rule: &impl Rule, evictions: &mut Evictions) -> Finding {
        let start = self.loose[first].event.time;
        let mut burst = Burst {
            start,
            first: start,
            last: start,
            received: i64::MIN,
            n_events: 0,
            weight: 0,
            severity: Severity::Info,
            kept: Vec::new(),
        };
        let is_inside = |sighting: &Sighting| {
            let since = sighting.event.time.saturating_sub(start);
            sighting.event.time >= start && since < rule.window_micros()
        };
        for sighting in self.loose.iter().filter(|sighting| is_inside(sighting)) {
            burst.take(*sighting, rule);
        }
        self.loose.retain(|sighting| !is_inside(sighting));
        self.loose.shrink_to_fit();
        let finding = Finding { burst: burst.clone(), is_rise: false };
        burst.settle(rule);
        self.alerted.reserve_exact(1);
        self.alerted.push(burst);
        if self.alerted.len() > ALERTED_MAX {
            self.alerted.remove(0);
            evictions.lose();
        }
        finding
    }

    /// Makes room for one sighting. Those that came more than a window ago are kept only for late events,
    /// so they go first. If there are none, the key has very many events with times far apart: then the
    /// lightest of the older half by arrival goes, so that many light sightings displace neither a heavy
    /// one nor the new ones.
    fn drop_lightest(&mut self, now: i64, rule: &impl Rule) {
        let mut arrivals: Vec<_> = self.loose.iter().map(arrival).collect();
        let half = arrivals.len() / 2;
        let (_, &mut middle, _) = arrivals.select_nth_unstable(half);
        let long_ago = now.saturating_sub(rule.window_micros());
        let is_old = |sighting: &Sighting| sighting.event.received <= long_ago;
        let any_old = self.loose.iter().any(is_old);
        let may_go = |(_, sighting): &(usize, &Sighting)| {
            if any_old { is_old(sighting) } else { arrival(sighting) <= middle }
        };
        let rank = |(_, sighting): &(usize, &Sighting)| (rule.weight(sighting), arrival(sighting));
        if let Some((at, _)) = self.loose.iter().enumerate().filter(may_go).min_by_key(rank) {
            self.loose.remove(at);
        }
    }
}

impl Remembered for Bursts {
    fn n_bytes(&self) -> usize {
        let alerted =
            self.alerted.iter().map(|burst| BURST_BYTES + burst.kept.len() * SIGHTING_BYTES);
        self.loose.len() * SIGHTING_BYTES + alerted.sum::<usize>()
    }
}

impl Saved for Bursts {
    fn write(&self, writer: &mut Writer) {
        write_sightings(writer, &self.loose);
        writer.uint(self.alerted.len() as u64);
        for burst in &self.alerted {
            writer.int(burst.start);
            writer.int(burst.start.wrapping_sub(burst.first));
            writer.int(burst.last);
            writer.int(burst.received);
            writer.uint(burst.n_events);
            writer.uint(burst.weight);
            writer.uint(severity_code(burst.severity));
            write_sightings(writer, &burst.kept);
        }
    }

    fn read(reader: &mut Reader<'_>, format: Format) -> Option<Self> {
        let loose = read_sightings(reader)?;
        let n_alerted = reader.count().filter(|&n| n <= ALERTED_MAX)?;
        let mut alerted = Vec::with_capacity(n_alerted);
        for _ in 0..n_alerted {
            alerted.push(Burst::read(reader, format)?);
        }
        Some(Self { loose, alerted })
    }
}

impl Burst {
    fn covers(&self, time: i64, window_micros: i64) -> bool {
        time >= self.start && time.saturating_sub(self.start) < window_micros
    }

    fn follows(&self, time: i64, window_micros: i64) -> bool {
        time < self.start && self.start.saturating_sub(time) < window_micros
    }

    /// Counts one more sighting after the alert.
    fn add(&mut self, sighting: Sighting, rule: &impl Rule) -> Option<Finding> {
        let before = self.severity;
        self.take(sighting, rule);
        if self.severity == before {
            return None;
        }
        let finding = Finding { burst: self.clone(), is_rise: true };
        self.settle(rule);
        Some(finding)
    }

    fn take(&mut self, sighting: Sighting, rule: &impl Rule) {
        self.n_events += 1;
        self.weight = self.weight.saturating_add(rule.weight(&sighting));
        self.first = self.first.min(sighting.event.time);
        self.last = self.last.max(sighting.event.time);
        self.received = self.received.max(sighting.event.received);
        if self.severity == rule.worst() && self.kept.is_empty() {
            return;
        }
        let at = insert(&mut self.kept, sighting);
        self.severity = self.severity.max(rule.severity(self, at));
        if self.kept.len() > rule.n_kept()
            && let Some(at) = first_arrived(&self.kept)
        {
            self.kept.remove(at);
        }
    }

    /// Drops the sightings once the worst severity was reported: from then on the counts are enough.
    fn settle(&mut self, rule: &impl Rule) {
        if self.severity == rule.worst() {
            self.kept = Vec::new();
        }
    }

    fn is_sound(&self) -> bool {
        self.first <= self.start
            && self.start <= self.last
            && self.n_events >= self.kept.len() as u64
            && self.n_events < u64::MAX / 2
            && self.kept.len() <= LOOSE_MAX
    }

    fn read(reader: &mut Reader<'_>, format: Format) -> Option<Self> {
        let start = reader.int()?;
        let first = match format {
            Format::Previous => start,
            Format::Current => start.wrapping_sub(reader.int()?),
        };
        let (last, received) = (reader.int()?, reader.int()?);
        let (n_events, weight) = (reader.uint()?, reader.uint()?);
        let severity = severity_of(reader.uint()?)?;
        let kept = read_sightings(reader)?;
        let burst = Self { start, first, last, received, n_events, weight, severity, kept };
        burst.is_sound().then_some(burst)
    }
}

/// The order in which sightings came: by Kafka time, then by position.
fn arrival(sighting: &Sighting) -> (i64, i32, i64) {
    (sighting.event.received, sighting.event.partition, sighting.event.offset)
}

/// The place of the sighting that arrived first. Event times would not do: an event can claim any.
fn first_arrived(sightings: &[Sighting]) -> Option<usize> {
    let came = |(_, sighting): &(usize, &Sighting)| arrival(sighting);
    sightings.iter().enumerate().min_by_key(came).map(|(at, _)| at)
}

/// Inserts in order and returns the place.
fn insert(sightings: &mut Vec<Sighting>, sighting: Sighting) -> usize {
    let order = sighting.event.order();
    let at = sightings.partition_point(|other| other.event.order() <= order);
    // Most keys have one or two: doubling from four would waste most of the memory.
    if sightings.len() == sightings.capacity() {
        sightings.reserve_exact(1 + sightings.len() / 2);
    }
    sightings.insert(at, sighting);
    at
}

/// Inserts in order, and drops every sighting that then lies between two others of the same tag, at most a
/// window apart. `None` if that is the new sighting itself.
fn insert_tag(sightings: &mut Vec<Sighting>, sighting: Sighting, window: i64) -> Option<usize> {
    let order = sighting.event.order();
    let place = sightings.partition_point(|other| other.event.order() <= order);
    let is_same = |at: &usize| sightings[*at].tag == sighting.tag;
    let mut before = (0..place).rev().filter(is_same);
    let mut behind = (place..sightings.len()).filter(is_same);
    let (before, before_that) = (before.next(), before.next());
    let (behind, behind_that) = (behind.next(), behind.next());
    let time = |at: usize| sightings[at].event.time;
    if let (Some(first), Some(last)) = (before, behind)
        && time(last).saturating_sub(time(first)) <= window
    {
        outlive(&mut sightings[first], sighting.event.received);
        outlive(&mut sightings[last], sighting.event.received);
        return None;
    }
    let mut at = insert(sightings, sighting);
    // From the back, so that earlier places stay valid. The insertion moved the later ones by one.
    if let (Some(dropped), Some(last)) = (behind, behind_that)
        && sightings[last + 1].event.time.saturating_sub(sighting.event.time) <= window
    {
        let received = sightings[dropped + 1].event.received;
        outlive(&mut sightings[last + 1], received);
        sightings.remove(dropped + 1);
    }
    if let (Some(dropped), Some(first)) = (before, before_that)
        && sighting.event.time.saturating_sub(sightings[first].event.time) <= window
    {
        let received = sightings[dropped].event.received;
        outlive(&mut sightings[first], received);
        sightings.remove(dropped);
        at -= 1;
    }
    Some(at)
}

/// Keeps a sighting for at least as long as the one that it replaces.
fn outlive(sighting: &mut Sighting, received: i64) {
    sighting.event.received = sighting.event.received.max(received);
}

/// Appends sightings to a state. Times are written as differences: a sighting takes about twelve bytes.
pub fn write_sightings(writer: &mut Writer, sightings: &[Sighting]) {
    writer.uint(sightings.len() as u64);
    let mut before = 0_i64;
    for Sighting { event, tag } in sightings {
        writer.int(event.time.wrapping_sub(before));
        writer.int(event.received.wrapping_sub(event.time));
        writer.int(i64::from(event.partition));
        writer.int(event.offset);
        writer.uint(*tag);
        before = event.time;
    }
}

/// Reads what `write_sightings` wrote. `None` for other bytes, and for sightings that are not sorted.
pub fn read_sightings(reader: &mut Reader<'_>) -> Option<Vec<Sighting>> {
    let n_sightings = reader.count().filter(|&n| n <= LOOSE_MAX)?;
    let mut sightings: Vec<Sighting> = Vec::with_capacity(n_sightings);
    let mut time = 0_i64;
    for _ in 0..n_sightings {
        time = time.wrapping_add(reader.int()?);
        let event = Event {
            time,
            received: time.wrapping_add(reader.int()?),
            partition: i32::try_from(reader.int()?).ok()?,
            offset: reader.int()?,
        };
        sightings.push(Sighting { event, tag: reader.uint()? });
    }
    sightings.is_sorted_by_key(|sighting| sighting.event.order()).then_some(sightings)
}

#[cfg(test)]
mod tests;
