//! Keys and their values, bounded in number and in size.
//!
//! Keys are in a slab and linked in a list by their last event, least recently used first: if there is no
//! room, that key is evicted. A hash table finds them. It is not part of a snapshot, because it determines
//! no order.
//!
//! **Colliding keys.** A plugin has neither randomness nor a secret, so the seed of the hashes is derived
//! from the first key and its time: it differs between tables, but whoever sees the stream knows it. An
//! attacker must try about 2^25 keys for each one that collides with the others in a table of the default
//! size. With `n` such keys, an event of one costs up to `n` key comparisons instead of one, and `n` is at
//! most `max-keys`. That takes time, which the host bounds per batch, and changes no result.
//!
//! No call walks over all keys. Expired keys are removed from the old end of the list, a few per event. A
//! key that comes back after it expired starts fresh, whether it was removed yet or not.

use audit_plugin_sdk::codec::{Reader, Writer};
use hashbrown::HashTable;

use crate::hash::seeded_hash;

/// Slots are allocated in chunks of this size: growing copies none, so memory never doubles for a moment.
const CHUNK_SLOTS: usize = 1024;

/// How many expired keys an event removes: more than it adds, so that all of them go in time.
const SWEPT_PER_EVENT: usize = 2;

/// Events that must agree that a key is expired before it is removed. They are no part of a snapshot: that a key is removed
/// later changes no result, because an expired key starts fresh.
const RECENT_EVENTS: usize = 32;

/// Bytes of a key in memory besides its text and its value: slot, table entry, two allocations.
const KEY_BYTES: usize = 144;

/// Longer keys in a snapshot are refused. Detectors cut theirs to far less.
const KEY_BYTES_MAX: usize = 1024;

/// No slot.
const NONE: u32 = u32::MAX;

/// A value that is kept per key.
pub trait Remembered: Default {
    /// Approximate bytes in memory besides its own size. Computed from lengths, not from capacities: those
    /// differ after a restart, and evictions must not depend on that. Called after every event of the key,
    /// so it must be cheap.
    fn n_bytes(&self) -> usize;
}

/// Limits of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most keys.
    pub keys: usize,
    /// The most bytes of all keys in memory, approximately.
    pub bytes: usize,
    /// A key without an event for longer than this, by Kafka time, expires.
    pub silence_micros: i64,
}

/// Keys and their values.
#[derive(Debug)]
pub struct Keyed<V> {
    limits: Limits,
    chunks: Vec<Vec<Slot<V>>>,
    /// The first free slot. Free slots are linked by `newer`.
    free: u32,
    /// Slots by the hash of their key.
    table: HashTable<u32>,
    seed: Option<u64>,
    /// The ends of the list.
    oldest: u32,
    newest: u32,
    n_bytes: usize,
    n_evicted: u64,
    /// Kafka times of the last events, and where the next one goes.
    recent: [i64; RECENT_EVENTS],
    next_recent: usize,
}

#[derive(Debug)]
struct Slot<V> {
    hash: u64,
    key: Box<[u8]>,
    /// The newest Kafka time of an event of the key.
    touched: i64,
    n_bytes: usize,
    older: u32,
    newer: u32,
    value: V,
}

impl<V: Remembered> Keyed<V> {
    /// Without keys.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunks: Vec::new(),
            free: NONE,
            table: HashTable::new(),
            seed: None,
            oldest: NONE,
            newest: NONE,
            n_bytes: 0,
            n_evicted: 0,
            recent: [i64::MIN; RECENT_EVENTS],
            next_recent: 0,
        }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Approximate bytes of all keys in memory.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// The number of keys evicted so far.
    pub fn n_evicted(&self) -> u64 {
        self.n_evicted
    }

    /// The value of a key. Does not count as an event.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.find(key).map(|slot| &self.slot(slot).value)
    }

    /// All keys, least recently used first.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.slots().map(|slot| (&*slot.key, &slot.value))
    }

    /// Applies a change to the value of a key, for an event received at `now`. Then evicts the least recently
    /// used keys if there is no room, but never the one just touched.
    pub fn touch<R>(&mut self, key: &[u8], now: i64, change: impl FnOnce(&mut V) -> R) -> R {
        self.note(now);
        self.sweep(now);
        let key = &key[..key.len().min(KEY_BYTES_MAX)];
        let at = if let Some(at) = self.find(key) {
            self.unlink(at);
            self.link(at);
            self.wake(at, now);
            at
        } else {
            let hash = self.hash(key, now);
            self.insert(key, hash, now, V::default())
        };
        let slot = self.slot_mut(at);
        let result = change(&mut slot.value);
        let before = slot.n_bytes;
        slot.n_bytes = KEY_BYTES + slot.key.len() + slot.value.n_bytes();
        self.n_bytes = self.n_bytes + self.slot(at).n_bytes - before;
        self.make_room(now);
        result
    }

    /// Writes all keys, least recently used first, each with its value by `write_value`.
    pub fn write(&self, writer: &mut Writer, mut write_value: impl FnMut(&mut Writer, &V)) {
        writer.uint(self.n_evicted);
        writer.uint(self.len() as u64);
        let mut before = 0_i64;
        for slot in self.slots() {
            writer.bytes(&slot.key);
            writer.int(slot.touched.wrapping_sub(before));
            write_value(writer, &slot.value);
            before = slot.touched;
        }
    }

    /// Reads what `write` wrote. `None` for other bytes. If the limits are lower than they were, keys are
    /// evicted at once and counted.
    pub fn read(
        reader: &mut Reader<'_>,
        limits: Limits,
        mut read_value: impl FnMut(&mut Reader<'_>) -> Option<V>,
    ) -> Option<Self> {
        let mut keyed = Self::new(limits);
        let n_evicted = reader.uint().filter(|&n| n < u64::MAX / 2)?;
        let n_keys = reader.count()?;
        let mut touched = 0_i64;
        for _ in 0..n_keys {
            let key = reader.bytes().filter(|key| key.len() <= KEY_BYTES_MAX)?;
            touched = touched.wrapping_add(reader.int()?);
            let value = read_value(reader)?;
            let hash = keyed.hash(key, touched);
            if keyed.find_hashed(key, hash).is_some() {
                return None;
            }
            keyed.insert(key, hash, touched, value);
            keyed.make_room(touched);
        }
        keyed.n_evicted += n_evicted;
        Some(keyed)
    }

    /// The hash of a key. The first key determines the seed.
    fn hash(&mut self, key: &[u8], now: i64) -> u64 {
        let seed = *self.seed.get_or_insert_with(|| seeded_hash(now as u64, key));
        seeded_hash(seed, key)
    }

    fn insert(&mut self, key: &[u8], hash: u64, now: i64, value: V) -> u32 {
        if self.table.capacity() == 0 {
            // Allocated at twice its final size at once: growing, or rehashing after removals, would walk
            // over all keys within one event.
            let n_keys = self.limits.keys.min(self.limits.bytes / KEY_BYTES) + 1;
            self.table.reserve(2 * n_keys, |_| 0);
        }
        let n_bytes = KEY_BYTES + key.len() + value.n_bytes();
        let (older, newer) = (NONE, NONE);
        let slot = Slot { hash, key: key.into(), touched: now, n_bytes, older, newer, value };
        let at = self.place(slot);
        self.n_bytes += n_bytes;
        self.link(at);
        let (table, chunks) = (&mut self.table, &self.chunks);
        table.insert_unique(hash, at, |&at| slot_of(chunks, at).hash);
        at
    }

    /// Records an event of a key. An expired key starts fresh.
    fn wake(&mut self, at: u32, now: i64) {
        let silence_micros = self.limits.silence_micros;
        let slot = self.slot_mut(at);
        if is_expired(slot.touched, now, silence_micros) {
            slot.value = V::default();
        }
        // A lagging partition must not make the key look expired to the others.
        slot.touched = slot.touched.max(now);
    }

    fn note(&mut self, now: i64) {
        self.recent[self.next_recent] = now;
        self.next_recent = (self.next_recent + 1) % RECENT_EVENTS;
    }

    /// Removes expired keys, a few at the old end of the list. A producer whose clock is ahead must not make others'
    /// keys look expired, so all recent events must be that late.
    fn sweep(&mut self, now: i64) {
        for _ in 0..SWEPT_PER_EVENT {
            let at = self.oldest;
            let is_expired =
                |now| is_expired(self.slot(at).touched, now, self.limits.silence_micros);
            if at == NONE || !is_expired(now) || !self.recent.iter().all(|now| is_expired(*now)) {
                return;
            }
            self.remove(at);
        }
    }

    fn make_room(&mut self, now: i64) {
        while self.len() > 1 && (self.len() > self.limits.keys || self.n_bytes > self.limits.bytes)
        {
            let at = self.oldest;
            // An expired key is no loss.
            if !is_expired(self.slot(at).touched, now, self.limits.silence_micros) {
                self.n_evicted += 1;
            }
            self.remove(at);
        }
    }

    fn remove(&mut self, at: u32) {
        self.unlink(at);
        let hash = self.slot(at).hash;
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == at) {
            entry.remove();
        }
        self.n_bytes -= self.slot(at).n_bytes;
        let free = self.free;
        let slot = self.slot_mut(at);
        slot.key = Box::default();
        slot.value = V::default();
        slot.newer = free;
        self.free = at;
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        self.find_hashed(key, seeded_hash(self.seed?, key))
    }

    fn find_hashed(&self, key: &[u8], hash: u64) -> Option<u32> {
        self.table.find(hash, |&at| *self.slot(at).key == *key).copied()
    }

    /// Stores a slot in a free place.
    fn place(&mut self, slot: Slot<V>) -> u32 {
        if self.free != NONE {
            let at = self.free;
            self.free = self.slot(at).newer;
            *self.slot_mut(at) = slot;
            return at;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_SLOTS) {
            // The first chunk grows on demand: most tests and many detectors have few keys.
            let n_slots = if self.chunks.is_empty() { 0 } else { CHUNK_SLOTS };
            self.chunks.push(Vec::with_capacity(n_slots));
        }
        let chunk = self.chunks.len() - 1;
        self.chunks[chunk].push(slot);
        (chunk * CHUNK_SLOTS + self.chunks[chunk].len() - 1) as u32
    }

    /// Appends a slot to the new end of the list.
    fn link(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest, at);
        if before == NONE {
            self.oldest = at;
        } else {
            self.slot_mut(before).newer = at;
        }
        let slot = self.slot_mut(at);
        (slot.older, slot.newer) = (before, NONE);
    }

    fn unlink(&mut self, at: u32) {
        let (older, newer) = (self.slot(at).older, self.slot(at).newer);
        if older == NONE {
            self.oldest = newer;
        } else {
            self.slot_mut(older).newer = newer;
        }
        if newer == NONE {
            self.newest = older;
        } else {
            self.slot_mut(newer).older = older;
        }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot<V>> {
        let slot = |at: u32| (at != NONE).then(|| self.slot(at));
        std::iter::successors(slot(self.oldest), move |before| slot(before.newer))
    }

    fn slot(&self, at: u32) -> &Slot<V> {
        slot_of(&self.chunks, at)
    }

    fn slot_mut(&mut self, at: u32) -> &mut Slot<V> {
        &mut self.chunks[at as usize / CHUNK_SLOTS][at as usize % CHUNK_SLOTS]
    }
}

fn slot_of<V>(chunks: &[Vec<Slot<V>>], at: u32) -> &Slot<V> {
    &chunks[at as usize / CHUNK_SLOTS][at as usize % CHUNK_SLOTS]
}

fn is_expired(touched: i64, now: i64, silence_micros: i64) -> bool {
    now.saturating_sub(touched) > silence_micros
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Default, Clone, PartialEq)]
    struct Count(u64);

    impl Remembered for Count {
        fn n_bytes(&self) -> usize {
            self.0 as usize
        }
    }

    fn limits(keys: usize) -> Limits {
        Limits { keys, bytes: 1 << 20, silence_micros: 100 }
    }

    fn keys(keyed: &Keyed<Count>) -> Vec<String> {
        keyed.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect()
    }

    fn add(keyed: &mut Keyed<Count>, key: &str, now: i64) -> u64 {
        keyed.touch(key.as_bytes(), now, |count| {
            count.0 += 1;
            count.0
        })
    }

    fn bytes(keyed: &Keyed<Count>) -> Vec<u8> {
        let mut writer = Writer::default();
        keyed.write(&mut writer, |writer, count| writer.uint(count.0));
        writer.finish()
    }

    fn read(bytes: &[u8], limits: Limits) -> Option<Keyed<Count>> {
        let mut reader = Reader::new(bytes);
        let keyed = Keyed::read(&mut reader, limits, |reader| reader.uint().map(Count))?;
        reader.is_at_end().then_some(keyed)
    }

    #[test]
    fn the_least_recently_used_key_goes_first() {
        let mut keyed = Keyed::new(limits(3));
        for key in ["a", "b", "c", "a", "d"] {
            add(&mut keyed, key, 1);
        }
        assert_eq!(keys(&keyed), ["c", "a", "d"]);
        assert_eq!((keyed.len(), keyed.n_evicted()), (3, 1));
        assert_eq!(keyed.get(b"a"), Some(&Count(2)));
        assert_eq!(keyed.get(b"b"), None);
        assert_eq!(add(&mut keyed, "b", 1), 1, "an evicted key starts fresh");
    }

    #[test]
    fn bytes_bound_as_well_and_never_the_key_just_touched() {
        let mut keyed = Keyed::new(Limits { bytes: 1_000, ..limits(1_000) });
        for key in ["a", "b", "c"] {
            add(&mut keyed, key, 1);
        }
        keyed.touch(b"d", 1, |count| count.0 = 800);
        assert_eq!(keys(&keyed), ["d"]);
        keyed.touch(b"d", 1, |count| count.0 = 5_000);
        assert_eq!(keys(&keyed), ["d"], "the last key stays, whatever its size");
        assert_eq!(keyed.n_bytes(), KEY_BYTES + 1 + 5_000);
        add(&mut keyed, "e", 1);
        assert_eq!((keys(&keyed), keyed.n_bytes()), (vec!["e".to_owned()], KEY_BYTES + 2));
        assert_eq!(keyed.n_evicted(), 4);
    }

    #[test]
    fn expired_keys_are_removed_a_few_per_event_and_are_no_loss() {
        let mut keyed = Keyed::new(limits(2_000));
        for index in 0..1_000 {
            add(&mut keyed, &index.to_string(), 0);
        }
        add(&mut keyed, "0", 100);
        assert_eq!(keyed.len(), 1_000, "not longer than allowed");
        for _ in 0..RECENT_EVENTS - 1 {
            add(&mut keyed, "new", 101);
        }
        assert_eq!(keyed.len(), 1_001, "one of the recent events was early enough");
        add(&mut keyed, "new", 101);
        assert_eq!(keyed.len(), 999);
        // Expired, but not removed yet.
        assert_eq!(add(&mut keyed, "999", 101), 1);
        for _ in 0..500 {
            add(&mut keyed, "new", 101);
        }
        assert_eq!(keys(&keyed), ["0", "999", "new"]);
        assert_eq!(keyed.n_evicted(), 0);
        // A clock that steps back removes nothing, and makes nothing look older than it is.
        add(&mut keyed, "new", -1_000_000);
        assert_eq!(add(&mut keyed, "0", 102), 3);
        assert_eq!(keyed.len(), 3);
    }

    #[test]
    fn a_clock_that_is_ahead_makes_no_other_key_expire() {
        let mut keyed = Keyed::new(limits(1_000));
        for round in 0..1_000 {
            for key in ["a", "b"] {
                assert_eq!(add(&mut keyed, key, round / 10), round as u64 + 1);
            }
            add(&mut keyed, &format!("ahead {}", round % 3), 1_000_000);
        }
    }

    #[test]
    fn a_snapshot_does_not_depend_on_the_way_to_the_state() {
        let mut keyed = Keyed::new(limits(100));
        for index in 0..1_000_u64 {
            add(&mut keyed, &(index * index % 137).to_string(), index as i64 / 10);
        }
        let state = bytes(&keyed);
        let mut again = read(&state, limits(100)).unwrap();
        assert_eq!(bytes(&again), state);
        assert_eq!(again.n_bytes(), keyed.n_bytes());
        for index in 0..1_000_u64 {
            let key = (index * 7 % 141).to_string();
            assert_eq!(add(&mut keyed, &key, 120), add(&mut again, &key, 120));
        }
        assert_eq!(bytes(&again), bytes(&keyed));
        assert!(keyed.n_evicted() > 0, "tests nothing otherwise");
    }

    #[test]
    fn narrower_limits_make_room_at_once() {
        let mut keyed = Keyed::new(limits(10));
        for key in ["a", "b", "c", "d"] {
            add(&mut keyed, key, 1);
        }
        let narrow = read(&bytes(&keyed), limits(2)).unwrap();
        assert_eq!((keys(&narrow), narrow.n_evicted()), (vec!["c".into(), "d".into()], 2));
    }

    #[test]
    fn damage_is_refused() {
        let mut keyed = Keyed::new(limits(10));
        for key in ["a", "b"] {
            add(&mut keyed, key, 1);
        }
        let state = bytes(&keyed);
        for length in 0..state.len() {
            assert!(read(&state[..length], limits(10)).is_none(), "{length}");
        }
        let mut twice = state.clone();
        let at = twice.iter().position(|&byte| byte == b'b').unwrap();
        twice[at] = b'a';
        assert!(read(&twice, limits(10)).is_none(), "a key twice");
        // Claims 127 keys, and as many bytes follow.
        let many = [vec![0, 127], vec![0xff; 127]].concat();
        assert!(read(&many, limits(10)).is_none());
    }

    /// Compared with a map and a list.
    #[test]
    fn many_keys_behave_like_a_plain_map() {
        let mut keyed = Keyed::new(limits(50));
        let mut plain: BTreeMap<u64, u64> = BTreeMap::new();
        let mut order: Vec<u64> = Vec::new();
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = (random >> 33) % 90;
            let count = plain.entry(key).or_default();
            *count += 1;
            assert_eq!(add(&mut keyed, &key.to_string(), 0), *count);
            order.retain(|other| *other != key);
            order.push(key);
            if order.len() > 50 {
                plain.remove(&order.remove(0));
            }
        }
        let expected: Vec<String> = order.iter().map(u64::to_string).collect();
        assert_eq!(keys(&keyed), expected);
    }
}
