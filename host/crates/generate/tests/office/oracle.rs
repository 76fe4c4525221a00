//! Which events are guilty of what: each rule by its definition, the plainest way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::events::{Event, Stream};

pub(crate) const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

type Judge = fn(&Stream) -> Vec<u64>;

/// Each rule with what finds the events that make it trip.
pub(crate) const RULES: &[(&str, Judge)] = &[
    ("failed-logins", |stream| bursts(stream, 6, HOUR)),
    ("failed-logins-escalated", |stream| bursts(stream, 10, 10 * MINUTE)),
    ("password-spray", sprays),
    ("login-after-attack", successes),
    ("off-hours-access", off_hours),
    ("off-hours-access-escalated", off_hours_escalated),
    ("ip-spread", spreads),
    ("privilege-change", privileges),
    ("unusual-volume", volumes),
    ("mass-export", |stream| [many_exports(stream), many_rows(stream, 10_000)].concat()),
    ("mass-export-escalated", |stream| many_rows(stream, 50_000)),
    ("mass-export-critical", |stream| many_rows(stream, 100_000)),
];

/// The events of every window that passes; windows end with an event and are half-open.
fn windows(
    groups: &BTreeMap<String, Vec<&Event>>,
    span: i64,
    passes: impl Fn(&[&Event]) -> bool,
) -> Vec<u64> {
    let mut guilty = BTreeSet::new();
    for group in groups.values() {
        let mut begins = 0;
        for (idx, last) in group.iter().enumerate() {
            while last.judged - group[begins].judged >= span {
                begins += 1;
            }
            // Those of the same time are in the window too.
            let ends = group[idx..].iter().take_while(|event| event.judged == last.judged).count();
            let window = &group[begins..idx + ends];
            if passes(window) {
                guilty.extend(window.iter().map(|event| event.index));
            }
        }
    }
    guilty.into_iter().collect()
}

fn is_login(event: &Event) -> bool {
    event.action == "user_login"
}

fn bursts(stream: &Stream, n: usize, span: i64) -> Vec<u64> {
    let failures = stream.by(|event| event.ip.clone(), |event| is_login(event) && event.failed);
    windows(&failures, span, |window| window.len() >= n)
}

fn sprays(stream: &Stream) -> Vec<u64> {
    let logins = stream.by(|event| event.ip.clone(), is_login);
    windows(&logins, 20 * MINUTE, |window| {
        let users = |failed| {
            let events = window.iter().filter(move |event| event.failed == failed);
            events.map(|event| &event.user).collect::<BTreeSet<_>>().len()
        };
        users(true) >= 5 && users(true) > users(false)
    })
}

/// Successes from an address within three hours of an attack: the time at which one of the rules above
/// trips is that of the last event of the first window that passes.
fn successes(stream: &Stream) -> Vec<u64> {
    let attacks: BTreeSet<_> =
        [bursts(stream, 6, HOUR), sprays(stream)].concat().into_iter().collect();
    let logins = stream.by(|event| event.ip.clone(), is_login);
    let mut guilty = Vec::new();
    for group in logins.values() {
        let times: Vec<_> = group
            .iter()
            .filter(|e| e.failed && attacks.contains(&e.index))
            .map(|e| e.judged)
            .collect();
        for event in group.iter().filter(|event| !event.failed) {
            let before = times.iter().filter(|at| **at < event.judged).count();
            let is_near = times.iter().any(|at| (0..3 * HOUR).contains(&(event.judged - at)));
            if before >= 5 && is_near {
                guilty.push(event.index);
            }
        }
    }
    guilty
}

fn off_hours(stream: &Stream) -> Vec<u64> {
    closed(stream).iter().map(|(_, event)| event.index).collect()
}

/// Losses of a user in a closed stretch that was reported with a lower severity: its first event was no loss.
fn off_hours_escalated(stream: &Stream) -> Vec<u64> {
    let is_loss = |event: &Event| matches!(event.action.as_str(), "data_export" | "data_delete");
    let mut first: BTreeMap<(String, String), bool> = BTreeMap::new();
    let mut guilty = Vec::new();
    for (stretch, event) in closed(stream) {
        let was_loss = first.entry((event.user.clone(), stretch)).or_insert(is_loss(event));
        if !*was_loss && is_loss(event) {
            guilty.push(event.index);
        }
    }
    guilty
}

/// Data touched while the office is closed, as it arrives, with the day on which it opens again.
fn closed(stream: &Stream) -> Vec<(String, &Event)> {
    // Not the generator's arithmetic: the rule as POSIX writes it, in another library.
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let (ignored, holidays) = (stream.ignored(), stream.holidays());
    let is_data = |event: &&Event| {
        event.action.starts_with("data_")
            || matches!(event.action.as_str(), "query_execute" | "report_generate")
    };
    let is_workday = |day: Date| {
        day.weekday().to_monday_zero_offset() < 5 && !holidays.contains(&day.to_string())
    };
    let opens_on = |event: &Event| {
        let local = Timestamp::from_microsecond(event.judged).unwrap().to_zoned(berlin.clone());
        let (today, hour) = (local.date(), local.hour());
        if is_workday(today) && (9..17).contains(&hour) {
            return None;
        }
        let mut day = if hour < 9 { today } else { today.tomorrow().unwrap() };
        while !is_workday(day) {
            day = day.tomorrow().unwrap();
        }
        Some(day.to_string())
    };
    let events = stream.events.iter().filter(is_data);
    let by_day = events.filter(|event| !ignored.contains(&event.user));
    by_day.filter_map(|event| opens_on(event).map(|day| (day, event))).collect()
}

fn spreads(stream: &Stream) -> Vec<u64> {
    let place = |ip: &str| match ip.parse().unwrap() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("{:?}", &ip.segments()[..4]),
    };
    let places: BTreeMap<&str, String> =
        stream.events.iter().map(|event| (event.ip.as_str(), place(&event.ip))).collect();
    let by_user = stream.by(|event| event.user.clone(), |_| true);
    windows(&by_user, HOUR, |window| {
        window.iter().map(|event| &places[event.ip.as_str()]).collect::<BTreeSet<_>>().len() > 2
    })
}

fn privileges(stream: &Stream) -> Vec<u64> {
    let admins = stream.admins();
    let changes = stream.events.iter().filter(|event| event.action.starts_with("permission_"));
    let by_others = changes.filter(|event| {
        let (from, until) = admins.get(&event.user).copied().unwrap_or((0, 0));
        !(from..until).contains(&event.judged)
    });
    by_others.map(|event| event.index).collect()
}

/// What `detect_unusual_volume` counts.
const VOLUME_ACTIONS: [&str; 6] =
    ["data_read", "data_write", "data_delete", "query_execute", "data_download", "data_export"];

/// Hours of more events than the user's last weeks explain, by the formula of
/// `docs/plugins/detect_unusual_volume.md`.
fn volumes(stream: &Stream) -> Vec<u64> {
    let counts = |event: &Event| VOLUME_ACTIONS.contains(&event.action.as_str());
    let by_key = stream.by(|event| format!("{}/{}", event.user, event.action), counts);
    let mut guilty = Vec::new();
    for events in by_key.values() {
        let mut hours: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for event in events {
            hours.entry(event.judged.div_euclid(HOUR)).or_default().push(event.index);
        }
        let first = events.iter().min_by_key(|event| event.index);
        let since = first.map_or(0, |event| event.judged.div_euclid(HOUR));
        let mut history = BTreeMap::new();
        for (hour, indices) in hours {
            let (count, is_known) = (indices.len(), hour - since >= 14 * 24);
            let limit = usual(&history, hour, since);
            let limit = if is_known { limit } else { limit.max(200.0) };
            let is_unusual = count as f64 > limit;
            if is_unusual {
                guilty.extend(indices);
            }
            // The detector's own choice: an eighth of the floor, rounded down.
            if count >= 3 {
                let is_cut = is_unusual && is_known;
                history.insert(hour, coarse(if is_cut { limit.floor() } else { count as f64 }));
            }
        }
    }
    guilty
}

/// max(median + score * spread, ratio * median, floor - 1)
fn usual(history: &BTreeMap<i64, f64>, hour: i64, since: i64) -> f64 {
    let n_known = ((hour - since) / 24).min(21);
    // Half a day to either side of the same hour, days ago.
    let on_day = |days: i64| history.range(hour - 24 * days - 11..=hour - 24 * days + 12);
    let n_active = (1..=n_known).filter(|days| on_day(*days).next().is_some()).count();
    let n_days = n_active.max(n_known.min(14) as usize);
    let near = |days: i64| (-1..=1).filter_map(move |off| history.get(&(hour - 24 * days + off)));
    let mut counts: Vec<f64> = (1..=n_known).flat_map(near).copied().collect();
    counts.resize(3 * n_days, 0.0);
    if counts.is_empty() {
        return 29.0;
    }
    let median = median(&mut counts);
    let mut deviations: Vec<f64> = counts.iter().map(|count| (count - median).abs()).collect();
    let mean_deviation = deviations.iter().sum::<f64>() / deviations.len() as f64;
    let spread = (self::median(&mut deviations) / 0.6745).max(1.253_314 * mean_deviation);
    let by_score = if mean_deviation > 0.0 { median + 3.5 * spread } else { median + 29.0 };
    by_score.max(2.5 * median).max(29.0)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    f64::midpoint(values[values.len() / 2], values[(values.len() - 1) / 2])
}

/// As history keeps a count: five bits of it.
fn coarse(count: f64) -> f64 {
    let mut step = 1.0;
    while count / step >= 32.0 {
        step *= 2.0;
    }
    (count / step).round() * step
}

fn is_transfer(event: &Event) -> bool {
    matches!(event.action.as_str(), "data_export" | "data_download")
}

fn many_exports(stream: &Stream) -> Vec<u64> {
    let transfers = stream.by(|event| event.user.clone(), is_transfer);
    windows(&transfers, 5 * MINUTE, |window| window.len() >= 20)
}

fn many_rows(stream: &Stream, n: u64) -> Vec<u64> {
    let exports = stream.by(|event| event.user.clone(), |event| event.action == "data_export");
    windows(&exports, HOUR, |window| window.iter().map(|event| event.rows).sum::<u64>() >= n)
}
