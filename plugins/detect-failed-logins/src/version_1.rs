//! States of version 1: failures and windows only, with single IPv6 addresses. What they lack (users who
//! succeeded, sprays) starts empty.

use audit_detect::{Burst, Bursts, Event, LOOSE_MAX, Origin, Sighting, State};
use audit_plugin_sdk::Severity;
use audit_plugin_sdk::codec::Reader;

use crate::address::Address;
use crate::attack::{Attack, is_set};
use crate::config::Settings;

/// Limits of format 1.
const KEY_BYTES_MAX_1: usize = 128;
const WINDOWS_MAX_1: usize = 64;

/// `None` for other bytes.
pub(crate) fn read(magic: &[u8], bytes: &[u8], settings: &Settings) -> Option<State<Address>> {
    let mut reader = Reader::new(bytes);
    if reader.bytes()? != magic {
        return None;
    }
    for _ in 0..3 {
        reader.uint()?;
    }
    for _ in 0..2 {
        reader.int()?;
    }
    let mut addresses = State::new(settings.limits);
    for _ in 0..reader.count()? {
        let text = reader.bytes().filter(|text| text.len() <= KEY_BYTES_MAX_1)?;
        let (address, received) = read_address_1(&mut reader)?;
        let key = Origin::of(text).key(text, settings.ipv6_prefix);
        // Several addresses may now be one origin: the one with the latest failure replaces the others.
        addresses.touch(&key, received, |kept: &mut Address, _| *kept = address);
    }
    reader.is_at_end().then_some(addresses)
}

/// An address and the Kafka time of its last failure.
fn read_address_1(reader: &mut Reader<'_>) -> Option<(Address, i64)> {
    let loose = read_failures_1(reader)?;
    let n_windows = reader.count().filter(|&n| n <= WINDOWS_MAX_1)?;
    let mut windows = Vec::with_capacity(n_windows);
    for _ in 0..n_windows {
        windows.push(read_window_1(reader)?);
    }
    let received = loose.iter().map(|failure| failure.event.received);
    let received = received.chain(windows.iter().map(|window| window.received)).max()?;
    let attack = windows.iter().max_by_key(|window| window.last).map(|window| Attack {
        start: window.start,
        since: window.last,
        last: window.last,
        is_reported: false,
    });
    let guesses = Bursts::from_parts(loose, windows)?;
    Some((Address { guesses, attack, ..Address::default() }, received))
}

fn read_window_1(reader: &mut Reader<'_>) -> Option<Burst> {
    let (start, last, received) = (reader.int()?, reader.int()?, reader.int()?);
    let n_events = reader.uint()?;
    let severity = if is_set(reader)? { Severity::High } else { Severity::Medium };
    let kept = read_failures_1(reader)?;
    Some(Burst { start, first: start, last, received, n_events, weight: 0, severity, kept })
}

fn read_failures_1(reader: &mut Reader<'_>) -> Option<Vec<Sighting>> {
    let n_failures = reader.count().filter(|&n| n <= LOOSE_MAX)?;
    let mut failures = Vec::with_capacity(n_failures);
    let mut time = 0_i64;
    for _ in 0..n_failures {
        time = time.wrapping_add(reader.int()?);
        let event = Event {
            time,
            received: time.wrapping_add(reader.int()?),
            partition: i32::try_from(reader.int()?).ok()?,
            offset: reader.int()?,
        };
        let user = u32::try_from(reader.uint()?).ok()?;
        // Users as in format 2: even, and 0 for none. The hash differs, so a user who failed before and after
        // the upgrade is counted twice in the label, for one window.
        failures.push(Sighting { event, tag: u64::from(user & !1) });
    }
    Some(failures)
}
