//! What is decided before there is a configuration: what `describe` says, and what happens while the
//! component is instantiated. It is part of the file, where a test patches it.

use crate::abi::exports::audit_host::plugin::lifecycle::{Description, Kind};
use crate::resources::spin;

/// The mode between `MODE:` and `#`, filled up with `-`. Any mode may end with `+` and a suffix of the
/// plugin's name, as a host refuses two plugins of one name: `detector+b` is `hostile_b`.
///
/// The whole text must occur once in the file, so no other text of this crate may begin like it.
#[used]
static MODE: [u8; 32] = *b"MODE:transform-----------------#";

const BEFORE: usize = "MODE:".len();
const AFTER: usize = "#".len();

/// Bytes of a schema that no host should keep.
const HUGE: usize = 40 << 20;

/// The mode, and the suffix of the name.
fn parts() -> (String, String) {
    // SAFETY: the static is initialized and never written by this program. The read is volatile
    // because the file may have been patched after the compiler saw the text.
    let bytes = unsafe { (&raw const MODE).read_volatile() };
    let text = String::from_utf8_lossy(&bytes[BEFORE..bytes.len() - AFTER]).into_owned();
    let text = text.trim_end_matches('-');
    match text.split_once('+') {
        Some((mode, suffix)) => (mode.to_owned(), format!("_{suffix}")),
        None => (text.to_owned(), String::new()),
    }
}

/// Whether the plugin is a detector.
pub(crate) fn is_detector() -> bool {
    matches!(parts().0.as_str(), "detector" | "state-version-2" | "state-version-9")
}

/// The version of the state that `snapshot` writes.
pub(crate) fn state_version() -> u32 {
    match parts().0.as_str() {
        "detector" | "transform-with-state" => 1,
        "state-version-2" => 2,
        "state-version-9" => 9,
        _ => 0,
    }
}

/// The versions of the state that `restore` takes.
pub(crate) fn accepted_versions() -> &'static [u32] {
    match state_version() {
        1 => &[1],
        2 => &[1, 2],
        9 => &[9],
        _ => &[],
    }
}

/// Runs while the component is instantiated, before any call.
pub(crate) fn start() {
    match parts().0.as_str() {
        "start-trap" => core::arch::wasm32::unreachable(),
        "start-spin" => spin(),
        _ => {}
    }
}

pub(crate) fn describe() -> Description {
    let (mode, suffix) = parts();
    let mut description = Description {
        name: format!("hostile{suffix}"),
        version: "0.1.0".to_owned(),
        kind: if is_detector() { Kind::Detector } else { Kind::Transform },
        config_schema: r#"{"type":"object"}"#.to_owned(),
        key_columns: Vec::new(),
        state_version: state_version(),
    };
    if is_detector() {
        // What makes the alert of a row its own: see `counter`.
        description.key_columns = vec!["source_partition".to_owned(), "source_offset".to_owned()];
    }
    match mode.as_str() {
        "describe-trap" => core::arch::wasm32::unreachable(),
        "describe-spin" => spin(),
        "describe-empty-name" => description.name = String::new(),
        "describe-bad-name" => description.name = "Hostile\n\u{1b}[31m/../x".to_owned(),
        "describe-huge-name" => description.name = "h".repeat(HUGE),
        "describe-empty-version" => description.version = String::new(),
        "describe-bad-version" => description.version = "one\n\u{1b}[31m".to_owned(),
        "describe-huge-schema" => description.config_schema = " ".repeat(HUGE),
        "describe-bad-schema" => description.config_schema = "{".to_owned(),
        "describe-key-columns" => description.key_columns = vec!["user_email".to_owned()],
        "state-version-2" => description.version = "0.2.0".to_owned(),
        "state-version-9" => description.version = "0.9.0".to_owned(),
        _ => {}
    }
    description
}
