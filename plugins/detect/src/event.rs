//! Rows as events: time and position, with the time cut to a plausible value.

use audit_plugin_sdk::{Batch, Binding, Fault, Fixed, Position, Utf8Column};

/// The longest key: 45 bytes for an IPv6 address, and room for a hashed or tokenized value.
const KEY_BYTES_MAX: usize = 128;

/// The time and the position of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Event time, at most the Kafka time plus the configured `max-future`.
    pub time: i64,
    /// Kafka time.
    pub received: i64,
    /// The partition of the record.
    pub partition: i32,
    /// The offset of the record.
    pub offset: i64,
}

impl Event {
    /// The position of the record in its topic.
    pub fn position(&self) -> Position {
        Position { partition: self.partition, offset: self.offset }
    }

    /// The order of events: by time, then by position.
    pub fn order(&self) -> (i64, i32, i64) {
        (self.time, self.partition, self.offset)
    }
}

/// The columns that every detector reads.
#[derive(Debug, Clone, Copy)]
pub struct EventColumns<'a> {
    event_timestamp: &'a Fixed<i64>,
    source_timestamp: &'a Fixed<i64>,
    source_partition: &'a Fixed<i32>,
    source_offset: &'a Fixed<i64>,
}

impl<'a> EventColumns<'a> {
    /// The columns by name.
    pub const NAMES: [&'static str; 4] =
        ["event_timestamp", "source_timestamp", "source_partition", "source_offset"];

    /// Asks for the columns.
    #[must_use]
    pub fn bound(binding: Binding) -> Binding {
        Self::NAMES.iter().fold(binding, |binding, name| binding.reading(name))
    }

    /// Takes the columns of a batch.
    pub fn of(batch: &'a Batch) -> Result<Self, Fault> {
        Ok(Self {
            event_timestamp: batch.timestamp("event_timestamp")?,
            source_timestamp: batch.timestamp("source_timestamp")?,
            source_partition: batch.int32("source_partition")?,
            source_offset: batch.int64("source_offset")?,
        })
    }

    /// A row as an event. `None` if it has no event time, no Kafka time or no position.
    ///
    /// Event times come from clients, so they are capped at the Kafka time plus `max_future_micros`: a
    /// single event far in the future must not move a window past the others.
    #[inline]
    pub fn event(&self, row: usize, max_future_micros: i64) -> Option<Event> {
        let received = self.source_timestamp.get(row)?;
        let latest = received.saturating_add(max_future_micros);
        Some(Event {
            time: self.event_timestamp.get(row)?.min(latest),
            received,
            partition: self.source_partition.get(row)?,
            offset: self.source_offset.get(row)?,
        })
    }
}

/// Whether the text of a row is one of the wanted ones.
#[inline]
pub fn is_one_of(column: &Utf8Column, row: usize, wanted: &[Vec<u8>]) -> bool {
    column.get(row).is_some_and(|value| wanted.iter().any(|wanted| wanted == value))
}

/// The text as a key: cut at a character boundary if it is too long.
pub fn key(text: &[u8]) -> &[u8] {
    let mut end = text.len().min(KEY_BYTES_MAX);
    while end > 0 && end < text.len() && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use audit_plugin_sdk::testing::BatchBuilder;

    use super::*;

    #[test]
    fn a_time_far_ahead_is_cut_and_one_behind_is_kept() {
        let batch = BatchBuilder::new(5)
            .timestamp(
                "event_timestamp",
                &[Some(99), Some(-7), Some(i64::MAX), Some(i64::MAX), None],
            )
            .timestamp(
                "source_timestamp",
                &[Some(10), Some(10), Some(10), Some(i64::MAX), Some(10)],
            )
            .int32("source_partition", &[Some(3); 5])
            .int64("source_offset", &[Some(4); 5])
            .build();
        let columns = EventColumns::of(&batch).unwrap();
        let time = |row| columns.event(row, 5).map(|event| event.time);
        assert_eq!(
            [time(0), time(1), time(2), time(3)],
            [Some(15), Some(-7), Some(15), Some(i64::MAX)]
        );
        assert_eq!(time(4), None);
        assert_eq!(columns.event(5, 5), None, "a row that does not exist");
        assert_eq!(columns.event(0, 5).unwrap().position(), Position { partition: 3, offset: 4 });
        assert!(EventColumns::of(&BatchBuilder::new(0).build()).is_err());
    }

    #[test]
    fn a_long_key_is_cut_at_a_character() {
        assert_eq!(key(b"short"), b"short");
        assert_eq!(key("é".repeat(400).as_bytes()), "é".repeat(64).as_bytes());
        let odd = format!("x{}", "é".repeat(400));
        assert_eq!(key(odd.as_bytes()), format!("x{}", "é".repeat(63)).as_bytes());
        // No character is that long: nothing is left, without a panic.
        assert_eq!(key(&[0x80; 400]), b"");
    }
}
