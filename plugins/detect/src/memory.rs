//! What a detector remembers: keys, and what was told of those that were forgotten. The same for all
//! detectors, and the same bytes.

use audit_plugin_sdk::codec::{Reader, Writer};
use audit_plugin_sdk::{Judgement, RestoreError};

use crate::evictions::Evictions;
use crate::keyed::{Keyed, Limits, Remembered};

/// Of which release a state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The one before: windows start at their first sighting, and what was forgotten within a key is
    /// not known.
    Before,
    /// The one that is written.
    Now,
}

/// What can be saved of a key.
pub trait Saved: Remembered {
    /// Appends it to a state.
    fn write(&self, writer: &mut Writer);

    /// Reads what `write` wrote, or what the release before wrote. `None` for other bytes.
    fn read(reader: &mut Reader<'_>, format: Format) -> Option<Self>;
}

/// Keys, and what was told of evictions.
#[derive(Debug)]
pub struct Memory<V> {
    keys: Keyed<V>,
    evictions: Evictions,
}

impl<V: Saved> Memory<V> {
    /// Nothing remembered yet.
    pub fn new(limits: Limits) -> Self {
        Self { keys: Keyed::new(limits), evictions: Evictions::default() }
    }

    /// Lets an event received at `now` change what is remembered of its key. What the change forgets of
    /// it for want of room it is to count.
    #[inline]
    pub fn touch<R>(
        &mut self,
        key: &[u8],
        now: i64,
        change: impl FnOnce(&mut V, &mut Evictions) -> R,
    ) -> R {
        let evictions = &mut self.evictions;
        self.keys.touch(key, now, |value| change(value, evictions))
    }

    /// Raises the alerts on what was forgotten, if any are due: to be called after every `touch`, once
    /// what the event tripped was told. `what` says what keys are, in the plural.
    #[inline]
    pub fn report(&mut self, now: i64, what: &str, out: &mut Judgement) {
        self.evictions.report(self.keys.n_evicted(), now, what, out);
    }

    /// The state as bytes, told from any others by `magic`.
    pub fn snapshot(&self, magic: &[u8]) -> Vec<u8> {
        // Close to what is needed, as a vector that grows would take twice that for a moment.
        let mut writer = Writer::with_capacity(self.keys.n_bytes() / 3);
        writer.bytes(magic);
        self.keys.write(&mut writer, |writer, value| value.write(writer));
        self.evictions.write(&mut writer);
        writer.finish()
    }

    /// Reads what `snapshot` wrote. `None` for other bytes.
    pub fn read(magic: &[u8], bytes: &[u8], limits: Limits, format: Format) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.bytes()? != magic {
            return None;
        }
        let keys = Keyed::read(&mut reader, limits, |reader| V::read(reader, format))?;
        let evictions = Evictions::read(&mut reader, keys.n_evicted(), format)?;
        reader.is_at_end().then_some(Self { keys, evictions })
    }
}

/// The format of a version, where versions are counted up to the `newest` one.
pub fn format_of(version: u32, newest: u32) -> Result<Format, RestoreError> {
    match newest.checked_sub(version) {
        Some(0) => Ok(Format::Now),
        Some(1) => Ok(Format::Before),
        _ => Err(RestoreError::UnsupportedVersion),
    }
}

/// What to answer to bytes that are no state.
pub fn corrupt() -> RestoreError {
    RestoreError::Corrupt("not a state of this detector".to_owned())
}
