//! How often it is wrong: simulated users over sixty days.
//!
//! Counts are Poisson around a daily rhythm: office hours in any time zone with a lunch break, a tenth as
//! much at the edges of the day, weekends nearly off, days off, days that are busier than others; night
//! shifts; services that never sleep.

use audit_detect::testing::{HOUR, Random, SECOND};
use std::collections::BTreeMap;

use crate::common::{Event, START, TRIAL, judge, read};

const N_USERS: u64 = 200;
const N_DAYS: i64 = 60;
/// From here on history is long enough, and false alarms count.
const LEARNED: i64 = 14;

/// A simulated user.
struct User {
    name: String,
    /// Events of a busy hour.
    peak: f64,
    kind: Kind,
    /// Hours that the local clock is ahead.
    zone: i64,
    starts: f64,
    works: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Office,
    Night,
    Service,
}

impl User {
    fn new(index: u64, random: &mut Random) -> Self {
        let kind = match index % 20 {
            0 | 1 => Kind::Service,
            2 => Kind::Night,
            _ => Kind::Office,
        };
        Self {
            name: format!("user_{index:03}"),
            // From 8 to 200, as many between 8 and 16 as between 100 and 200.
            peak: 8.0 * 25.0_f64.powf(random.part()),
            kind,
            zone: if index.is_multiple_of(3) { random.below(24) as i64 } else { 1 },
            starts: 8.0 + 2.0 * random.part(),
            works: 8.0 + 2.0 * random.part(),
        }
    }

    /// The events to be expected in an hour, for a day of the given activity.
    fn rate(&self, hour: i64, activity: f64) -> f64 {
        if self.kind == Kind::Service {
            return self.peak;
        }
        let shift = if self.kind == Kind::Night { 13 } else { 0 };
        let local = hour + self.zone + shift;
        let (day, of_day) = (local.div_euclid(24), local.rem_euclid(24) as f64 + 0.5);
        let come = (of_day - self.starts + 0.5).clamp(0.0, 1.0);
        let gone = (self.starts + self.works - of_day + 0.5).clamp(0.0, 1.0);
        let lunch = if (of_day - 12.5_f64).abs() < 0.1 { 0.5 } else { 1.0 };
        let weekend = if day.rem_euclid(7) < 5 { 1.0 } else { 0.03 };
        self.peak * (come * gone * lunch * weekend * activity + 0.003)
    }
}

fn poisson(rate: f64, random: &mut Random) -> u32 {
    // By halves, as e^-rate is 0 for a great rate.
    if rate > 30.0 {
        return poisson(rate / 2.0, random) + poisson(rate / 2.0, random);
    }
    let limit = (-rate).exp();
    let (mut count, mut product) = (0, random.part());
    while product > limit {
        count += 1;
        product *= random.part();
    }
    count
}

/// All events by time, and where five times a busy hour was added: the user and the hour.
fn simulate(seed: u64) -> (Vec<Event>, BTreeMap<(String, i64), u32>) {
    let mut random = Random(seed);
    let users: Vec<User> = (0..N_USERS).map(|index| User::new(index, &mut random)).collect();
    let mut counts: BTreeMap<(i64, usize), u32> = BTreeMap::new();
    let mut attacks = BTreeMap::new();
    for (index, user) in users.iter().enumerate() {
        let attacked = (LEARNED + 1 + random.below((N_DAYS - LEARNED - 1) as u64) as i64) * 24
            + random.below(24) as i64;
        let mut activity = 1.0;
        for hour in 0..N_DAYS * 24 {
            if (hour + user.zone).rem_euclid(24) == 0 {
                let is_off = random.part() < 0.05;
                activity = if is_off { 0.0 } else { 0.8 + 0.4 * random.part() };
            }
            let mut count = poisson(user.rate(hour, activity), &mut random);
            if hour == attacked {
                count += (user.peak * 5.0) as u32;
                attacks.insert((user.name.clone(), hour), count);
            }
            counts.insert((hour, index), count);
        }
    }
    let rows = counts.into_iter().flat_map(|((hour, index), count)| {
        let step = HOUR / i64::from(count.max(1));
        let name = &users[index].name;
        let rows = (0..i64::from(count)).map(move |at| read(name, hour * HOUR + at * step));
        rows.collect::<Vec<_>>()
    });
    (rows.collect(), attacks)
}

#[test]
fn false_alarms_are_rare_and_five_times_the_volume_is_found() {
    for seed in [1, 2] {
        let (rows, attacks) = simulate(seed);
        let mut detector = TRIAL.detector("{}");
        let alerts = judge(&mut detector, &rows);
        let mut found = BTreeMap::new();
        let (mut n_false, mut n_false_high) = (0, 0);
        for alert in &alerts {
            let hour = (alert.window_start - START) / HOUR;
            let key = (alert.key[0].value.clone(), hour);
            let is_rise = alert.rule == "unusual-volume-escalated";
            if attacks.contains_key(&key) {
                let seconds = (alert.last_event - alert.first_event) / SECOND;
                found.entry(key).or_insert(seconds);
            } else if hour >= LEARNED * 24 {
                n_false += usize::from(!is_rise);
                n_false_high += usize::from(is_rise);
            }
        }
        let user_days = (N_USERS as i64 * (N_DAYS - LEARNED)) as f64;
        let rate = n_false as f64 / user_days;
        let recall = found.len() as f64 / attacks.len() as f64;
        let mut delays: Vec<i64> = found.values().copied().collect();
        delays.sort_unstable();
        println!(
            "seed {seed}: {} events, {n_false} false alarms in {user_days} user-days ({rate:.5} each), {n_false_high} \
             of them high; recall {recall:.4} of {}, found within {} s in the median",
            rows.len(),
            attacks.len(),
            delays[delays.len() / 2],
        );
        assert!(rate < 0.002, "{rate} false alarms a user and day");
        assert_eq!(n_false_high, 0);
        let missed: Vec<_> = attacks.iter().filter(|(key, _)| !found.contains_key(*key)).collect();
        assert!(missed.is_empty(), "missed {missed:?}");
    }
}
