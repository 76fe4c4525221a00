//! Half-open spans of sorted sightings: the first span that holds too much and includes the sighting that
//! just came. Spans without that one were checked when their own last sighting came.

use std::ops::Range;

use crate::burst::Sighting;

/// The first of `count` sightings that include the one at `at` and lie within a span of `length`.
pub fn first_of_count(
    sightings: &[Sighting],
    at: usize,
    count: usize,
    length: i64,
) -> Option<usize> {
    let earliest = (at + 1).saturating_sub(count);
    (earliest..=at).find(|&first| {
        let last = sightings.get(first + count - 1);
        last.is_some_and(|last| is_within(&sightings[first], last, length))
    })
}

/// The first sighting of the earliest span of `length` that includes the one at `at` and whose tags add
/// up to at least `least`.
pub fn first_of_weight(
    sightings: &[Sighting],
    at: usize,
    least: u64,
    length: i64,
) -> Option<usize> {
    let near = near(sightings, at, length);
    let (mut end, mut sum) = (near.start, 0_u128);
    for first in near.start..=at {
        while end < near.end && is_within(&sightings[first], &sightings[end], length) {
            sum += u128::from(sightings[end].tag);
            end += 1;
        }
        if sum >= u128::from(least) {
            return Some(first);
        }
        sum -= u128::from(sightings[first].tag);
    }
    None
}

/// The first sighting of the earliest span of `length` that includes the one at `at` and holds at least
/// `least` distinct tags for which `counts` is true. Others are ignored.
pub fn first_of_distinct(
    sightings: &[Sighting],
    at: usize,
    least: usize,
    length: i64,
    counts: impl Fn(u64) -> bool,
) -> Option<usize> {
    let near = near(sightings, at, length);
    if !may_have_distinct(&sightings[near.clone()], least, &counts) {
        return None;
    }
    let tags = distinct(&sightings[near.clone()], &counts);
    let place = |tag: u64| tags.partition_point(|other| *other < tag);
    let mut n_sightings = vec![0_u32; tags.len()];
    let (mut end, mut n_distinct) = (near.start, 0);
    for first in near.start..=at {
        while end < near.end && is_within(&sightings[first], &sightings[end], length) {
            if counts(sightings[end].tag) {
                let n = &mut n_sightings[place(sightings[end].tag)];
                n_distinct += usize::from(*n == 0);
                *n += 1;
            }
            end += 1;
        }
        if !counts(sightings[first].tag) {
            continue;
        }
        if n_distinct >= least {
            return Some(first);
        }
        let n = &mut n_sightings[place(sightings[first].tag)];
        *n -= 1;
        n_distinct -= usize::from(*n == 0);
    }
    None
}

/// How many distinct tags for which `counts` is true lie less than `length` from the sighting at `at`,
/// before or after it.
pub fn n_distinct_near(
    sightings: &[Sighting],
    at: usize,
    length: i64,
    counts: impl Fn(u64) -> bool,
) -> usize {
    distinct(&sightings[near(sightings, at, length)], &counts).len()
}

/// Sorted.
fn distinct(sightings: &[Sighting], counts: &impl Fn(u64) -> bool) -> Vec<u64> {
    let tags = sightings.iter().map(|sighting| sighting.tag);
    let mut tags: Vec<u64> = tags.filter(|tag| counts(*tag)).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// A cheap check, without an allocation, that rules out most cases: it runs for nearly every event.
fn may_have_distinct(sightings: &[Sighting], least: usize, counts: &impl Fn(u64) -> bool) -> bool {
    /// With more sightings the exact count is cheaper.
    const PLAIN_MAX: usize = 32;
    if sightings.len() < least || sightings.len() > PLAIN_MAX {
        return sightings.len() >= least;
    }
    let is_new = |(index, sighting): &(usize, &Sighting)| {
        counts(sighting.tag) && sightings[..*index].iter().all(|before| before.tag != sighting.tag)
    };
    sightings.iter().enumerate().filter(is_new).take(least).count() >= least
}

/// The sightings that can share a span with the one at `at`.
fn near(sightings: &[Sighting], at: usize, length: i64) -> Range<usize> {
    let start = sightings.partition_point(|other| {
        other.event.time < sightings[at].event.time && !is_within(other, &sightings[at], length)
    });
    let end = sightings.partition_point(|other| {
        other.event.time <= sightings[at].event.time || is_within(&sightings[at], other, length)
    });
    start..end
}

fn is_within(first: &Sighting, last: &Sighting, length: i64) -> bool {
    last.event.time.saturating_sub(first.event.time) < length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    fn sightings(of: &[(i64, u64)]) -> Vec<Sighting> {
        let event = |time| Event { time, received: time, partition: 0, offset: 0 };
        of.iter().map(|&(time, tag)| Sighting { event: event(time), tag }).collect()
    }

    #[test]
    fn counts_are_exact_and_spans_half_open() {
        let five = sightings(&[(0, 0), (2, 0), (4, 0), (10, 0), (12, 0)]);
        assert_eq!(first_of_count(&five, 3, 4, 10), None, "0 to 10 is one too long");
        assert_eq!(first_of_count(&five, 3, 4, 11), Some(0));
        assert_eq!(first_of_count(&five, 1, 3, 9), Some(0));
        assert_eq!(first_of_count(&five, 4, 2, 3), Some(3));
        assert_eq!(first_of_count(&five, 4, 6, 100), None);
        let extreme = sightings(&[(i64::MIN, 0), (i64::MAX, 0)]);
        assert_eq!(first_of_count(&extreme, 1, 2, i64::MAX), None);
    }

    #[test]
    fn weights_add_up() {
        let some = sightings(&[(0, 3), (5, 4), (9, 2), (10, 5)]);
        assert_eq!(first_of_weight(&some, 2, 9, 10), Some(0));
        assert_eq!(first_of_weight(&some, 2, 10, 10), Some(1), "with what came before, behind it");
        assert_eq!(first_of_weight(&some, 2, 12, 10), None);
        assert_eq!(first_of_weight(&some, 0, 10, 10), None, "no span with the first holds ten");
        let huge = sightings(&[(0, u64::MAX), (1, u64::MAX)]);
        assert_eq!(first_of_weight(&huge, 1, u64::MAX, 10), Some(0));
        assert_eq!(first_of_weight(&huge, 1, u64::MAX, 1), Some(1));
    }

    /// Compared with all spans, tried one by one.
    #[test]
    fn distinct_tags_are_those_of_some_span() {
        let mut random = 7_u64;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % limit
        };
        let mut n_found = 0;
        for round in 0..2_000 {
            let mut of: Vec<(i64, u64)> =
                (0..=below(90)).map(|_| (below(60) as i64, below(12))).collect();
            of.sort_unstable();
            let all = sightings(&of);
            let at = below(of.len() as u64) as usize;
            let counts = |tag: u64| !tag.is_multiple_of(3);
            let least = 2 + below(5) as usize;
            let found = first_of_distinct(&all, at, least, 10, counts);
            let tags = |inside: &mut dyn Iterator<Item = &(i64, u64)>| {
                let tags = inside.map(|(_, tag)| *tag).filter(|tag| counts(*tag));
                tags.collect::<std::collections::BTreeSet<u64>>().len()
            };
            let expected = (0..=at).find(|&first| {
                let inside = &mut of[first..].iter().filter(|(time, _)| time - of[first].0 < 10);
                of[at].0 - of[first].0 < 10 && counts(of[first].1) && tags(inside) >= least
            });
            let around = &mut of.iter().filter(|(time, _)| (time - of[at].0).abs() < 10);
            assert_eq!(n_distinct_near(&all, at, 10, counts), tags(around), "round {round}");
            assert_eq!(found, expected, "round {round}: {of:?} at {at}");
            n_found += usize::from(found.is_some());
        }
        assert!(n_found > 100, "tests nothing otherwise");
    }
}
