//! What the tests of the detectors share: the promises of this crate, checked of each detector.

use audit_plugin_sdk::testing::Detection;
use audit_plugin_sdk::{Alert, Batch, Detector, RestoreError};

use crate::alert::TIME_RANGE;

/// The first time that an event may have: no time at all to Go and .NET.
pub const TIME_MIN: i64 = *TIME_RANGE.start();
/// The last one.
pub const TIME_MAX: i64 = *TIME_RANGE.end();

/// How a detector is tried: its current state version, how to make one and how to feed it.
#[derive(Debug)]
pub struct Trial<D, R> {
    /// The version of the state that it writes.
    pub version: u32,
    /// Makes one by its configuration.
    pub detector: fn(&str) -> Detection<D>,
    /// Judges rows in one batch.
    pub judge: fn(&mut Detection<D>, &[R]) -> Vec<Alert>,
}

impl<D: Detector, R> Trial<D, R> {
    /// A restart between any two batches changes neither alerts nor state. Gives all alerts.
    pub fn restart_anywhere(&self, config: &str, batches: &[impl AsRef<[R]>]) -> Vec<Alert> {
        let judge = |detector: &mut Detection<D>, batches: &[_]| -> Vec<Alert> {
            let judge = |batch| (self.judge)(detector, AsRef::<[R]>::as_ref(batch));
            batches.iter().flat_map(judge).collect()
        };
        let mut unbroken = (self.detector)(config);
        let expected = judge(&mut unbroken, batches);
        assert!(!expected.is_empty(), "{config} tests nothing");
        for split in 0..=batches.len() {
            let (before, after) = batches.split_at(split);
            let mut first = (self.detector)(config);
            let mut alerts = judge(&mut first, before);
            let state = first.snapshot();
            let mut second = (self.detector)(config);
            second.restore(self.version, &state).expect("a state of this detector");
            assert!(second.snapshot() == state, "{config}, split {split}");
            alerts.extend(judge(&mut second, after));
            assert_eq!(alerts, expected, "{config}, split {split}");
            assert!(second.snapshot() == unbroken.snapshot(), "{config}, split {split}");
        }
        expected
    }

    /// Where batches end changes neither alerts nor state. Gives all alerts.
    pub fn batches_of_any_size(&self, config: &str, rows: &[R]) -> Vec<Alert> {
        let run = |size: usize| {
            let mut detector = (self.detector)(config);
            let judge = |batch| (self.judge)(&mut detector, batch);
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

    /// A damaged state is refused, or works: the detector goes on with `more` and writes a state that it
    /// reads again. What is refused changes nothing. Gives how many damaged ones were taken over.
    pub fn damaged_states(&self, config: &str, state: &[u8], more: &[R]) -> usize {
        let mut detector = (self.detector)(config);
        let restore =
            |detector: &mut Detection<D>, state: &[u8]| detector.restore(self.version, state);
        restore(&mut detector, state).expect("a state of this detector");
        for length in 0..state.len() {
            let result = restore(&mut detector, &state[..length]);
            assert!(matches!(result, Err(RestoreError::Corrupt(_))), "cut to {length} bytes");
        }
        let longer = [state, &[0]].concat();
        assert!(restore(&mut detector, &longer).is_err(), "a byte too many");
        let newer = detector.restore(self.version + 1, state);
        assert!(matches!(newer, Err(RestoreError::UnsupportedVersion)));
        assert!(detector.snapshot() == state, "what was refused changed nothing");
        let mut random = Random(11);
        let mut n_taken = 0;
        for _ in 0..20_000 {
            let mut damaged = state.to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(damaged.len() as u64) as usize;
                damaged[at] = random.below(256) as u8;
            }
            if restore(&mut detector, &damaged).is_ok() {
                n_taken += 1;
                (self.judge)(&mut detector, more);
                let again = detector.snapshot();
                let mut other = (self.detector)(config);
                restore(&mut other, &again).expect("a state that it wrote itself");
            }
        }
        n_taken
    }
}

/// Judges a batch under a clock, and checks of its alerts what the host asks for.
pub fn judge<D: Detector>(detector: &mut Detection<D>, clock: i64, batch: &Batch) -> Vec<Alert> {
    let judgement = detector.process(clock, batch).expect("a judgement");
    for alert in judgement.alerts() {
        for time in [alert.window_start, alert.first_event, alert.last_event] {
            assert!(TIME_RANGE.contains(&time), "the host refuses the time of {alert:?}");
        }
    }
    judgement.alerts().to_vec()
}

/// The names of the rules of alerts.
pub fn rules(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.rule.as_str()).collect()
}

/// What the host tells alerts apart by: the rule, the key and the start of the window in minutes from
/// `start`.
pub fn ids(alerts: &[Alert], start: i64) -> Vec<(&str, &str, i64)> {
    let minute = |alert: &Alert| (alert.window_start - start) / 60_000_000;
    let mut ids = Vec::with_capacity(alerts.len());
    for alert in alerts {
        let name = alert.key.first().map_or("", |field| &field.value);
        ids.push((&*alert.rule, name, minute(alert)));
    }
    ids
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

    /// From 0 to 1, 1 left out.
    pub fn part(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
