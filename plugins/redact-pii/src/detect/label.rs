//! What the name of a value says about it: `password=…`, `"api_key": "…"`, `phone: …`.

/// A name that makes a value of a plain shape personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Password,
    Token,
    /// `key` alone, which names ids as well.
    Key,
    Phone,
    /// Four numbers with dots are no address.
    Version,
}

/// The longest name that is looked at.
const NAME_BYTES_MAX: usize = 64;

/// Names by their last letters, without underlines, dashes, dots and spaces.
const ENDINGS: &[(&[u8], Label)] = &[
    (b"password", Label::Password),
    (b"passwd", Label::Password),
    (b"passphrase", Label::Password),
    (b"pwd", Label::Password),
    (b"secret", Label::Password),
    (b"token", Label::Token),
    (b"apikey", Label::Token),
    (b"secretkey", Label::Token),
    (b"accesskey", Label::Token),
    (b"privatekey", Label::Token),
    (b"authkey", Label::Token),
    (b"signingkey", Label::Token),
    (b"encryptionkey", Label::Token),
    (b"authorization", Label::Token),
    (b"phone", Label::Phone),
    (b"phonenumber", Label::Phone),
    (b"mobile", Label::Phone),
    (b"mobilenumber", Label::Phone),
    (b"telephone", Label::Phone),
    (b"msisdn", Label::Phone),
    (b"version", Label::Version),
    (b"release", Label::Version),
    (b"build", Label::Version),
    (b"firmware", Label::Version),
];

/// Names that are one whole word.
const WORDS: &[(&[u8], Label)] = &[
    (b"key", Label::Key),
    (b"v", Label::Version),
    (b"ver", Label::Version),
    (b"pass", Label::Password),
    (b"tel", Label::Phone),
    (b"cell", Label::Phone),
    (b"fax", Label::Phone),
];

/// Tokens that say where a listing goes on.
const HARMLESS: &[&[u8]] = &[b"nexttoken", b"pagetoken", b"continuationtoken"];

/// What a name says.
pub(crate) fn of_name(name: &[u8]) -> Option<Label> {
    if !may_be_known(name) {
        return None;
    }
    let mut letters = [0; NAME_BYTES_MAX];
    let mut n_letters = 0;
    let name = &name[name.len().saturating_sub(NAME_BYTES_MAX)..];
    for byte in name.iter().filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' ')) {
        letters[n_letters] = byte.to_ascii_lowercase();
        n_letters += 1;
    }
    let letters = &letters[..n_letters];
    let word = WORDS.iter().find(|(word, _)| *word == letters);
    let ending = || ENDINGS.iter().find(|(ending, _)| letters.ends_with(ending));
    let &(_, label) = word.or_else(ending)?;
    let is_harmless = HARMLESS.iter().any(|ending| letters.ends_with(ending));
    (!is_harmless).then_some(label)
}

/// Rules most names out by their last letters.
fn may_be_known(name: &[u8]) -> bool {
    let Some(last) = name.last_chunk::<3>() else {
        return name.eq_ignore_ascii_case(b"v");
    };
    match last.map(|byte| byte.to_ascii_lowercase()) {
        // Of all that end like `action`, `authorization` and `version`.
        [b'i', b'o', b'n'] => {
            let before = name.len().checked_sub(4).map(|at| name[at].to_ascii_lowercase());
            matches!(before, Some(b's' | b't')) && has_known_ending(name)
        }
        last => matches!(
            &last,
            b"ord"
                | b"swd"
                | b"pwd"
                | b"ase"
                | b"ret"
                | b"ken"
                | b"key"
                | b"one"
                | b"ber"
                | b"ile"
                | b"sdn"
                | b"ild"
                | b"are"
                | b"ass"
                | b"tel"
                | b"ell"
                | b"fax"
                | b"ver"
        ),
    }
}

fn has_known_ending(name: &[u8]) -> bool {
    let ends_with = |ending: &[u8]| {
        let start = name.len().wrapping_sub(ending.len());
        name.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(ending))
    };
    ends_with(b"version") || ends_with(b"authorization")
}

/// The name before a colon or an equals sign: `"api_key" :`, `apiKey=`, `password:`.
pub(crate) fn name_before(text: &[u8], sign: usize) -> &[u8] {
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\');
    let n_blank = text[..sign].iter().rev().take(4).take_while(is_blank).count();
    let end = sign - n_blank;
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = text[..end].iter().rev().take(NAME_BYTES_MAX).take_while(is_name).count();
    &text[end - length..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short look at a name must let every known one through.
    #[test]
    fn known_names_are_known() {
        for (name, label) in ENDINGS.iter().chain(WORDS) {
            assert_eq!(of_name(name), Some(*label));
            assert_eq!(of_name(&name.to_ascii_uppercase()), Some(*label));
        }
        assert_eq!(of_name(b"user_api-key"), Some(Label::Token));
        assert_eq!(of_name(b"clientSecret"), Some(Label::Password));
        assert_eq!(of_name(b"next_page_token"), None);
        assert_eq!(of_name(b"rows_returned"), None);
        assert_eq!(of_name(b"action"), None);
        assert_eq!(of_name(b""), None);
    }
}
