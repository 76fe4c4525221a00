//! Attacks on the pattern's stream, and the room that they have there.

use crate::label::Tracker;
use crate::time::Timeline;

/// This fraction of the rest of the stream is kept free of attack events, as room for attacks that start later.
/// They make up a hundredth of the stream.
const RESERVE: u64 = 32;

/// What a planner may use of the stream.
pub(crate) struct Room {
    /// The background event that comes next.
    pub(crate) background_idx: u64,
    pub(crate) timeline: Timeline,
    /// Events of the whole stream.
    pub(crate) count: u64,
    pub(crate) n_users: u32,
    /// Events that attacks have claimed so far.
    pub(crate) claimed: u64,
    /// The last event of the attacks claimed so far.
    pub(crate) last_claimed: i64,
}

impl Room {
    /// How late the last of `n_events` more may be. Attack events take places of the background, so
    /// the stream ends earlier with each; every one claimed before must still come up before the
    /// end. `None` if there is no room.
    pub(crate) fn latest(&self, n_events: usize) -> Option<i64> {
        let n_background = self.count.checked_sub(self.claimed + n_events as u64)?;
        let last_idx = n_background.checked_sub(1)?;
        if self.timeline.at(last_idx) < self.last_claimed {
            return None;
        }
        let n_left = last_idx.checked_sub(self.background_idx)?;
        Some(self.timeline.at(last_idx - n_left / RESERVE))
    }

    pub(crate) fn now(&self) -> i64 {
        self.timeline.at(self.background_idx)
    }
}

/// Events that belong together.
pub(crate) struct Campaign {
    pub(crate) ip: String,
    pub(crate) agent: &'static str,
    /// Users, by their index; each event is about one of them.
    pub(crate) targets: Vec<u32>,
    /// Event times in order, not empty.
    pub(crate) times: Vec<i64>,
    pub(crate) tracker: Tracker,
}
