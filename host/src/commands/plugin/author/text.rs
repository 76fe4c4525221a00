//! Words that several commands use.

use audit_core::text::clipped;

/// Text of a guest, without what could control a terminal.
pub(super) fn clean(text: &str) -> String {
    clipped(text, usize::MAX)
}

/// A count and its noun: `1 row`, `2 rows`.
pub(super) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
