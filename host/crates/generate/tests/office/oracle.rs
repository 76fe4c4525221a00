//! Which events are guilty of what: each rule by its definition, the plainest way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
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
    ("off-hours-access", |stream| off_hours(stream, |event| event.action != "user_login")),
    ("off-hours-access-escalated", |stream| {
        off_hours(stream, |event| matches!(event.action.as_str(), "data_export" | "data_delete"))
    }),
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

fn off_hours(stream: &Stream, counts: impl Fn(&Event) -> bool) -> Vec<u64> {
    // Not the generator's arithmetic: the rule as POSIX writes it, in another library.
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let (ignored, holidays) = (stream.ignored(), stream.holidays());
    let is_data = |event: &&Event| {
        event.action.starts_with("data_")
            || matches!(event.action.as_str(), "query_execute" | "report_generate")
    };
    let is_closed = |event: &&Event| {
        let local = Timestamp::from_microsecond(event.judged).unwrap().to_zoned(berlin.clone());
        let is_workday = local.weekday().to_monday_zero_offset() < 5
            && !holidays.contains(&local.date().to_string());
        !(is_workday && (9..17).contains(&local.hour()))
    };
    let events = stream.events.iter().filter(is_data).filter(|event| counts(event));
    let by_day = events.filter(|event| !ignored.contains(&event.user));
    by_day.filter(is_closed).map(|event| event.index).collect()
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

/// Hours of 30 events and more that the user's last three weeks do not explain: by the modified z-score of
/// the same hour on days with any event; without 10 of those, by a limit of 200.
fn volumes(stream: &Stream) -> Vec<u64> {
    let by_key = stream.by(|event| format!("{}/{}", event.user, event.action), |_| true);
    let mut guilty = Vec::new();
    for events in by_key.values() {
        let mut hours: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for event in events {
            hours.entry(event.judged.div_euclid(HOUR)).or_default().push(event.index);
        }
        let days: BTreeSet<i64> = hours.keys().map(|hour| hour.div_euclid(24)).collect();
        for (hour, indices) in hours.iter().filter(|(_, indices)| indices.len() >= 30) {
            let day = hour.div_euclid(24);
            let before = days.range(day - 21..day);
            let history = before.map(|past| {
                hours.get(&(hour - 24 * (day - past))).map_or(0, |indices| indices.len() as i64)
            });
            let history: Vec<_> = history.collect();
            let is_unusual = match history.len() {
                0..10 => indices.len() >= 200,
                _ => is_outlier(indices.len() as i64, history),
            };
            if is_unusual {
                guilty.extend(indices);
            }
        }
    }
    guilty
}

/// 0.6745 (x - median) / MAD > 3.5, doubled to stay with integers.
fn is_outlier(x: i64, mut history: Vec<i64>) -> bool {
    let doubled_median = |values: &mut Vec<i64>| {
        values.sort_unstable();
        values[values.len() / 2] + values[(values.len() - 1) / 2]
    };
    let median = doubled_median(&mut history);
    let mut deviations: Vec<_> = history.iter().map(|past| (2 * past - median).abs()).collect();
    let deviation = doubled_median(&mut deviations).max(2);
    6745 * 2 * (2 * x - median) > 35_000 * deviation
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
