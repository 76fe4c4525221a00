//! What of a component is code. Its golden cases are data that change often and that are never compiled, so
//! that compiled code is cached by the digest of everything else.

use std::borrow::Cow;

use audit_golden::SECTION;
use sha2::{Digest, Sha256};

/// A component without its golden cases, and the SHA-256 of that in hex; `sha256` is that of the whole. Bytes
/// that are no component, or a damaged one, come back as they are: the compiler says what is wrong with them.
pub(crate) fn of<'a>(component: &'a [u8], sha256: &str) -> (Cow<'a, [u8]>, String) {
    let whole = || (Cow::Borrowed(component), sha256.to_owned());
    let mut cases = Vec::new();
    for section in audit_golden::sections(component) {
        match section {
            Ok(section) if section.name == SECTION => cases.push(section.at),
            Ok(_) => {}
            Err(_) => return whole(),
        }
    }
    if cases.is_empty() {
        return whole();
    }
    let (mut code, mut from) = (Vec::with_capacity(component.len()), 0);
    for at in cases {
        code.extend_from_slice(component.get(from..at.start).unwrap_or_default());
        from = at.end;
    }
    code.extend_from_slice(component.get(from..).unwrap_or_default());
    let digest = hex::encode(Sha256::digest(&code));
    (Cow::Owned(code), digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn digest(component: &[u8]) -> String {
        of(component, &hex::encode(Sha256::digest(component))).1
    }

    #[test]
    fn another_golden_case_is_the_same_code_and_other_code_is_not() {
        let with = |name: &str, cases: &[u8]| {
            let mut component = EMPTY.to_vec();
            audit_golden::append_custom(&mut component, name, cases);
            component
        };
        assert_eq!(digest(EMPTY), digest(&with(SECTION, b"[]")));
        assert_eq!(of(&with(SECTION, b"[1]"), "").0, EMPTY);
        assert_ne!(digest(EMPTY), digest(&with("producers", b"[]")));
        // Twice, with something between.
        let mut twice = with(SECTION, b"a");
        audit_golden::append_custom(&mut twice, "x", b"y");
        audit_golden::append_custom(&mut twice, SECTION, b"b");
        assert_eq!(of(&twice, "").0, with("x", b"y"));
        for damaged in [&b"no component"[..], b"", &with(SECTION, b"[]")[..12]] {
            assert_eq!(of(damaged, "d"), (Cow::Borrowed(damaged), "d".to_owned()));
        }
    }
}
