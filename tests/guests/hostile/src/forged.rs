//! Answers that the bindings cannot express, as the bytes of the canonical ABI.
//!
//! Some break the ABI itself, for the engine to find. The others keep it and point at the same bytes
//! again and again, so that a few MiB of the guest's memory claim GiB and TiB of the host's.

use std::mem;

use crate::options::{Behavior, Call, Table};

pub(crate) const TABLE: Table = &[
    ("huge-quarantined", Behavior::Forge(huge_quarantined)),
    ("huge-alerts", Behavior::Forge(huge_alerts)),
    ("huge-labels", Behavior::Forge(huge_labels)),
    ("huge-events", Behavior::Forge(huge_events)),
    ("huge-columns", Behavior::Forge(huge_columns)),
    (
        "abi-list-out-of-bounds",
        Behavior::Forge(|_| quarantined(List { start: 0xfff0_0000, len: 1_000 })),
    ),
    (
        "abi-length-overflows",
        Behavior::Forge(|_| quarantined(List { start: 8, len: u32::MAX as usize })),
    ),
    ("abi-list-unaligned", Behavior::Forge(|_| quarantined(List { start: 9, len: 1 }))),
    ("abi-bad-text", Behavior::Forge(bad_text)),
    ("abi-bad-severity", Behavior::Forge(bad_severity)),
    ("abi-bad-case", Behavior::Forge(|_| leak(Answer { case: 7, ..Answer::EMPTY }))),
    (
        "abi-bad-fault-case",
        Behavior::Forge(|_| {
            leak(Answer { case: 1, columns: List { start: 7, len: 0 }, ..Answer::EMPTY })
        }),
    ),
    (
        "abi-answer-out-of-bounds",
        Behavior::Forge(|_| std::ptr::without_provenance_mut(0xffff_fff0)),
    ),
    ("abi-answer-unaligned", Behavior::Forge(|_| leak(Answer::EMPTY).wrapping_add(1))),
];

/// A list or a text: where it begins and how many elements it has.
#[repr(C)]
#[derive(Clone, Copy)]
struct List {
    start: usize,
    len: usize,
}

#[repr(C)]
struct Quarantined {
    row: u32,
    reason: List,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Field {
    name: List,
    value: List,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Position {
    partition: i32,
    offset: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Alert {
    rule: List,
    severity: u8,
    key: List,
    window_start: i64,
    first_event: i64,
    last_event: i64,
    count: u64,
    events: List,
    message: List,
    labels: List,
}

/// A column of text; `values` are its offsets and its bytes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Column {
    name: List,
    has_validity: u8,
    validity: List,
    case: u8,
    values: [List; 2],
}

/// `result<judgement, fault>`. For a fault, `columns.start` is its case and the text follows.
#[repr(C)]
struct Answer {
    case: u8,
    columns: List,
    quarantined: List,
    alerts: List,
}

// The layouts of the canonical ABI are those of C on this target, by these sizes.
const _: () = assert!(mem::size_of::<Alert>() == 80 && mem::size_of::<Column>() == 40);
const _: () = assert!(mem::size_of::<Answer>() == 28 && mem::size_of::<Position>() == 16);

impl List {
    const EMPTY: Self = Self { start: 8, len: 0 };

    /// Of what stays where it is for as long as the instance lives.
    fn of<T>(items: Vec<T>) -> Self {
        let items = items.leak();
        Self { start: items.as_ptr().expose_provenance(), len: items.len() }
    }

    fn text(n_bytes: usize) -> Self {
        Self::of(vec![b't'; n_bytes])
    }
}

impl Answer {
    const EMPTY: Self =
        Self { case: 0, columns: List::EMPTY, quarantined: List::EMPTY, alerts: List::EMPTY };
}

impl Alert {
    fn new() -> Self {
        Self {
            rule: List::of(b"seen".to_vec()),
            severity: 0,
            key: List::EMPTY,
            window_start: 0,
            first_event: 0,
            last_event: 0,
            count: 1,
            events: List::EMPTY,
            message: List::EMPTY,
            labels: List::EMPTY,
        }
    }
}

fn leak(answer: Answer) -> *mut u8 {
    Box::into_raw(Box::new(answer)).cast()
}

fn quarantined(list: List) -> *mut u8 {
    leak(Answer { quarantined: list, ..Answer::EMPTY })
}

fn alerts(alerts: Vec<Alert>) -> *mut u8 {
    leak(Answer { alerts: List::of(alerts), ..Answer::EMPTY })
}

/// 12 bytes of the guest claim `bytes` of the host, `n` times.
fn huge_quarantined(call: &Call) -> *mut u8 {
    let reason = List::text(call.options.bytes_or(1 << 20));
    let row = |row| Quarantined { row: row as u32, reason };
    quarantined(List::of((0..call.options.n_or(3_000_000)).map(row).collect()))
}

/// The labels are shared by all alerts, and the text by all labels.
fn huge_alerts(call: &Call) -> *mut u8 {
    let text = List::text(call.options.bytes_or(1 << 20));
    let labels = List::of(vec![Field { name: text, value: text }; 1_000]);
    let alert = Alert { message: text, labels, ..Alert::new() };
    alerts(vec![alert; call.options.n_or(100_000)])
}

fn huge_labels(call: &Call) -> *mut u8 {
    let text = List::text(call.options.bytes_or(1 << 20));
    let labels = List::of(vec![Field { name: text, value: text }; call.options.n_or(1_000_000)]);
    alerts(vec![Alert { labels, ..Alert::new() }])
}

/// The events are shared by a thousand alerts.
fn huge_events(call: &Call) -> *mut u8 {
    let event = Position { partition: 0, offset: 0 };
    let events = List::of(vec![event; call.options.n_or(1_000_000)]);
    alerts(vec![Alert { events, ..Alert::new() }; 1_000])
}

fn huge_columns(call: &Call) -> *mut u8 {
    let bytes = List::text(call.options.bytes_or(16 << 20));
    let column = Column {
        name: List::of(b"user_agent".to_vec()),
        has_validity: 0,
        validity: List::EMPTY,
        case: 0,
        values: [List::of(vec![0_i32, bytes.len as i32]), bytes],
    };
    let columns = List::of(vec![column; call.options.n_or(100_000)]);
    leak(Answer { columns, ..Answer::EMPTY })
}

fn bad_text(_: &Call) -> *mut u8 {
    let reason = List::of(b"\xff\xfe not text".to_vec());
    quarantined(List::of(vec![Quarantined { row: 0, reason }]))
}

fn bad_severity(_: &Call) -> *mut u8 {
    alerts(vec![Alert { severity: 99, ..Alert::new() }])
}
