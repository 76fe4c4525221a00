//! The order in which the records of several partitions are read: by time.
//!
//! A backlog has one partition hours ahead of another whenever each is read at its own pace, and every detector would
//! see disorder that no producer made. So partitions are merged by the Kafka timestamps of their next records. The order
//! is a function of the logs alone wherever the records are older than [`LIVE_WITHIN_MS`]: it does not depend on how
//! fast a broker answers, nor on where reading was interrupted.
//!
//! A partition without a record at hand holds the others: its next record may be older than theirs. It does not if it is
//! known to be at its end (what comes later is newer), nor longer than the wait, and not at all where what the others
//! have is live.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// Records after a record that tell whether its timestamp can be believed.
const WINDOW_RECORDS: usize = 64;
/// Large records are not kept waiting by the dozen: so many bytes are enough of a window.
const WINDOW_BYTES: u64 = 64 << 10;
/// A record with a later timestamp than a quarter of its window is stamped too late; in a small window than at least so
/// many, or all.
const WINDOW_SHARE: usize = 4;
const BELIEVED_MIN: usize = 4;

/// What is younger is live: it is read as it comes.
const LIVE_WITHIN_MS: i64 = 5_000;

/// How far two topics may be apart: batches are of one topic, and would be tiny if each record had its place among
/// those of the other topics.
const TOPICS_APART_MS: i64 = 60_000;

/// How often the ends of all partitions are asked for while one of them holds the others, and those of unaligned
/// ones otherwise.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASK_EVERY_UNALIGNED: Duration = Duration::from_secs(5);
/// How long it is remembered that a leader said nothing, when nobody asks it.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) unix_ms: i64,
}

/// What is known about the end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Further records may be there already.
    Unknown,
    /// No further record is known.
    Reached,
    /// At this time, in milliseconds since 1970, there was no further record.
    At(i64),
}

/// A partition and its records that were received.
struct Lane<T> {
    topic: usize,
    partition: i32,
    /// Of the records from `first` on: Kafka timestamp, and where the record ends in the bytes that ever came.
    stamps: Vec<(i64, u64)>,
    first: usize,
    n_bytes: u64,
    records: VecDeque<T>,
    end: End,
    /// Whether it is in the heap of its topic.
    is_ranked: bool,
    /// Since when it holds the others.
    holds_since: Option<Instant>,
    /// It held the others for too long, and does not until it delivers again.
    is_unaligned: bool,
    /// Since when its leader does not say where it ends.
    silent_since: Option<Instant>,
}

/// What to do while records are held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Lanes that held the others for too long: they no longer do.
    pub(crate) unaligned: Vec<usize>,
    /// Lanes whose end should be asked for.
    pub(crate) ask: Vec<usize>,
}

/// A batch's part of the order: records of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) topic: usize,
    /// The last key before which another topic has its turn.
    until: i64,
}

/// Key, partition, lane.
type Rank = Reverse<(i64, i32, usize)>;

/// Lanes, merged. `T` is a record.
pub(crate) struct Merge<T> {
    lanes: Vec<Lane<T>>,
    /// For each topic its lanes whose next record is known, with the key of that record.
    ranked: Vec<BinaryHeap<Rank>>,
    /// Nothing with this key or a later one may be read: a lane may yet deliver an older record.
    floor: i64,
    wait: Duration,
    asked: Option<Instant>,
    /// When a lane held the others last.
    held: Option<Instant>,
}

impl<T> Merge<T> {
    pub(crate) fn new(n_topics: usize, wait: Duration) -> Self {
        let ranked = (0..n_topics).map(|_| BinaryHeap::new()).collect();
        Self { lanes: Vec::new(), ranked, floor: i64::MIN, wait, asked: None, held: None }
    }

    /// Adds a partition, and returns the number of its lane.
    pub(crate) fn add(&mut self, topic: usize, partition: i32) -> usize {
        self.lanes.push(Lane {
            topic,
            partition,
            stamps: Vec::new(),
            first: 0,
            n_bytes: 0,
            records: VecDeque::new(),
            end: End::Unknown,
            is_ranked: false,
            holds_since: None,
            is_unaligned: false,
            silent_since: None,
        });
        self.lanes.len() - 1
    }

    /// Adds a record behind those of its lane. Whether the lane was unaligned. [`Merge::rank`] must follow.
    pub(crate) fn push(
        &mut self,
        lane: usize,
        stamp_ms: Option<i64>,
        n_bytes: usize,
        record: T,
    ) -> bool {
        let Some(lane) = self.lanes.get_mut(lane) else { return false };
        lane.n_bytes += n_bytes as u64;
        // A record without a timestamp keeps nobody waiting.
        lane.stamps.push((stamp_ms.unwrap_or(i64::MIN), lane.n_bytes));
        lane.records.push_back(record);
        lane.end = End::Unknown;
        (lane.holds_since, lane.silent_since) = (None, None);
        std::mem::take(&mut lane.is_unaligned)
    }

    /// The last record of a lane that was not read yet.
    pub(crate) fn last_mut(&mut self, lane: usize) -> Option<&mut T> {
        self.lanes.get_mut(lane)?.records.back_mut()
    }

    /// Says what is known about the end of a lane. Whether it was unaligned and is not any more. [`Merge::rank`] must
    /// follow.
    pub(crate) fn set_end(&mut self, lane: usize, end: End) -> bool {
        let Some(lane) = self.lanes.get_mut(lane) else { return false };
        lane.end = end;
        matches!(end, End::At(_)) && std::mem::take(&mut lane.is_unaligned)
    }

    pub(crate) fn n_records(&self, lane: usize) -> usize {
        self.lanes.get(lane).map_or(0, |lane| lane.records.len())
    }

    /// Whether the lane has too few records to tell the key of the next one.
    pub(crate) fn is_short(&self, lane: usize) -> bool {
        self.lanes.get(lane).is_some_and(|lane| !lane.window().1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.records.is_empty())
    }

    pub(crate) fn n_unaligned(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.is_unaligned).count()
    }

    /// Gives a lane its place, if its next record is known. Must be called after anything about the lane changed.
    pub(crate) fn rank(&mut self, idx: usize, now: Now) {
        let is_alone = self.lanes.len() == 1;
        let Some(lane) = self.lanes.get_mut(idx) else { return };
        if !lane.is_ranked
            && let Some(key) = lane.key(now, is_alone)
        {
            lane.is_ranked = true;
            if let Some(heap) = self.ranked.get_mut(lane.topic) {
                heap.push(Reverse((key, lane.partition, idx)));
            }
        }
        if !lane.is_ranked {
            self.floor = self.floor.min(lane.floor());
        }
    }

    /// Which topic is next, if one can be read now.
    pub(crate) fn turn(&mut self, now: Now) -> Option<Turn> {
        let waiting = self.lanes.iter().filter(|lane| !lane.is_ranked);
        self.floor = waiting.map(Lane::floor).min().unwrap_or(i64::MAX);
        let top = |topic: usize| self.ranked.get(topic)?.peek().map(|Reverse((key, ..))| *key);
        let (key, topic) =
            (0..self.ranked.len()).filter_map(|topic| Some((top(topic)?, topic))).min()?;
        if !self.is_free(key, now) {
            return None;
        }
        let others = (0..self.ranked.len()).filter(|other| *other != topic);
        let next = others.filter_map(top).min();
        let until = next.map_or(i64::MAX, |next| next.saturating_add(TOPICS_APART_MS));
        Some(Turn { topic, until })
    }

    /// The lane whose record is next in this turn.
    pub(crate) fn next(&self, turn: Turn, now: Now) -> Option<(usize, &T)> {
        let Reverse((key, _, lane)) = *self.ranked.get(turn.topic)?.peek()?;
        if key > turn.until || !self.is_free(key, now) {
            return None;
        }
        Some((lane, self.lanes.get(lane)?.records.front()?))
    }

    /// Takes the record that [`Merge::next`] showed. [`Merge::rank`] must follow for its lane.
    pub(crate) fn take(&mut self, turn: Turn) -> Option<T> {
        let Reverse((.., lane)) = self.ranked.get_mut(turn.topic)?.pop()?;
        let lane = self.lanes.get_mut(lane)?;
        lane.is_ranked = false;
        lane.take()
    }

    /// Whether a record with this key can be read.
    fn is_free(&self, key: i64, now: Now) -> bool {
        key < self.floor || is_live(key, now)
    }

    /// A leader said where a lane ends, or did not say so when it was asked. The partitions of a broker that is down are
    /// silent together, so that they hold the others together, and not one after the other.
    pub(crate) fn answered(&mut self, lane: usize, silent_since: Option<Instant>) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.silent_since = silent_since.map(|since| lane.silent_since.unwrap_or(since));
        }
    }

    /// To be called when nothing can be read: counts the time of those that hold the others.
    pub(crate) fn hold(&mut self, now: Now) -> Held {
        let next = self.next_key(now);
        let mut held = Held::default();
        let mut any_holds = false;
        for (idx, lane) in self.lanes.iter_mut().enumerate() {
            if lane.is_ranked || next.is_none_or(|next| lane.floor() > next) {
                lane.holds_since = None;
                continue;
            }
            any_holds = true;
            let since = lane.silent_since.unwrap_or(now.instant);
            let since = *lane.holds_since.get_or_insert(since);
            if now.instant.saturating_duration_since(since) >= self.wait {
                lane.is_unaligned = true;
                held.unaligned.push(idx);
            }
        }
        for idx in &held.unaligned {
            self.rank(*idx, now);
        }
        self.forget_silence(any_holds, now);
        held.ask = self.questions(any_holds, now);
        held
    }

    /// The key of the record that would be next, if nothing older were to come.
    fn next_key(&self, now: Now) -> Option<i64> {
        let tops = self.ranked.iter().filter_map(|heap| heap.peek());
        let ready = tops.map(|Reverse((key, ..))| *key);
        let unsettled = self.lanes.iter().filter(|lane| !lane.is_ranked);
        ready.chain(unsettled.filter_map(|lane| lane.guess(now))).min()
    }

    fn forget_silence(&mut self, any_holds: bool, now: Now) {
        let passed = |since: Instant| now.instant.saturating_duration_since(since);
        if any_holds {
            self.held = Some(now.instant);
        } else if self.held.take_if(|held| passed(*held) > FORGET_AFTER).is_some() {
            self.lanes.iter_mut().for_each(|lane| lane.silent_since = None);
        }
    }

    /// The lanes whose ends should be asked for now.
    fn questions(&mut self, any_holds: bool, now: Now) -> Vec<usize> {
        let every = if any_holds { ASK_EVERY } else { ASK_EVERY_UNALIGNED };
        let is_due = |asked: Instant| now.instant.saturating_duration_since(asked) >= every;
        if !self.asked.is_none_or(is_due) {
            return Vec::new();
        }
        let lanes = self.lanes.iter().enumerate();
        let concerned = lanes.filter(|(_, lane)| any_holds || lane.is_unaligned);
        let ask: Vec<usize> = concerned.map(|(idx, _)| idx).collect();
        if !ask.is_empty() {
            self.asked = Some(now.instant);
        }
        ask
    }
}

impl<T> Lane<T> {
    /// The records after the next one that tell whether its timestamp can be believed, and whether they are all.
    fn window(&self) -> (&[(i64, u64)], bool) {
        let Some((next, after)) = self.stamps.get(self.first..).and_then(<[_]>::split_first) else {
            return (&[], false);
        };
        let n_known = after.len().min(WINDOW_RECORDS);
        let window = &after[..n_known];
        let is_far = |(_, end): &(i64, u64)| end - next.1 >= WINDOW_BYTES;
        if window.last().is_some_and(is_far) {
            let n_enough = window.partition_point(|stamp| !is_far(stamp)) + 1;
            return (&window[..n_enough], true);
        }
        (window, n_known == WINDOW_RECORDS)
    }

    /// The key by what is known, of a lane that has a record.
    fn guess(&self, now: Now) -> Option<i64> {
        let (own, _) = *self.stamps.get(self.first)?;
        Some(key_of(own, self.window().0).min(now.unix_ms))
    }

    /// The key of the next record, once it is certain.
    fn key(&self, now: Now, is_alone: bool) -> Option<i64> {
        let key = self.guess(now)?;
        let is_settled = self.window().1 || self.end != End::Unknown;
        // A record from the future is no live one: it may stand among older ones.
        let own = self.stamps.get(self.first).map_or(i64::MIN, |stamp| stamp.0);
        let comes_live = is_live(key, now) && own <= now.unix_ms.saturating_add(LIVE_WITHIN_MS);
        (is_settled || comes_live || is_alone || self.is_unaligned).then_some(key)
    }

    /// A lower bound of the next key, of a lane whose key is not known.
    fn floor(&self) -> i64 {
        match self.end {
            _ if self.is_unaligned => i64::MAX,
            End::At(at) if self.records.is_empty() => at,
            _ => i64::MIN,
        }
    }

    fn take(&mut self) -> Option<T> {
        let record = self.records.pop_front()?;
        self.first += 1;
        // Moved to the front seldom, so that a record costs nothing.
        if self.first > WINDOW_RECORDS && self.first * 2 > self.stamps.len() {
            self.stamps.drain(..self.first);
            self.first = 0;
        }
        Some(record)
    }
}

fn is_live(key: i64, now: Now) -> bool {
    key >= now.unix_ms.saturating_sub(LIVE_WITHIN_MS)
}

/// The key of a record: its own timestamp, unless a good share of the records after it in the same partition have
/// earlier ones. Then a producer stamped it too late, and it must not hold up those after it: its key is the timestamp of
/// the first of them that is not too late itself. One stamped too early, such as in 1970, changes no key but its own.
fn key_of(own: i64, window: &[(i64, u64)]) -> i64 {
    let n_believed = (window.len() / WINDOW_SHARE).max(window.len().min(BELIEVED_MIN));
    let is_late = |stamp: i64| window.iter().filter(|after| after.0 < stamp).count() >= n_believed;
    if !is_late(own) {
        return own;
    }
    let stamps = window.iter().map(|after| after.0);
    stamps.into_iter().find(|stamp| !is_late(*stamp)).unwrap_or(own)
}

#[cfg(test)]
mod tests;
