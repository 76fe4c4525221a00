//! The kind of a named value: `password=…`, `"ssn": …`.

use std::ops::RangeInclusive;

use super::kind::Kind;
use super::label::Label;
use super::random::is_random;

/// Shorter values in free text are states and flags.
const PASSWORD_BYTES_MIN: usize = 6;
/// A number of fewer digits under the key of a password is a count or a flag.
const PIN_DIGITS_MIN: usize = 4;
const PHONE_DIGITS: RangeInclusive<usize> = 7..=15;
const CARD_DIGITS: RangeInclusive<usize> = 12..=19;
const IBAN_CHARS: RangeInclusive<usize> = 15..=34;
const SSN_DIGITS: usize = 9;
/// As a number, `001-02-0304` has lost its zeros.
const SSN_DIGITS_MIN: usize = 7;

/// The kind of a value in free text. In quotes it may hold blanks.
pub(super) fn in_text(label: Label, value: &[u8], is_quoted: bool) -> Option<Kind> {
    match label {
        Label::Password | Label::Directory => {
            let fits = value.len() >= PASSWORD_BYTES_MIN
                && is_password(value)
                && !is_path(value)
                && (is_quoted || !value.iter().any(|&byte| byte <= b' '));
            fits.then_some(Kind::ApiKey)
        }
        _ => kind_of(label, value),
    }
}

/// The kind of a JSON string.
pub(super) fn in_json(label: Label, value: &[u8]) -> Option<Kind> {
    match label {
        Label::Directory if is_path(value) => None,
        Label::Password | Label::Directory => is_password(value).then_some(Kind::ApiKey),
        _ => kind_of(label, value),
    }
}

/// The kind of a JSON number, and how many digits it is padded to with zeros.
pub(crate) fn of_number(label: Label, digits: &[u8]) -> Option<(Kind, usize)> {
    let n = digits.len();
    match label {
        Label::Password | Label::Directory if n >= PIN_DIGITS_MIN => Some((Kind::ApiKey, n)),
        Label::Phone if PHONE_DIGITS.contains(&n) => Some((Kind::Phone, n)),
        Label::Card if CARD_DIGITS.contains(&n) => Some((Kind::Card, n)),
        Label::Ssn if (SSN_DIGITS_MIN..=SSN_DIGITS).contains(&n) => Some((Kind::Ssn, SSN_DIGITS)),
        _ => None,
    }
}

fn kind_of(label: Label, value: &[u8]) -> Option<Kind> {
    let (fits, kind) = match label {
        Label::Token => (is_random(value), Kind::ApiKey),
        Label::Key => (is_random(value) && !is_id(value), Kind::ApiKey),
        Label::Phone => (has_digits(value, &PHONE_DIGITS), Kind::Phone),
        Label::Ssn => (has_digits(value, &(SSN_DIGITS..=SSN_DIGITS)), Kind::Ssn),
        Label::Card => (has_digits(value, &CARD_DIGITS), Kind::Card),
        Label::Iban => (is_iban(value), Kind::Iban),
        Label::Password | Label::Directory | Label::Version => return None,
    };
    fits.then_some(kind)
}

/// Anything except a word (so that `password: required` is left alone) and a placeholder.
fn is_password(value: &[u8]) -> bool {
    let is_word =
        value.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'))
            && !value.iter().skip(1).any(u8::is_ascii_uppercase);
    !value.is_empty() && !is_word && !is_placeholder(value)
}

/// `/run/secrets/db`, `https://…`.
fn is_path(value: &[u8]) -> bool {
    let n_letters = value.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let is_url = n_letters > 1 && value[n_letters..].starts_with(b"://");
    is_url || (value.starts_with(b"/") && value[1..].contains(&b'/'))
}

/// A placeholder: `[REDACTED]`, `<none>`, `{{token}}`, `${SECRET}`, `%SECRET%`, `****`, or an output of this
/// plugin. The start alone is not enough, because passwords can start with anything.
fn is_placeholder(value: &[u8]) -> bool {
    const NOTHING: &[&[u8]] =
        &[b"null", b"none", b"nil", b"n/a", b"true", b"false", b"yes", b"no", b"unset", b"empty"];
    let is_text = |inside: &[u8]| {
        let is_part = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b' ');
        !inside.is_empty() && inside.iter().all(is_part)
    };
    let is_variable = |inside: &[u8]| {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        !inside.is_empty() && inside.iter().all(is_part)
    };
    match value {
        [b'$', b'{', inside @ .., b'}'] | [b'{', b'{', inside @ .., b'}', b'}'] => {
            is_variable(inside.trim_ascii())
        }
        [b'[', inside @ .., b']'] | [b'<', inside @ .., b'>'] | [b'{', inside @ .., b'}'] => {
            is_text(inside)
        }
        [b'%', inside @ .., b'%'] => {
            is_variable(inside) && !inside.iter().any(u8::is_ascii_lowercase)
        }
        _ => {
            value.iter().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'#'))
                || NOTHING.iter().any(|nothing| value.eq_ignore_ascii_case(nothing))
                || is_made_here(value)
        }
    }
}

/// A hash, a token or a ciphertext of this plugin.
fn is_made_here(value: &[u8]) -> bool {
    const HASH_CHARS: usize = 32;
    const TOKEN_CHARS: usize = 26;
    const ID_CHARS_MAX: usize = 32;
    // The id of a key, as the host allows it. Old hashes have the key's name there.
    let is_of_id = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_id = |id: &[u8]| (1..=ID_CHARS_MAX).contains(&id.len()) && id.iter().all(is_of_id);
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    // The id of the key, the sign after it and the rest.
    let parts = |prefix: &[u8], sign: u8| {
        let behind = value.strip_prefix(prefix)?;
        let at = behind.iter().position(|&byte| byte == sign)?;
        is_id(&behind[..at]).then_some(&behind[at + 1..])
    };
    parts(b"hmac-sha256:", b':')
        .is_some_and(|hash| hash.len() == HASH_CHARS && hash.iter().all(u8::is_ascii_hexdigit))
        || parts(b"tok_", b'_').is_some_and(|token| {
            token.len() == TOKEN_CHARS && token.iter().all(u8::is_ascii_alphanumeric)
        })
        || parts(b"enc_v1.", b'.').is_some_and(|sealed| sealed.iter().all(is_base64))
}

/// A UUID, a digest or words joined by dashes are identifiers.
fn is_id(value: &[u8]) -> bool {
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let has_upper = value.iter().any(u8::is_ascii_uppercase);
    value.iter().all(is_hex) || !has_upper || value.contains(&b'/')
}

/// Digits, with the separators of telephone numbers and cards or without, as programs keep them.
fn has_digits(value: &[u8], n: &RangeInclusive<usize>) -> bool {
    let n_digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_part = |byte: &u8| byte.is_ascii_digit() || is_separator(*byte);
    n.contains(&n_digits) && value.iter().all(is_part)
}

/// A country, two check digits and the rest. The check may fail: the name says that it is one.
fn is_iban(value: &[u8]) -> bool {
    let mut chars = value.iter().filter(|byte| !is_separator(**byte));
    let starts = |is: fn(&u8) -> bool| move |byte: Option<&u8>| byte.is_some_and(is);
    let is_letter = starts(u8::is_ascii_alphabetic);
    let is_digit = starts(u8::is_ascii_digit);
    let has_start = is_letter(chars.next())
        && is_letter(chars.next())
        && is_digit(chars.next())
        && is_digit(chars.next());
    let mut n_chars = 4;
    has_start
        && chars.all(|byte| {
            n_chars += 1;
            byte.is_ascii_alphanumeric()
        })
        && IBAN_CHARS.contains(&n_chars)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+')
}
