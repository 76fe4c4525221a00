//! The detector that proves that no row was missed or seen twice: it remembers how many rows it has
//! seen of each partition, and the sum of their offsets, and says so in its alerts.

use std::collections::BTreeMap;

use crate::abi::audit_host::plugin::types::{Alert, Fault, Field, Judgement, Position, Severity};
use crate::abi::exports::audit_host::plugin::state::RestoreError;
use crate::guest::{OFFSET, PARTITION};
use crate::options::CountOptions;
use crate::{mode, resources};

/// The window of the alert of offset 0; offset n is n microseconds later: 2025-01-01T00:00:00Z.
const EPOCH_US: i64 = 1_735_689_600_000_000;
/// The offsets for which that gives a time that every host takes.
const OFFSETS_MAX: i64 = 1 << 50;

/// Bytes of a partition in a snapshot.
const PARTITION_BYTES: usize = 4 + 4 * 8;

/// What was seen. Cloned for a batch, as a fault must leave the state as it was.
#[derive(Clone, Default)]
pub(crate) struct Counter {
    partitions: BTreeMap<i32, Seen>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    count: u64,
    /// Of the offsets, wrapping.
    sum: u64,
    /// The highest offset so far.
    last: i64,
    /// Rows whose offset was not above the highest so far: seen twice, or out of order.
    again: u64,
}

impl Counter {
    pub(crate) fn judge(
        &mut self,
        partitions: &[i32],
        offsets: &[i64],
        options: &CountOptions,
    ) -> Result<Judgement, Fault> {
        let before = self.clone();
        let mut alerts = Vec::new();
        for (&partition, &offset) in partitions.iter().zip(offsets) {
            if options.trap.contains(offset) {
                core::arch::wasm32::unreachable();
            }
            if options.spin.contains(offset) {
                resources::spin();
            }
            if options.fault.contains(offset) {
                *self = before;
                return Err(Fault::BadInput("a row of the list fault_at".to_owned()));
            }
            self.see(partition, offset);
            if options.dirty_fault.contains(offset) {
                return Err(Fault::BadInput("a row of the list dirty_fault_at".to_owned()));
            }
            if options.alert.contains(offset) {
                alerts.push(self.alert(partition, offset));
            }
            if options.bad_answer.contains(offset) {
                // An empty rule.
                alerts.push(Alert { rule: String::new(), ..self.alert(partition, offset) });
            }
        }
        Ok(Judgement { columns: Vec::new(), quarantined: Vec::new(), alerts })
    }

    fn see(&mut self, partition: i32, offset: i64) {
        let seen = self.partitions.entry(partition).or_default();
        if seen.count > 0 && offset <= seen.last {
            seen.again += 1;
        }
        seen.last = if seen.count == 0 { offset } else { seen.last.max(offset) };
        seen.count += 1;
        seen.sum = seen.sum.wrapping_add(offset.cast_unsigned());
    }

    /// What the detector has seen, up to and with this row.
    fn alert(&self, partition: i32, offset: i64) -> Alert {
        let here = self.partitions.get(&partition).copied().unwrap_or_default();
        let all = || self.partitions.values();
        let count = all().map(|seen| seen.count).sum();
        let sum = all().fold(0_u64, |sum, seen| sum.wrapping_add(seen.sum));
        let again: u64 = all().map(|seen| seen.again).sum();
        let labels = [
            ("sum", sum.to_string()),
            ("again", again.to_string()),
            ("partition_count", here.count.to_string()),
            ("partition_sum", here.sum.to_string()),
            ("state_version", mode::state_version().to_string()),
        ];
        Alert { count, labels: labels.map(field).into(), ..finding(partition, offset) }
    }

    /// Equal states give equal bytes: a magic that holds the version, the number of partitions, and
    /// the partitions in order. Versions differ by their magic only.
    pub(crate) fn to_bytes(&self, version: u32) -> Vec<u8> {
        if version == 0 {
            return Vec::new();
        }
        let mut bytes = magic(version).to_vec();
        bytes.extend((self.partitions.len() as u32).to_le_bytes());
        for (partition, seen) in &self.partitions {
            bytes.extend(partition.to_le_bytes());
            bytes.extend(seen.count.to_le_bytes());
            bytes.extend(seen.sum.to_le_bytes());
            bytes.extend(seen.last.to_le_bytes());
            bytes.extend(seen.again.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(version: u32, bytes: &[u8]) -> Result<Self, RestoreError> {
        if !mode::accepted_versions().contains(&version) {
            return Err(RestoreError::UnsupportedVersion);
        }
        let corrupt = |what: &str| RestoreError::Corrupt(what.to_owned());
        let rest = bytes.strip_prefix(&magic(version)).ok_or_else(|| corrupt("another magic"))?;
        let (n, rest) = rest.split_at_checked(4).ok_or_else(|| corrupt("no number"))?;
        let n = u32::from_le_bytes(n.try_into().unwrap_or_default()) as usize;
        if n.checked_mul(PARTITION_BYTES) != Some(rest.len()) {
            return Err(corrupt("another length than its number of partitions gives"));
        }
        Ok(Self { partitions: rest.chunks_exact(PARTITION_BYTES).map(partition).collect() })
    }
}

fn magic(version: u32) -> [u8; 4] {
    [b'C', b'N', b'T', b'0' + version as u8]
}

/// A partition of a snapshot, from `PARTITION_BYTES` bytes.
fn partition(bytes: &[u8]) -> (i32, Seen) {
    let (partition, rest) = bytes.split_at(4);
    let mut numbers =
        rest.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    let mut next = || numbers.next().unwrap_or_default();
    let seen = Seen { count: next(), sum: next(), last: next().cast_signed(), again: next() };
    (i32::from_le_bytes(partition.try_into().unwrap_or_default()), seen)
}

/// A correct alert about one row. Its key makes it the only one of that row.
pub(crate) fn finding(partition: i32, offset: i64) -> Alert {
    let time = EPOCH_US + offset.clamp(0, OFFSETS_MAX);
    let key = [(PARTITION, partition.to_string()), (OFFSET, offset.to_string())];
    Alert {
        rule: "seen".to_owned(),
        severity: Severity::Info,
        key: key.map(field).into(),
        window_start: time,
        first_event: time,
        last_event: time,
        count: 1,
        events: vec![Position { partition, offset }],
        message: "a row that the test asked for".to_owned(),
        labels: Vec::new(),
    }
}

pub(crate) fn field((name, value): (&str, String)) -> Field {
    Field { name: name.to_owned(), value }
}
