//! Events as a detector sees them, and the tables beside them.

use std::collections::{BTreeMap, BTreeSet};

use audit_generate::{Generator, Label, Lookups, Settings};
use jiff::Timestamp;

/// How far ahead of its arrival a time is believed.
const FUTURE_BELIEVED: i64 = 300_000_000;

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) index: u64,
    pub(crate) id: String,
    /// As it says.
    pub(crate) at: i64,
    pub(crate) received: i64,
    /// As a detector takes it.
    pub(crate) judged: i64,
    pub(crate) user: String,
    pub(crate) action: String,
    pub(crate) failed: bool,
    pub(crate) ip: String,
    pub(crate) rows: u64,
}

pub(crate) struct Stream {
    pub(crate) events: Vec<Event>,
    pub(crate) labels: Vec<Label>,
    pub(crate) lookups: Lookups,
}

impl Stream {
    pub(crate) fn of(settings: Settings) -> Self {
        let count = settings.count;
        let mut generator = Generator::new(settings);
        let mut events = Vec::new();
        let mut out = Vec::new();
        while let Some(meta) = generator.next_event(&mut out) {
            let fields: BTreeMap<String, String> = serde_json::from_slice(&out).unwrap();
            out.clear();
            let time = format!("{}Z", fields["event_timestamp"]).parse::<Timestamp>().unwrap();
            let at = time.as_microsecond();
            assert_eq!((meta.index, meta.event_time_us), (events.len() as u64, at));
            let details: serde_json::Value = serde_json::from_str(&fields["details"]).unwrap();
            let field = |name: &str| fields[name].clone();
            events.push(Event {
                index: meta.index,
                id: field("audit_id"),
                at,
                received: meta.received_time_us,
                judged: at.min(meta.received_time_us + FUTURE_BELIEVED),
                user: field("user_id"),
                action: field("action_type"),
                failed: fields["action_result"] == "failure",
                ip: field("ip_address"),
                rows: details["rows_exported"].as_u64().unwrap_or(0),
            });
        }
        assert_eq!(events.len() as u64, count);
        let lookups = generator.lookups().unwrap();
        Self { events, labels: generator.labels().to_vec(), lookups }
    }

    /// Events of a kind, by key, in order of time.
    pub(crate) fn by(
        &self,
        key: impl Fn(&Event) -> String,
        counts: impl Fn(&Event) -> bool,
    ) -> BTreeMap<String, Vec<&Event>> {
        let mut groups: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
        for event in self.events.iter().filter(|event| counts(event)) {
            groups.entry(key(event)).or_default().push(event);
        }
        for group in groups.values_mut() {
            group.sort_by_key(|event| event.judged);
        }
        groups
    }

    /// Users that the configuration of the off-hours detector ignores.
    pub(crate) fn ignored(&self) -> BTreeSet<String> {
        let (_, list) = self.lookups.config.split_once("ignore-users = [").unwrap();
        let (list, _) = list.split_once(']').unwrap();
        list.split(", ").map(|name| name.trim_matches('"').to_owned()).collect()
    }

    pub(crate) fn holidays(&self) -> BTreeSet<String> {
        let lines = self.lookups.holidays.lines().skip(1);
        lines.map(|line| line.split_once(',').unwrap().0.to_owned()).collect()
    }

    /// From when until when each user is an administrator.
    pub(crate) fn admins(&self) -> BTreeMap<String, (i64, i64)> {
        let instant = |text: &str, absent: i64| match text {
            "" => absent,
            text => text.parse::<Timestamp>().unwrap().as_microsecond(),
        };
        let rows = self.lookups.roles.lines().skip(1).filter_map(|line| {
            let fields: Vec<_> = line.split(',').collect();
            let valid = (instant(fields[2], i64::MIN), instant(fields[3], i64::MAX));
            (fields[1] == "admin").then(|| (fields[0].to_owned(), valid))
        });
        rows.collect()
    }
}

/// FNV-1a of all events, and of when they arrive.
pub(crate) fn fingerprint(settings: Settings) -> u64 {
    let mut generator = Generator::new(settings);
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut out = Vec::new();
    while let Some(meta) = generator.next_event(&mut out) {
        out.extend_from_slice(&meta.received_time_us.to_le_bytes());
        for byte in &out {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        out.clear();
    }
    hash
}
