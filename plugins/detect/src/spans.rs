//! Half-open spans of sorted sightings: the first that holds too much, and the sighting that just came.
//! Spans without that one were looked at when their own last sighting came.

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

/// The first sighting of the earliest span of `length` that includes the one at `at` and whose numbers
/// of distinct tags of class 0 and of class 1 are too much. Never too much with fewer than `least` of
/// class 0.
pub fn first_of_distinct(
    sightings: &[Sighting],
    at: usize,
    least: usize,
    length: i64,
    class: impl Fn(u64) -> usize,
    is_too_much: impl Fn([usize; 2]) -> bool,
) -> Option<usize> {
    let near = near(sightings, at, length);
    let around = &sightings[near.clone()];
    if !has_distinct(around, least, &class) {
        return None;
    }
    let mut tags: Vec<u64> = around.iter().map(|sighting| sighting.tag).collect();
    tags.sort_unstable();
    tags.dedup();
    let place = |tag: u64| tags.partition_point(|other| *other < tag);
    let mut counts = vec![0_u32; tags.len()];
    let mut distinct = [0_usize; 2];
    let mut end = near.start;
    for first in near.start..=at {
        while end < near.end && is_within(&sightings[first], &sightings[end], length) {
            let tag = sightings[end].tag;
            let count = &mut counts[place(tag)];
            distinct[class(tag) & 1] += usize::from(*count == 0);
            *count += 1;
            end += 1;
        }
        if distinct[0] >= least && is_too_much(distinct) {
            return Some(first);
        }
        let tag = sightings[first].tag;
        let count = &mut counts[place(tag)];
        *count -= 1;
        distinct[class(tag) & 1] -= usize::from(*count == 0);
    }
    None
}

/// Whether there are so many distinct tags of class 0, found out without an allocation where it is
/// plain that there are not: this is asked of nearly every event.
fn has_distinct(sightings: &[Sighting], least: usize, class: &impl Fn(u64) -> usize) -> bool {
    if sightings.len() < least {
        return false;
    }
    let mut n_distinct = 0;
    for (index, sighting) in sightings.iter().enumerate() {
        if n_distinct >= least || index > 64 {
            return true;
        }
        let is_new = class(sighting.tag) == 0
            && sightings[..index].iter().all(|before| before.tag != sighting.tag);
        n_distinct += usize::from(is_new);
    }
    n_distinct >= least
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

    /// Against all spans, tried one by one.
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
            let is_too_much = |n: [usize; 2]| n[0] > n[1] + 1;
            let class = |tag: u64| (tag % 2) as usize;
            let found = first_of_distinct(&all, at, 3, 10, class, is_too_much);
            let expected = (0..=at).find(|&first| {
                let inside = || of[first..].iter().filter(|(time, _)| time - of[first].0 < 10);
                let tags: std::collections::BTreeSet<u64> = inside().map(|(_, tag)| *tag).collect();
                let n = [0, 1].map(|of| tags.iter().filter(|tag| class(**tag) == of).count());
                of[at].0 - of[first].0 < 10 && n[0] >= 3 && is_too_much(n)
            });
            assert_eq!(found, expected, "round {round}: {of:?} at {at}");
            n_found += usize::from(found.is_some());
        }
        assert!(n_found > 100, "tests nothing otherwise");
    }
}
