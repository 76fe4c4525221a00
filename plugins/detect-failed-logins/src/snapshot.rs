//! The state as bytes, format 1: the counters, then every address with its loose failures and its
//! windows, the address silent for longest first. Times are written as differences, so that a failure
//! takes about twelve bytes.

use audit_plugin_sdk::codec::{Reader, Writer};

use crate::address::{Address, Failure, KEY_BYTES_MAX, Told, WINDOWS_MAX, Window};
use crate::config::{FAILURES_PER_ADDRESS_MAX, Settings};
use crate::state::State;

/// Tells a state of this detector from any other bytes.
const MAGIC: &[u8] = b"failed-logins";

pub(crate) fn write(state: &State) -> Vec<u8> {
    // Close to what is needed, as a vector that grows would take twice that for a moment.
    let mut writer = Writer::with_capacity(state.n_bytes() / 3);
    writer.bytes(MAGIC);
    writer.uint(state.n_ignored);
    writer.uint(state.n_evicted);
    writer.uint(state.n_evicted_told);
    writer.int(state.told_day);
    writer.int(state.swept);
    let addresses = state.addresses();
    writer.uint(addresses.len() as u64);
    for (key, address) in addresses {
        writer.bytes(key);
        write_failures(&mut writer, &address.loose);
        writer.uint(address.windows.len() as u64);
        for window in &address.windows {
            write_window(&mut writer, window);
        }
    }
    writer.finish()
}

/// `None` for bytes that `write` does not make.
pub(crate) fn read(bytes: &[u8], settings: &Settings) -> Option<State> {
    let mut reader = Reader::new(bytes);
    if reader.bytes()? != MAGIC {
        return None;
    }
    let mut state = State::default();
    state.n_ignored = reader.uint()?;
    let (n_evicted, n_evicted_told) = (reader.uint()?, reader.uint()?);
    state.told_day = reader.int()?;
    state.swept = reader.int()?;
    if n_evicted_told > n_evicted || n_evicted > u64::MAX / 2 {
        return None;
    }
    for _ in 0..reader.count()? {
        let key = reader.bytes()?;
        if key.len() > KEY_BYTES_MAX || std::str::from_utf8(key).is_err() {
            return None;
        }
        let address = read_address(&mut reader)?;
        state.append(key, address, settings)?;
    }
    // A smaller `max-keys` than before makes room at once: that is counted like any eviction.
    state.n_evicted += n_evicted;
    state.n_evicted_told = n_evicted_told;
    reader.is_at_end().then_some(state)
}

fn read_address(reader: &mut Reader<'_>) -> Option<Address> {
    let loose = read_failures(reader)?;
    let n_windows = reader.count()?;
    if n_windows > WINDOWS_MAX {
        return None;
    }
    let mut windows = Vec::with_capacity(n_windows);
    for _ in 0..n_windows {
        windows.push(read_window(reader)?);
    }
    let address = Address { loose, windows };
    (!address.is_empty()).then_some(address)
}

fn write_window(writer: &mut Writer, window: &Window) {
    writer.int(window.start);
    writer.int(window.last);
    writer.int(window.received);
    writer.uint(window.n_failures);
    writer.uint(u64::from(window.told == Told::High));
    write_failures(writer, &window.failures);
}

/// Between batches the host knows all of every window, so only two states are left.
fn read_window(reader: &mut Reader<'_>) -> Option<Window> {
    let (start, last, received) = (reader.int()?, reader.int()?, reader.int()?);
    let n_failures = reader.uint()?;
    let is_high = match reader.uint()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let failures = read_failures(reader)?;
    let is_sound =
        start <= last && n_failures >= failures.len() as u64 && n_failures < u64::MAX / 2;
    is_sound.then_some(Window {
        start,
        n_failures,
        last,
        received,
        is_high,
        told: if is_high { Told::High } else { Told::Medium },
        failures,
    })
}

fn write_failures(writer: &mut Writer, failures: &[Failure]) {
    writer.uint(failures.len() as u64);
    let mut before = 0_i64;
    for failure in failures {
        writer.int(failure.time.wrapping_sub(before));
        writer.int(failure.received.wrapping_sub(failure.time));
        writer.int(i64::from(failure.partition));
        writer.int(failure.offset);
        writer.uint(u64::from(failure.user));
        before = failure.time;
    }
}

fn read_failures(reader: &mut Reader<'_>) -> Option<Vec<Failure>> {
    let n_failures = reader.count()?;
    if n_failures > FAILURES_PER_ADDRESS_MAX {
        return None;
    }
    let mut failures = Vec::with_capacity(n_failures);
    let mut before = 0_i64;
    for _ in 0..n_failures {
        let time = before.wrapping_add(reader.int()?);
        failures.push(Failure {
            time,
            received: time.wrapping_add(reader.int()?),
            partition: i32::try_from(reader.int()?).ok()?,
            offset: reader.int()?,
            user: u32::try_from(reader.uint()?).ok()?,
        });
        before = time;
    }
    failures.is_sorted().then_some(failures)
}
