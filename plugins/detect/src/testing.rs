//! The test harness of the detectors: how rows become batches, and what must hold for every detector.

use std::marker::PhantomData;

use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use audit_plugin_sdk::{Alert, Batch, Config, Context, Detector, Fault, Judgement, RestoreError};

use crate::alert::TIME_RANGE;

pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A recent day, at midnight.
pub const START: i64 = 20_000 * DAY;

/// The first time that an event may have: the zero value of Go and .NET.
pub const TIME_MIN: i64 = *TIME_RANGE.start();
/// The last one.
pub const TIME_MAX: i64 = *TIME_RANGE.end();

/// The number of damaged states that are tried.
const DAMAGED: usize = 20_000;
/// At least so many of them are well-formed, or the test would not see what happens then.
const DAMAGED_RESTORED_MIN: usize = 100;

/// The time and the position of a row.
#[derive(Debug, Clone, Copy)]
pub struct RowEvent {
    /// Event time.
    pub time: Option<i64>,
    /// Kafka time.
    pub received: Option<i64>,
    /// The partition of the record.
    pub partition: i32,
    /// The offset of the record.
    pub offset: i64,
}

/// A row of a detector's test.
pub trait Row: Sized {
    /// The detector that judges it.
    type Detector: Detector;
    /// The version of the state that the detector writes.
    const STATE_VERSION: u32;
    /// The times of rows count from here.
    const START: i64 = START;

    /// Its time and position.
    fn event(&self) -> RowEvent;

    /// Adds the columns that the detector reads besides those of an event.
    fn columns(rows: &[Self], batch: BatchBuilder) -> BatchBuilder;

    /// Grants what the detector needs from the host.
    fn grant() {}
}

/// A column of rows.
pub fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// Makes detectors, feeds rows to them, and checks what must hold for every detector.
#[derive(Debug)]
pub struct Trial<R>(PhantomData<R>);

impl<R: Row> Trial<R> {
    /// The trial of the row's detector.
    #[expect(clippy::new_without_default, reason = "`const` is what it is for")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// A detector.
    pub fn detector(&self, config: &str) -> Detection<R::Detector> {
        R::grant();
        Detection::new(config).expect("a good configuration")
    }

    /// A batch of rows.
    pub fn batch(&self, rows: &[R]) -> Batch {
        let absolute = |time: Option<i64>| time.map(|time| R::START.saturating_add(time));
        R::columns(rows, BatchBuilder::new(rows.len()))
            .timestamp("event_timestamp", &column(rows, |row| absolute(row.event().time)))
            .timestamp("source_timestamp", &column(rows, |row| absolute(row.event().received)))
            .int32("source_partition", &column(rows, |row| Some(row.event().partition)))
            .int64("source_offset", &column(rows, |row| Some(row.event().offset)))
            .build()
    }

    /// Judges rows in one batch, with the clock that the host would set, and checks that the host accepts
    /// the times of the alerts.
    pub fn judge(&self, detector: &mut Detection<R::Detector>, rows: &[R]) -> Vec<Alert> {
        let newest = rows.iter().filter_map(|row| row.event().received).max().unwrap_or(0);
        let clock = R::START.saturating_add(newest);
        let judgement = detector.process(clock, &self.batch(rows)).expect("a judgement");
        for alert in judgement.alerts() {
            for time in [alert.window_start, alert.first_event, alert.last_event] {
                assert!(TIME_RANGE.contains(&time), "the host refuses the time of {alert:?}");
            }
        }
        judgement.alerts().to_vec()
    }

    /// The alerts of a new detector on rows in one batch.
    pub fn alerts(&self, config: &str, rows: &[R]) -> Vec<Alert> {
        self.judge(&mut self.detector(config), rows)
    }

    /// What the host identifies alerts by: the rule, the key and the start of the window in minutes.
    pub fn ids<'a>(&self, alerts: &'a [Alert]) -> Vec<(&'a str, &'a str, i64)> {
        let id = |alert: &'a Alert| {
            let name = alert.key.first().map_or("", |field| &field.value);
            (&*alert.rule, name, (alert.window_start - R::START) / MINUTE)
        };
        alerts.iter().map(id).collect()
    }

    /// Each configuration is refused with an error that names the key and contains the text.
    pub fn wrong_configurations(&self, cases: &[(&str, &str, &str)]) {
        for (config, key, message) in cases {
            let error = Detection::<R::Detector>::new(config).err().expect(config);
            assert_eq!(error.key, *key, "{config}: {}", error.message);
            assert!(error.message.contains(message), "{config}: {}", error.message);
        }
    }

    /// A batch without the columns of events is a fault and changes no state; the same rows with them are
    /// judged.
    pub fn missing_columns(&self, config: &str, rows: &[R]) {
        R::grant();
        let config = Config::new(config.to_owned());
        let (mut plugin, _) = R::Detector::configure(&config).expect("a good configuration");
        let ctx = Context { topic: "t".to_owned(), clock: 0 };
        let batch = R::columns(rows, BatchBuilder::new(rows.len())).build();
        let before = plugin.snapshot();
        let fault = plugin.process(&ctx, &batch, &mut Judgement::default());
        assert!(matches!(fault, Err(Fault::BadInput(_))));
        assert_eq!(plugin.snapshot(), before);
        assert!(plugin.process(&ctx, &self.batch(rows), &mut Judgement::default()).is_ok());
    }

    /// A restart between any two batches changes neither alerts nor state. Returns all alerts.
    pub fn restart_anywhere(&self, config: &str, batches: &[impl AsRef<[R]>]) -> Vec<Alert> {
        let judge = |detector: &mut Detection<R::Detector>, batches: &[_]| -> Vec<Alert> {
            let judge = |batch| self.judge(detector, AsRef::<[R]>::as_ref(batch));
            batches.iter().flat_map(judge).collect()
        };
        let mut unbroken = self.detector(config);
        let expected = judge(&mut unbroken, batches);
        assert!(!expected.is_empty(), "{config} tests nothing");
        for split in 0..=batches.len() {
            let (before, after) = batches.split_at(split);
            let mut first = self.detector(config);
            let mut alerts = judge(&mut first, before);
            let state = first.snapshot();
            let mut second = self.detector(config);
            second.restore(R::STATE_VERSION, &state).expect("a state of this detector");
            assert!(second.snapshot() == state, "{config}, split {split}");
            alerts.extend(judge(&mut second, after));
            assert_eq!(alerts, expected, "{config}, split {split}");
            assert!(second.snapshot() == unbroken.snapshot(), "{config}, split {split}");
        }
        expected
    }

    /// The size of batches changes neither alerts nor state. Returns all alerts.
    pub fn batches_of_any_size(&self, config: &str, rows: &[R]) -> Vec<Alert> {
        let run = |size: usize| {
            let mut detector = self.detector(config);
            let judge = |batch| self.judge(&mut detector, batch);
            let alerts: Vec<Alert> = rows.chunks(size).flat_map(judge).collect();
            (alerts, detector.snapshot())
        };
        let expected = run(1);
        assert!(!expected.0.is_empty(), "{config} tests nothing");
        for size in [7, 4_096] {
            assert!(run(size) == expected, "{config}, batches of {size}");
        }
        expected.0
    }

    /// Neither restarts nor the size of batches change anything, for the traffic of each seed under its
    /// configuration.
    pub fn restarts_and_sizes(&self, configs: &[(u64, &str)], traffic: impl Fn(u64) -> Vec<Vec<R>>)
    where
        R: Clone,
    {
        for (seed, config) in configs {
            self.restart_anywhere(config, &traffic(*seed));
            self.batches_of_any_size(config, &traffic(*seed).concat());
        }
    }

    /// The state after some batches, damaged, is refused or works: the detector goes on with `more` and
    /// writes a state that it can read. A refused state changes nothing.
    pub fn damaged_states(&self, config: &str, batches: &[impl AsRef<[R]>], more: &[R]) {
        let mut detector = self.detector(config);
        for batch in batches {
            self.judge(&mut detector, batch.as_ref());
        }
        let state = &*detector.snapshot();
        let restore = |detector: &mut Detection<R::Detector>, state: &[u8]| {
            detector.restore(R::STATE_VERSION, state)
        };
        restore(&mut detector, state).expect("a state of this detector");
        for length in 0..state.len() {
            let result = restore(&mut detector, &state[..length]);
            assert!(matches!(result, Err(RestoreError::Corrupt(_))), "cut to {length} bytes");
        }
        let longer = [state, &[0]].concat();
        assert!(restore(&mut detector, &longer).is_err(), "a byte too many");
        let newer = detector.restore(R::STATE_VERSION + 1, state);
        assert!(matches!(newer, Err(RestoreError::UnsupportedVersion)));
        assert!(detector.snapshot() == state, "a refused state changed nothing");
        let mut random = Random(11);
        let mut n_restored = 0;
        for _ in 0..DAMAGED {
            let mut damaged = state.to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(damaged.len() as u64) as usize;
                damaged[at] = random.below(256) as u8;
            }
            if restore(&mut detector, &damaged).is_ok() {
                n_restored += 1;
                self.judge(&mut detector, more);
                let again = detector.snapshot();
                let mut other = self.detector(config);
                restore(&mut other, &again).expect("a state that it wrote itself");
            }
        }
        assert!(n_restored >= DAMAGED_RESTORED_MIN, "only {n_restored} damaged states restored");
    }
}

/// The names of the rules of alerts.
pub fn rules(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.rule.as_str()).collect()
}

/// 40 batches of up to eleven rows, up to 19 minutes apart. `row` makes a row that is received at a time.
pub fn traffic<R>(seed: u64, row: impl Fn(&mut Random, i64) -> R) -> Vec<Vec<R>> {
    let mut random = Random(seed);
    let mut now = 0;
    let mut batches = Vec::new();
    for _ in 0..40 {
        now += random.below(20) as i64 * MINUTE;
        let n_rows = random.below(12);
        if n_rows > 0 {
            batches.push((0..n_rows).map(|_| row(&mut random, now)).collect());
        }
    }
    batches
}

/// The bytes of a state of an earlier release, two hexadecimal digits each.
pub fn bytes_of(digits: &str) -> Vec<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).expect("hexadecimal digits") as u8;
    let pairs = digits.as_bytes().chunks_exact(2);
    pairs.map(|pair| (nibble(pair[0]) << 4) | nibble(pair[1])).collect()
}

/// Numbers that look random and are the same in every run (SplitMix64).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    /// From 0 (inclusive) to 1 (exclusive).
    pub fn part(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of some values.
    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    /// The event time of a row that is received at `now`: on time, late, early or forged.
    pub fn event_time(&mut self, now: i64) -> i64 {
        let shift = self.one_of(&[0, 0, 0, -30 * MINUTE, -3 * HOUR, 2 * HOUR]);
        now + shift + self.below(600) as i64 * SECOND
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
