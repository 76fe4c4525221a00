//! Bounds of texts that come from guests. [`audit_core::text::clipped`] cuts and cleans them.

use audit_core::text::clipped;

/// Bytes of a message, a reason or the text of a failure.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A message on one line, within its bound.
pub(crate) fn message(text: &str) -> String {
    clipped(text, MESSAGE_BYTES_MAX)
}
