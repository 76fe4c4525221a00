//! The limits that keep people below every rule, so that labels are right by construction. When a limit is reached,
//! the person does something else: the password is right, or the export comes later.

use crate::rules::{ADDRESSES_ALLOWED, FAILURES_ALLOWED, HOUR, MINUTE, WINDOW_US};

use super::people::Place;

/// More than the window of a rule: a forged time counts up to 5 minutes after the event's arrival.
const PLACE_SPAN: i64 = HOUR + 10 * MINUTE;
/// Four failures in any 20 minutes, so that no five users fail in them.
const FAILURES_APART: i64 = 5 * MINUTE;
/// Exports and downloads of one user in an hour: far below a mass export in 5 minutes.
const EXPORTS_PER_HOUR: usize = 8;
/// Exported rows of one user in an hour, below [`crate::rules::EXPORTED_ROWS`].
const ROWS_PER_HOUR: u32 = 9_900;

/// At most two places in any hour.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The places used last and when, the latest first.
    latest: [(Place, i64); ADDRESSES_ALLOWED],
}

impl Places {
    pub(crate) fn at(place: Place) -> Self {
        Self { latest: [(place, i64::MIN); ADDRESSES_ALLOWED] }
    }

    pub(crate) fn latest(&self) -> [(Place, i64); ADDRESSES_ALLOWED] {
        self.latest
    }

    /// The place of a person who wants to be somewhere: there, or where the person was before.
    pub(crate) fn go(&mut self, place: Place, at: i64) -> Place {
        let [current, other] = self.latest;
        if place == current.0 {
            self.latest[0].1 = at;
        } else if place == other.0 || at.saturating_sub(other.1) >= PLACE_SPAN {
            self.latest = [(place, at), current];
        } else {
            self.latest[0].1 = at;
        }
        self.latest[0].0
    }
}

/// At most as many failed logins from an address in any hour as the rule allows, and some minutes
/// between two.
pub(crate) struct Failures {
    /// A ring of the latest of each address; `next` is the oldest.
    latest: Vec<([i64; FAILURES_ALLOWED], u8)>,
}

impl Failures {
    pub(crate) fn new(n_addresses: usize) -> Self {
        Self { latest: vec![([i64::MIN; FAILURES_ALLOWED], 0); n_addresses] }
    }

    /// Whether a failure may happen now; if so it is counted. Times must not go back.
    pub(crate) fn admit(&mut self, address: u32, at: i64) -> bool {
        let Some((ring, next)) = self.latest.get_mut(address as usize) else { return false };
        let newest = ring[(usize::from(*next) + FAILURES_ALLOWED - 1) % FAILURES_ALLOWED];
        let oldest = &mut ring[usize::from(*next)];
        if at.saturating_sub(*oldest) < WINDOW_US || at.saturating_sub(newest) < FAILURES_APART {
            return false;
        }
        *oldest = at;
        *next = (*next + 1) % FAILURES_ALLOWED as u8;
        true
    }
}

/// A user's exports of the last hour.
#[derive(Debug, Clone)]
pub(crate) struct Exports {
    latest: [(i64, u32); EXPORTS_PER_HOUR],
    next: u8,
}

impl Exports {
    pub(crate) fn new() -> Self {
        Self { latest: [(i64::MIN, 0); EXPORTS_PER_HOUR], next: 0 }
    }

    /// Whether this many rows may be exported now. If so, they are counted.
    pub(crate) fn admit(&mut self, rows: u32, at: i64) -> bool {
        let recent = self.latest.iter().filter(|(time, _)| at.saturating_sub(*time) < HOUR);
        let in_hour: u32 = recent.map(|(_, rows)| rows).sum();
        let oldest = &mut self.latest[usize::from(self.next)];
        if at.saturating_sub(oldest.0) < HOUR || in_hour + rows > ROWS_PER_HOUR {
            return false;
        }
        *oldest = (at, rows);
        self.next = (self.next + 1) % EXPORTS_PER_HOUR as u8;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(first: u32) -> Place {
        Place { first, n_addresses: 1 }
    }

    #[test]
    fn a_third_place_waits_until_the_second_is_an_hour_old() {
        let mut places = Places::at(place(0));
        assert_eq!(places.go(place(0), 0), place(0));
        assert_eq!(places.go(place(1), MINUTE), place(1));
        assert_eq!(places.go(place(2), HOUR), place(1));
        assert_eq!(places.go(place(0), HOUR), place(0));
        assert_eq!(places.go(place(2), PLACE_SPAN + HOUR - 1), place(0));
        assert_eq!(places.go(place(2), PLACE_SPAN + HOUR), place(2));
    }

    #[test]
    fn failures_keep_their_distance_and_are_five_an_hour() {
        let mut failures = Failures::new(1);
        let admitted: Vec<_> = (0..70).filter(|n| failures.admit(0, n * MINUTE)).collect();
        assert_eq!(admitted, [0, 5, 10, 15, 20, 60, 65]);
    }

    #[test]
    fn exports_of_an_hour_are_few_and_small() {
        let mut exports = Exports::new();
        let admitted = (0..60).filter(|n| exports.admit(2_000, n * MINUTE)).count();
        assert_eq!(admitted, 4);
        let mut exports = Exports::new();
        let admitted = (0..60).filter(|n| exports.admit(0, n * MINUTE)).count();
        assert_eq!(admitted, EXPORTS_PER_HOUR);
    }
}
