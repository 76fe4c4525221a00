//! How the state of a detector is saved: which format it has, and what can be written and read back.

use audit_plugin_sdk::RestoreError;
use audit_plugin_sdk::codec::{Reader, Writer};

use crate::keyed::Remembered;

/// The release that wrote a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The previous release: windows start at their first sighting, and evictions within a key were not
    /// counted.
    Previous,
    /// This release.
    Current,
}

/// A value of a key that can be saved.
pub trait Saved: Remembered {
    /// Appends it to a state.
    fn write(&self, writer: &mut Writer);

    /// Reads what `write` wrote, in this release or the previous one. `None` for other bytes.
    fn read(reader: &mut Reader<'_>, format: Format) -> Option<Self>;
}

/// The format of a state's version, given the newest version.
pub fn format_of(version: u32, newest: u32) -> Result<Format, RestoreError> {
    match newest.checked_sub(version) {
        Some(0) => Ok(Format::Current),
        Some(1) => Ok(Format::Previous),
        _ => Err(RestoreError::UnsupportedVersion),
    }
}

/// The error for bytes that are not a state.
pub fn corrupt() -> RestoreError {
    RestoreError::Corrupt("not a state of this detector".to_owned())
}
