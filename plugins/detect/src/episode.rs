//! Episodes of one key, for rules that judge each event on its own. An episode is reported at its first
//! event (or after a few), and once more if its severity rises.
//!
//! Where [`Bursts`](crate::burst::Bursts) look for too many events in a sliding window, here the detector
//! decides which episode an event belongs to: a night, a run of changes. An episode holds every event that
//! comes for it, early or late, so that no event can hide after another.

use audit_plugin_sdk::codec::{Reader, Writer};
use audit_plugin_sdk::{Alert, Field, Position, Severity};

use crate::alert::{severity_code, severity_of};
use crate::event::Event;
use crate::evictions::Evictions;
use crate::keyed::Remembered;
use crate::saved::{Format, Saved};

/// The most episodes that are kept of a key. A key has many only if events are backdated over a long time.
const EPISODES_MAX: usize = 64;

/// How many positions an episode keeps until it was reported as urgent: enough to start an investigation.
const POSITIONS_MAX: usize = 16;

/// Bytes of an episode and of a position in memory, with the slack of vectors.
const EPISODE_BYTES: usize = 112;
const POSITION_BYTES: usize = 24;

/// An event as a detector judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    /// When and where.
    pub event: Event,
    /// The start of the episode, if this event opens one. The host identifies an episode by its rule, its
    /// key and this start.
    pub start: i64,
    /// The Kafka time until which the episode is kept at least.
    pub until: i64,
    /// Whether the event makes the episode urgent.
    pub is_urgent: bool,
}

/// One episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// See [`Incident::start`].
    pub start: i64,
    /// Event time of the first event.
    pub first: i64,
    /// Event time of the last one.
    pub last: i64,
    /// The number of events.
    pub n_events: u64,
    /// The number of urgent events.
    pub n_urgent: u64,
    until: i64,
    reported: Option<Severity>,
    /// The newest, in order of arrival. Empty once the episode was reported as urgent.
    positions: Vec<Position>,
}

/// An episode to report: a new one, or one that became urgent.
#[derive(Debug, Clone, PartialEq)]
pub struct Outbreak {
    /// The episode as of the event that tripped the rule.
    pub episode: Episode,
    /// `High` for an urgent episode, else `Medium`.
    pub severity: Severity,
    /// Whether it was reported before, with a lower severity.
    pub is_rise: bool,
}

/// The episodes of a key, in the order in which they opened.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Episodes {
    episodes: Vec<Episode>,
}

impl Episodes {
    /// Counts an event for the first episode that it belongs to, or opens one. An episode is reported from
    /// `least` events on. An outbreak must be reported at once, with the state as of that event, so that
    /// batch boundaries make no difference. Dropping an episode because there is no room counts as an
    /// eviction.
    pub fn add(
        &mut self,
        incident: Incident,
        least: u64,
        evictions: &mut Evictions,
        belongs: impl Fn(&Episode) -> bool,
    ) -> Option<Outbreak> {
        self.episodes.retain(|episode| episode.until >= incident.event.received);
        let at = match self.episodes.iter().position(belongs) {
            Some(at) => at,
            None => self.open(&incident, evictions),
        };
        let episode = &mut self.episodes[at];
        episode.take(&incident);
        episode.report(least)
    }

    /// Whether there are no episodes.
    pub fn is_empty(&self) -> bool {
        self.episodes.is_empty()
    }

    /// Opens an episode and returns its place. If there are too many, the one that would expire first goes.
    fn open(&mut self, incident: &Incident, evictions: &mut Evictions) -> usize {
        if self.episodes.len() >= EPISODES_MAX {
            let until = |(_, episode): &(usize, &Episode)| episode.until;
            if let Some((at, _)) = self.episodes.iter().enumerate().min_by_key(until) {
                self.episodes.remove(at);
                evictions.lose();
            }
        }
        // Most keys have one episode: room for four would waste most of the memory.
        self.episodes.reserve_exact(1);
        self.episodes.push(Episode {
            start: incident.start,
            first: incident.event.time,
            last: incident.event.time,
            n_events: 0,
            n_urgent: 0,
            until: incident.until,
            reported: None,
            positions: Vec::new(),
        });
        self.episodes.len() - 1
    }
}

impl Remembered for Episodes {
    fn n_bytes(&self) -> usize {
        let n_positions: usize = self.episodes.iter().map(|episode| episode.positions.len()).sum();
        self.episodes.len() * EPISODE_BYTES + n_positions * POSITION_BYTES
    }
}

impl Saved for Episodes {
    fn write(&self, writer: &mut Writer) {
        writer.uint(self.episodes.len() as u64);
        for episode in &self.episodes {
            writer.int(episode.start);
            writer.int(episode.first.wrapping_sub(episode.start));
            writer.int(episode.last.wrapping_sub(episode.first));
            writer.int(episode.until.wrapping_sub(episode.last));
            writer.uint(episode.n_events);
            writer.uint(episode.n_urgent);
            writer.uint(episode.reported.map_or(0, severity_code));
            writer.uint(episode.positions.len() as u64);
            for position in &episode.positions {
                writer.int(i64::from(position.partition));
                writer.int(position.offset);
            }
        }
    }

    /// The same in both formats. A key without episodes is not saved.
    fn read(reader: &mut Reader<'_>, _: Format) -> Option<Self> {
        let n_episodes = reader.count().filter(|&n| (1..=EPISODES_MAX).contains(&n))?;
        let mut episodes = Vec::with_capacity(n_episodes);
        for _ in 0..n_episodes {
            episodes.push(Episode::read(reader)?);
        }
        Some(Self { episodes })
    }
}

impl Episode {
    fn take(&mut self, incident: &Incident) {
        self.first = self.first.min(incident.event.time);
        self.last = self.last.max(incident.event.time);
        self.until = self.until.max(incident.until);
        self.n_events += 1;
        self.n_urgent += u64::from(incident.is_urgent);
        if self.reported == Some(Severity::High) {
            return;
        }
        if self.positions.len() >= POSITIONS_MAX {
            self.positions.remove(0);
        }
        self.positions.push(incident.event.position());
    }

    fn report(&mut self, least: u64) -> Option<Outbreak> {
        let severity = if self.n_urgent > 0 { Severity::High } else { Severity::Medium };
        if self.n_events < least || self.reported.is_some_and(|reported| reported >= severity) {
            return None;
        }
        let is_rise = self.reported.replace(severity).is_some();
        let outbreak = Outbreak { episode: self.clone(), severity, is_rise };
        if severity == Severity::High {
            // Nothing more will be reported, so the counts are enough.
            self.positions = Vec::new();
        }
        Some(outbreak)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let start = reader.int()?;
        let first = start.wrapping_add(reader.int()?);
        let last = first.wrapping_add(reader.int()?);
        let until = last.wrapping_add(reader.int()?);
        let (n_events, n_urgent) = (reader.uint()?, reader.uint()?);
        let reported = match reader.uint()? {
            0 => None,
            code => Some(severity_of(code)?),
        };
        let n_positions = reader.count().filter(|&n| n <= POSITIONS_MAX)?;
        let mut positions = Vec::with_capacity(n_positions);
        for _ in 0..n_positions {
            let partition = i32::try_from(reader.int()?).ok()?;
            positions.push(Position { partition, offset: reader.int()? });
        }
        let is_sound = first <= last
            && n_urgent <= n_events
            && positions.len() as u64 <= n_events
            && n_events < u64::MAX / 2
            && matches!(reported, None | Some(Severity::Medium | Severity::High));
        is_sound.then_some(Self {
            start,
            first,
            last,
            n_events,
            n_urgent,
            until,
            reported,
            positions,
        })
    }
}

impl Outbreak {
    /// The alert. A rise has a rule of its own, because the host takes two alerts with the same rule, key
    /// and window for one.
    pub fn alert(self, rule: &str, key: Vec<Field>, message: String, labels: Vec<Field>) -> Alert {
        let Self { episode, severity, is_rise } = self;
        Alert {
            rule: if is_rise { format!("{rule}-escalated") } else { rule.to_owned() },
            severity,
            key,
            window_start: episode.start,
            first_event: episode.first,
            last_event: episode.last,
            count: episode.n_events,
            events: episode.positions,
            message,
            labels,
        }
    }
}

#[cfg(test)]
mod tests {
    use audit_plugin_sdk::Judgement;

    use super::*;

    /// Of an episode of ten, kept for a hundred after its start.
    fn incident(time: i64, received: i64, is_urgent: bool) -> Incident {
        let event = Event { time, received, partition: 1, offset: received };
        let start = time.div_euclid(10) * 10;
        Incident { event, start, until: start.max(received) + 100, is_urgent }
    }

    fn add(
        episodes: &mut Episodes,
        incident: Incident,
        least: u64,
    ) -> Option<(i64, u64, Severity, bool)> {
        let found = episodes.add(incident, least, &mut Evictions::default(), |episode| {
            episode.start == incident.start
        })?;
        let Outbreak { episode, severity, is_rise } = found;
        Some((episode.start, episode.n_events, severity, is_rise))
    }

    #[test]
    fn an_episode_is_reported_once_and_again_when_its_severity_rises() {
        let mut episodes = Episodes::default();
        let (medium, high) = (Severity::Medium, Severity::High);
        assert_eq!(add(&mut episodes, incident(3, 3, false), 1), Some((0, 1, medium, false)));
        assert_eq!(add(&mut episodes, incident(9, 9, false), 1), None);
        assert_eq!(add(&mut episodes, incident(1, 10, true), 1), Some((0, 3, high, true)));
        assert_eq!(add(&mut episodes, incident(2, 11, true), 1), None);
        assert_eq!(add(&mut episodes, incident(10, 11, true), 1), Some((10, 1, high, false)));
        let first = &episodes.episodes[0];
        assert_eq!((first.first, first.last, first.n_events, first.n_urgent), (1, 9, 4, 2));
    }

    #[test]
    fn an_episode_with_few_events_is_not_reported() {
        let mut episodes = Episodes::default();
        assert_eq!(add(&mut episodes, incident(0, 0, true), 3), None);
        assert_eq!(add(&mut episodes, incident(10, 10, false), 3), None);
        assert_eq!(add(&mut episodes, incident(1, 1, false), 3), None);
        assert_eq!(
            add(&mut episodes, incident(2, 2, false), 3),
            Some((0, 3, Severity::High, false))
        );
    }

    #[test]
    fn positions_are_the_newest() {
        let mut episodes = Episodes::default();
        let mut found = None;
        for offset in 0..40 {
            let incident = incident(5, offset, offset == 39);
            found = episodes.add(incident, 1, &mut Evictions::default(), |_| true).or(found);
        }
        let alert = found.unwrap().alert("rule", Vec::new(), String::new(), Vec::new());
        let offsets: Vec<i64> = alert.events.iter().map(|event| event.offset).collect();
        assert_eq!(offsets, (24..40).collect::<Vec<i64>>());
        assert_eq!((&*alert.rule, alert.count), ("rule-escalated", 40));
        assert_eq!(episodes.n_bytes(), EPISODE_BYTES);
    }

    #[test]
    fn episodes_are_forgotten_in_time_and_bounded() {
        let mut episodes = Episodes::default();
        assert!(add(&mut episodes, incident(0, 0, false), 1).is_some());
        assert!(add(&mut episodes, incident(0, 100, false), 1).is_none());
        assert!(
            add(&mut episodes, incident(0, 201, false), 1).is_some(),
            "100 later it has expired"
        );
        assert!(
            add(&mut episodes, incident(0, -500, false), 1).is_none(),
            "a clock that steps back"
        );
        let mut evictions = Evictions::default();
        for index in 0..1_000 {
            let incident = incident(-10 * index - 10, 201, false);
            let found = episodes
                .add(incident, 1, &mut evictions, |episode| episode.start == incident.start);
            assert!(found.is_some());
        }
        let mut out = Judgement::default();
        evictions.report(0, 0, "keys", &mut out);
        // One was there already.
        assert_eq!((&*out.alerts()[0].rule, out.alerts()[0].count), ("events-evicted", 937));
        assert_eq!(episodes.episodes.len(), EPISODES_MAX);
    }

    #[test]
    fn a_state_is_taken_over_and_damage_refused() {
        let mut episodes = Episodes::default();
        for (time, is_urgent) in
            [(3, false), (4, false), (15, true), (-7, false), (i64::MIN / 2, false)]
        {
            add(&mut episodes, incident(time, 20, is_urgent), 1);
        }
        let bytes = |episodes: &Episodes| {
            let mut writer = Writer::default();
            episodes.write(&mut writer);
            writer.finish()
        };
        let read = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            let episodes = Episodes::read(&mut reader, Format::Current)?;
            reader.is_at_end().then_some(episodes)
        };
        let state = bytes(&episodes);
        assert_eq!(read(&state), Some(episodes));
        for length in 0..state.len() {
            assert_eq!(read(&state[..length]), None, "{length}");
        }
        for at in 0..state.len() {
            for bit in 0..8 {
                let mut damaged = state.clone();
                damaged[at] ^= 1 << bit;
                if let Some(read) = read(&damaged) {
                    assert_eq!(bytes(&read), damaged, "what is taken over is what is there");
                }
            }
        }
        assert_eq!(read(&[65]), None);
    }
}
