//! Bounds of texts that come from guests. [`audit_core::text::clipped`] cuts and cleans them.

use audit_core::text::clipped;

/// Bytes of a message, a reason or the text of a failure.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Bytes of a name: of a plugin, a version, a column, an import, an export.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// A message on one line, within its bound.
pub(crate) fn message(text: &str) -> String {
    clipped(text, MESSAGE_BYTES_MAX)
}

/// A name on one line, within its bound; `…` shows where it was cut.
pub(crate) fn name(text: &str) -> String {
    if text.len() <= NAME_BYTES_MAX {
        return clipped(text, NAME_BYTES_MAX);
    }
    format!("{}…", clipped(text, NAME_BYTES_MAX - '…'.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_where_it_shows() {
        assert_eq!(name("wasi:cli/exit@0.2.0"), "wasi:cli/exit@0.2.0");
        let long = name(&"n".repeat(1 << 20));
        assert_eq!((long.len(), long.ends_with("n…")), (NAME_BYTES_MAX, true));
        assert_eq!(message(&"\u{1b}x".repeat(1 << 20)).len(), MESSAGE_BYTES_MAX);
    }
}
