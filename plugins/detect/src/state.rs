//! The state of a detector: its keys and which evictions were reported. All detectors use the same type
//! and the same bytes.

use audit_plugin_sdk::Judgement;
use audit_plugin_sdk::codec::{Reader, Writer};

use crate::evictions::Evictions;
use crate::keyed::{Keyed, Limits};
use crate::saved::{Format, Saved};

/// Keys with their values, and which evictions were reported.
#[derive(Debug)]
pub struct State<V> {
    keys: Keyed<V>,
    evictions: Evictions,
}

impl<V: Saved> State<V> {
    /// An empty state.
    pub fn new(limits: Limits) -> Self {
        Self { keys: Keyed::new(limits), evictions: Evictions::default() }
    }

    /// Applies a change to the value of a key, for an event received at `now`. If the change drops data of
    /// the key because there is no room, it must count that in the evictions.
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

    /// Raises the alerts on evictions that are due. Call it after every `touch`, after the alerts of the
    /// event itself. `what` names the keys, in the plural.
    #[inline]
    pub fn report(&mut self, now: i64, what: &str, out: &mut Judgement) {
        self.evictions.report(self.keys.n_evicted(), now, what, out);
    }

    /// The state as bytes. They start with `magic`, which distinguishes them from any others.
    pub fn snapshot(&self, magic: &[u8]) -> Vec<u8> {
        // Close to the final size: a vector that grows needs twice that for a moment.
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
