//! The state as bytes, format 2: every key with its profile, least recently used first, then which evictions
//! were reported. Format 1 has less of the latter.

use audit_detect::{Evictions, Format, Keyed};
use audit_plugin_sdk::Position;
use audit_plugin_sdk::codec::{Reader, Writer};

use crate::config::Settings;
use crate::history::{DAY_HOURS, History};
use crate::profile::{CITED_MAX, OPEN_MAX, OpenHour, Profile, Reported};
use crate::state::State;

/// Distinguishes a state of this detector from any other bytes.
const MAGIC: &[u8] = b"unusual-volume";

const HOUR_MICROS: u32 = 3_600_000_000;

pub(crate) fn write(state: &State, settings: &Settings) -> Vec<u8> {
    // Close to the final size: a vector that grows needs twice that for a moment.
    let mut writer = Writer::with_capacity(state.profiles.n_bytes() / 2);
    writer.bytes(MAGIC);
    writer.uint(settings.history_days as u64);
    state.profiles.write(&mut writer, write_profile);
    state.evictions.write(&mut writer);
    writer.finish()
}

/// `None` for bytes that `write` does not produce.
pub(crate) fn read(bytes: &[u8], settings: &Settings, format: Format) -> Option<State> {
    let mut reader = Reader::new(bytes);
    if reader.bytes()? != MAGIC {
        return None;
    }
    let history_days = i32::try_from(reader.uint()?).ok()?;
    let profiles = Keyed::read(&mut reader, settings.limits, |reader| {
        let mut profile = read_profile(reader)?;
        if history_days < settings.history_days {
            forget_unkept(&mut profile, history_days);
        }
        Some(profile)
    })?;
    let evictions = Evictions::read(&mut reader, profiles.n_evicted(), format)?;
    reader.is_at_end().then(|| State { profiles, evictions })
}

/// If the configured history became longer, the hours before the kept ones are unknown rather than empty.
fn forget_unkept(profile: &mut Profile, history_days: i32) {
    let newest = profile.open.last().map_or(i32::MIN, |open| open.hour);
    let kept = newest.saturating_sub(history_days.saturating_mul(DAY_HOURS));
    profile.since = profile.since.max(kept);
}

fn write_profile(writer: &mut Writer, profile: &Profile) {
    let newest = profile.open.last().map_or(0, |open| open.hour);
    writer.int(newest.into());
    writer.int(i64::from(newest) - i64::from(profile.since));
    writer.uint(profile.open.len() as u64);
    for open in &profile.open {
        writer.int(i64::from(newest) - i64::from(open.hour));
        writer.uint(open.count.into());
        writer.uint(open.limit.into());
        writer.uint(open.first.into());
        writer.uint(open.last.into());
        writer.uint(open.reported as u64);
    }
    let (last_day, rows) = profile.history.parts();
    if rows.is_empty() {
        writer.bytes(rows);
    } else {
        writer.bytes(rows);
        writer.int(last_day.into());
    }
    writer.uint(profile.cited.len() as u64);
    if !profile.cited.is_empty() {
        writer.int(i64::from(newest) - i64::from(profile.cited_hour));
    }
    for position in &profile.cited {
        writer.int(position.partition.into());
        writer.int(position.offset);
    }
}

fn read_profile(reader: &mut Reader<'_>) -> Option<Profile> {
    let newest = reader.int().filter(|&hour| i32::try_from(hour).is_ok())?;
    let hour = |reader: &mut Reader<'_>| i32::try_from(newest.checked_sub(reader.int()?)?).ok();
    let since = hour(reader)?;
    let n_open = reader.count().filter(|n| (1..=OPEN_MAX).contains(n))?;
    let mut open = Vec::with_capacity(n_open);
    for _ in 0..n_open {
        let at = hour(reader)?;
        open.push(read_open(reader, at)?);
    }
    let ascends = open.is_sorted_by(|one, next| one.hour < next.hour);
    if !ascends || open.last().is_none_or(|last| i64::from(last.hour) != newest) {
        return None;
    }
    let rows = reader.bytes()?;
    let last_day = if rows.is_empty() { 0 } else { i32::try_from(reader.int()?).ok()? };
    let history = History::from_parts(last_day, rows)?;
    let n_cited = reader.count().filter(|&n| n <= CITED_MAX)?;
    let cited_hour = if n_cited == 0 { 0 } else { hour(reader)? };
    let mut cited = Vec::with_capacity(n_cited);
    for _ in 0..n_cited {
        let partition = i32::try_from(reader.int()?).ok()?;
        cited.push(Position { partition, offset: reader.int()? });
    }
    Some(Profile { since, open, history, cited_hour, cited })
}

fn read_open(reader: &mut Reader<'_>, hour: i32) -> Option<OpenHour> {
    let mut number = || u32::try_from(reader.uint()?).ok();
    let (count, limit, first, last) = (number()?, number()?, number()?, number()?);
    let reported = match number()? {
        0 => Reported::No,
        1 => Reported::Medium,
        2 => Reported::High,
        _ => return None,
    };
    let is_sound =
        count > 0 && first <= last && last < HOUR_MICROS && (reported == Reported::No || limit > 0);
    is_sound.then_some(OpenHour { hour, count, limit, first, last, reported })
}
