//! Variants of a component, made from its bytes: a damaged file, another ABI, another plugin, without a
//! build for each.
//!
//! Texts are patched in place by texts of the same length, so that no length in the file changes.

use anyhow::{Context, Result, bail, ensure};

/// The bytes before and after the mode of the guest `hostile`.
const MODE_BEFORE: &[u8] = b"MODE:";
const MODE_AFTER: &[u8] = b"#";
/// Bytes between the two, filled up with `-`.
const MODE_BYTES: usize = 26;

/// The first bytes of a component, which differ from those of a core module.
const COMPONENT_HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
const CORE_MODULE_HEADER: &[u8] = b"\0asm\x01\0\0\0";

/// The name of the sections that only make a file larger.
const PADDING_NAME: &[u8] = b"padding";
/// Bytes of one such section: engines need not take sections of any size.
const PADDING_SECTION_BYTES: usize = 16 << 20;

/// The bytes with every `from` replaced by `to`, which must be as long.
pub fn patched(bytes: &[u8], from: &str, to: &str) -> Result<Vec<u8>> {
    ensure!(!from.is_empty() && from.len() == to.len(), "{from:?} and {to:?} differ in length");
    let mut patched = bytes.to_vec();
    let places = places(bytes, from.as_bytes());
    ensure!(!places.is_empty(), "{from:?} is not in the component");
    for place in places {
        if let Some(text) = patched.get_mut(place..place + to.len()) {
            text.copy_from_slice(to.as_bytes());
        }
    }
    Ok(patched)
}

/// The guest `hostile` in another mode: `tests/guests/README.md` lists them.
pub fn with_mode(bytes: &[u8], mode: &str) -> Result<Vec<u8>> {
    ensure!(mode.len() <= MODE_BYTES, "{mode:?} has more than {MODE_BYTES} bytes");
    let found = places(bytes, MODE_BEFORE);
    let [place] = found[..] else {
        bail!("the marker of the mode is {} times in the component, not once", found.len());
    };
    let start = place + MODE_BEFORE.len();
    let end = start + MODE_BYTES;
    ensure!(
        bytes.get(end..end + MODE_AFTER.len()) == Some(MODE_AFTER),
        "the marker of the mode does not end where it should"
    );
    let mut patched = bytes.to_vec();
    let text = patched.get_mut(start..end).context("the marker of the mode is cut")?;
    text.fill(b'-');
    text[..mode.len()].copy_from_slice(mode.as_bytes());
    Ok(patched)
}

/// The component as if it had been made for another version of the ABI, such as `0.9.0`.
pub fn with_abi(bytes: &[u8], version: &str) -> Result<Vec<u8>> {
    // A guest is built against the newest release or, to show that it loads, an older one.
    let own =
        ["@0.1.1", "@0.1.0"].into_iter().find(|own| !places(bytes, own.as_bytes()).is_empty());
    patched(bytes, own.context("no version of the ABI in the component")?, &format!("@{version}"))
}

/// The component without the export `state`: it has one of a name that no host asks for.
pub fn without_state(bytes: &[u8]) -> Result<Vec<u8>> {
    patched(bytes, "audit-host:plugin/state@0.1.1", "audit-host:plugin/stale@0.1.1")
}

/// The component with a custom section more, as `plugin build` adds the golden cases.
pub fn with_section(bytes: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    let mut longer = bytes.to_vec();
    let mut section = Vec::new();
    leb128(&mut section, name.len());
    section.extend_from_slice(name.as_bytes());
    section.extend_from_slice(content);
    longer.push(0);
    leb128(&mut longer, section.len());
    longer.extend(section);
    longer
}

/// The component with `n_bytes` or a little more added, in sections that mean nothing. It stays valid.
pub fn with_padding(bytes: &[u8], n_bytes: usize) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.reserve(n_bytes + n_bytes / PADDING_SECTION_BYTES * 32);
    let mut left = n_bytes;
    while left > 0 {
        let n_zeros = left.min(PADDING_SECTION_BYTES);
        // Id 0 is a custom section, of components as of modules; then its length and its name.
        padded.push(0);
        leb128(&mut padded, 1 + PADDING_NAME.len() + n_zeros);
        leb128(&mut padded, PADDING_NAME.len());
        padded.extend_from_slice(PADDING_NAME);
        padded.resize(padded.len() + n_zeros, 0);
        left -= n_zeros;
    }
    padded
}

/// The beginning of the file, as a copy that was interrupted leaves it.
pub fn truncated(bytes: &[u8], n_bytes: usize) -> Result<Vec<u8>> {
    ensure!(n_bytes < bytes.len(), "the component has only {} bytes", bytes.len());
    Ok(bytes.iter().take(n_bytes).copied().collect())
}

/// A core module: the first one in the component, cut out of it.
pub fn core_module(bytes: &[u8]) -> Result<Vec<u8>> {
    ensure!(bytes.starts_with(COMPONENT_HEADER), "not a component");
    let start = *places(bytes, CORE_MODULE_HEADER).first().context("no module in the component")?;
    // A module is in a section of the component, whose length is in the bytes before it.
    let n_bytes = section_bytes(bytes, start).context("the module has no length")?;
    Ok(bytes.iter().skip(start).take(n_bytes).copied().collect())
}

/// Bytes of the section whose contents begin at `start`: the number that ends there.
fn section_bytes(bytes: &[u8], start: usize) -> Option<usize> {
    // Id 1 is a module. A number of up to 5 bytes is between it and the contents.
    (1..=5).find_map(|n_digits| {
        let id = start.checked_sub(n_digits + 1)?;
        let digits = bytes.get(id + 1..start)?;
        let n_bytes = number(digits)?;
        (bytes.get(id) == Some(&1) && start + n_bytes <= bytes.len()).then_some(n_bytes)
    })
}

/// A whole LEB128 number.
fn number(digits: &[u8]) -> Option<usize> {
    let (last, before) = digits.split_last()?;
    let is_whole = *last < 0x80 && before.iter().all(|digit| *digit >= 0x80);
    let add = |sum: usize, digit: &u8| (sum << 7) | usize::from(digit & 0x7f);
    is_whole.then(|| digits.iter().rev().fold(0, add))
}

pub(crate) fn leb128(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Where a text occurs in the bytes.
fn places(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(text.len()).enumerate();
    windows.filter(|(_, window)| *window == text).map(|(place, _)| place).collect()
}
