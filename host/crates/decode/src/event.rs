//! Reads one record into a slot for each field of the event.

use audit_core::schema::{ACTION_TYPE, EVENT_TIMESTAMP, is_action};

use crate::fault::{Fault, What};
use crate::keys::{FIELD_COUNT, Keys, slot_of};
use crate::scan::{Scanner, Text};
use crate::timestamp;

pub(crate) const TIMESTAMP_SLOT: usize = slot_of(EVENT_TIMESTAMP);
const ACTION_SLOT: usize = slot_of(ACTION_TYPE);
const DETAILS_SLOT: usize = slot_of("details");

/// The value of a field in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slot<'a> {
    Absent,
    Null,
    Text(Text<'a>),
}

/// The slots of one record; valid only if [`Reader::read`] succeeded.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    /// In the order of [`EVENT_FIELDS`].
    pub(crate) slots: [Slot<'a>; FIELD_COUNT],
    /// Microseconds since 1970 in UTC.
    pub(crate) timestamp: i64,
}

impl Event<'_> {
    pub(crate) fn new() -> Self {
        Self { slots: [Slot::Absent; FIELD_COUNT], timestamp: 0 }
    }
}

/// Where values stand in a record.
#[derive(Debug, Default)]
struct Places {
    timestamp: usize,
    action: usize,
}

/// Reads records, and reuses its buffers from one record to the next.
#[derive(Debug)]
pub(crate) struct Reader {
    keys: Keys,
    /// Texts of the current record that had escapes.
    scratch: String,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { keys: Keys::new(), scratch: String::new() }
    }

    /// The text of a slot of the last event read.
    #[inline]
    pub(crate) fn text<'r>(&'r self, slot: &Slot<'r>) -> Option<&'r str> {
        match *slot {
            Slot::Absent | Slot::Null => None,
            Slot::Text(text) => Some(resolve(text, &self.scratch)),
        }
    }

    /// Reads one record into `event`. The first fault from the left is reported, then missing fields, then the
    /// action, then the timestamp.
    pub(crate) fn read<'a>(&mut self, record: &'a str, event: &mut Event<'a>) -> Result<(), Fault> {
        self.scratch.clear();
        event.slots = [Slot::Absent; FIELD_COUNT];
        let mut scanner = Scanner::new(record);
        scanner.skip_whitespace();
        match scanner.peek() {
            Some(b'{') => scanner.advance(1),
            Some(_) => return Err(no_object(scanner)),
            None => return Err(What::Empty.anywhere()),
        }
        let places = self.fields(&mut scanner, &mut event.slots)?;
        scanner.skip_whitespace();
        if scanner.peek().is_some() {
            return Err(What::TrailingData.at(scanner.pos()));
        }
        let timestamp = required(&event.slots, TIMESTAMP_SLOT)?;
        let action = required(&event.slots, ACTION_SLOT)?;
        if !is_action(resolve(action, &self.scratch)) {
            return Err(What::ActionShape.at(places.action).of(ACTION_SLOT));
        }
        event.timestamp = timestamp::parse(resolve(timestamp, &self.scratch))
            .map_err(|what| what.at(places.timestamp).of(TIMESTAMP_SLOT))?;
        Ok(())
    }

    /// Reads up to the closing brace. Returns where the values are that are checked afterwards.
    fn fields<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        slots: &mut [Slot<'a>; FIELD_COUNT],
    ) -> Result<Places, Fault> {
        let mut places = Places::default();
        let mut before = None;
        scanner.skip_whitespace();
        if scanner.peek() == Some(b'}') {
            scanner.advance(1);
            return Ok(places);
        }
        loop {
            let key_at = scanner.pos();
            let slot_idx = self.key(scanner, before)?;
            let slot = slot_idx.and_then(|idx| Some((idx, slots.get_mut(idx)?)));
            if let Some((idx, slot)) = slot {
                if !matches!(slot, Slot::Absent) {
                    return Err(What::Duplicate.at(key_at).of(idx));
                }
                scanner.colon().map_err(|fault| fault.of(idx))?;
                match idx {
                    TIMESTAMP_SLOT => places.timestamp = scanner.pos(),
                    ACTION_SLOT => places.action = scanner.pos(),
                    _ => {}
                }
                self.value(scanner, idx, slot).map_err(|fault| fault.of(idx))?;
                before = slot_idx;
            } else {
                scanner.colon()?;
                scanner.skip_value(1)?;
            }
            scanner.skip_whitespace();
            match scanner.peek() {
                Some(b',') => scanner.advance(1),
                Some(b'}') => break,
                Some(_) => return Err(What::NoCommaOrBrace.at(scanner.pos())),
                None => return Err(What::EndsEarly.at(scanner.pos())),
            }
            scanner.skip_whitespace();
        }
        scanner.advance(1);
        Ok(places)
    }

    /// Reads a key. Returns the slot that it names, `None` for an unknown field.
    #[inline]
    fn key(
        &mut self,
        scanner: &mut Scanner<'_>,
        before: Option<usize>,
    ) -> Result<Option<usize>, Fault> {
        if let Some(window) = scanner.window()
            && let Some((slot, n_bytes)) = self.keys.guess(before, window)
        {
            scanner.advance(n_bytes);
            return Ok(Some(slot));
        }
        match scanner.peek() {
            Some(b'"') => scanner.advance(1),
            Some(_) => return Err(What::NoKey.at(scanner.pos())),
            None => return Err(What::EndsEarly.at(scanner.pos())),
        }
        let scratch_len = self.scratch.len();
        let key = scanner.string(&mut self.scratch)?;
        let slot = self.keys.find(before, resolve(key, &self.scratch));
        self.scratch.truncate(scratch_len);
        Ok(slot)
    }

    /// Reads a value into its slot.
    #[inline]
    fn value<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        idx: usize,
        slot: &mut Slot<'a>,
    ) -> Result<(), Fault> {
        *slot = if scanner.peek() == Some(b'"') {
            scanner.advance(1);
            Slot::Text(scanner.string(&mut self.scratch)?)
        } else {
            no_string(scanner, idx)?
        };
        Ok(())
    }
}

/// Reads a value that is not a string.
fn no_string<'a>(scanner: &mut Scanner<'a>, idx: usize) -> Result<Slot<'a>, Fault> {
    let start = scanner.pos();
    let wrong = match scanner.peek() {
        Some(b'n') => {
            scanner.literal("null")?;
            return Ok(Slot::Null);
        }
        // Producers nest the details as often as they quote them: the JSON is stored unchanged.
        Some(b'{' | b'[') if idx == DETAILS_SLOT => {
            scanner.skip_value(1)?;
            return Ok(Slot::Text(Text::Plain(scanner.since(start))));
        }
        Some(b'{') => What::Object,
        Some(b'[') => What::Array,
        Some(b't' | b'f') => What::Boolean,
        Some(b'-' | b'0'..=b'9') => What::Number,
        Some(_) => What::NoValue,
        None => What::EndsEarly,
    };
    // It must be a valid value of another type: invalid JSON is reported as such.
    scanner.skip_value(1)?;
    Err(wrong.at(start))
}

fn resolve<'r>(text: Text<'r>, scratch: &'r str) -> &'r str {
    match text {
        Text::Plain(text) => text,
        Text::Unescaped { start, end } => {
            scratch.get(start..end).expect("the scratch holds every text of the current record")
        }
    }
}

fn required<'a>(slots: &[Slot<'a>; FIELD_COUNT], idx: usize) -> Result<Text<'a>, Fault> {
    match slots.get(idx) {
        Some(Slot::Text(text)) => Ok(*text),
        Some(Slot::Null) => Err(What::Null.anywhere().of(idx)),
        Some(Slot::Absent) | None => Err(What::Absent.anywhere().of(idx)),
    }
}

/// The fault of a record that does not start with a brace.
fn no_object(mut scanner: Scanner<'_>) -> Fault {
    let start = scanner.pos();
    if scanner.window() == Some(b"\xEF\xBB\xBF") {
        return What::ByteOrderMark.at(start);
    }
    if scanner.peek() == Some(0) {
        return What::ZeroByte.at(start);
    }
    match scanner.skip_value(0) {
        Ok(()) => What::NotAnObject.at(start),
        Err(fault) => fault,
    }
}
