//! Passwords, keys and tokens: by the prefixes that their issuers give them, and by the name that
//! stands before a value which looks random.

use super::label::{self, Label};
use super::{Kind, Match, before, is_alphanumeric};

/// Keys that are known by how they start, with the fewest characters that follow.
const PREFIXES: &[(&[u8], usize)] = &[
    // Amazon Web Services: access key ids, of users and of sessions.
    (b"AKIA", 16),
    (b"ASIA", 16),
    // GitHub.
    (b"ghp_", 36),
    (b"gho_", 36),
    (b"ghu_", 36),
    (b"ghs_", 36),
    (b"ghr_", 36),
    (b"github_pat_", 22),
    (b"glpat-", 20),
    // Slack.
    (b"xoxa-", 10),
    (b"xoxb-", 10),
    (b"xoxe-", 10),
    (b"xoxp-", 10),
    (b"xoxr-", 10),
    (b"xoxs-", 10),
    // Stripe.
    (b"sk_live_", 16),
    (b"rk_live_", 16),
    (b"sk_test_", 16),
    (b"rk_test_", 16),
    // Google.
    (b"AIza", 35),
];

/// So much of the value behind a name is judged. The rest is of the same kind.
const VALUE_BYTES_MAX: usize = 512;
const PASSWORD_BYTES_MIN: usize = 6;
const TOKEN_BYTES_MIN: usize = 16;
/// Shannon entropy, bits a character. Random hexadecimal digits have 3.3 or more at 16 characters.
const TOKEN_BITS_MIN: f64 = 3.0;
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Keys with a prefix in a run of letters, digits, dashes and underlines.
pub(super) fn prefixed(text: &[u8], start: usize, end: usize, found: &mut Vec<Match>) {
    let mut at = start;
    while at < end {
        match key_at(text, at, end) {
            Some(key_end) => {
                found.push(Match::new(at, key_end, Kind::ApiKey));
                at = key_end;
            }
            None => at += 1,
        }
    }
}

fn key_at(text: &[u8], at: usize, end: usize) -> Option<usize> {
    let run = &text[at..end];
    if !may_start(run) {
        return None;
    }
    let &(prefix, n_more) = PREFIXES.iter().find(|(prefix, _)| run.starts_with(prefix))?;
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let tail = run[prefix.len()..].iter().take_while(is_part).count();
    let is_key = tail >= n_more && !is_alphanumeric(before(text, at));
    is_key.then_some(at + prefix.len() + tail)
}

/// Whether a run may start with a prefix.
pub(super) fn may_start(run: &[u8]) -> bool {
    matches!(
        run,
        [b'A', b'K' | b'S', b'I', ..]
            | [b'A', b'I', b'z', ..]
            | [b'g', b'h', _, ..]
            | [b'g', b'i', b't', ..]
            | [b'g', b'l', b'p', ..]
            | [b'x', b'o', b'x', ..]
            | [b's' | b'r', b'k', b'_', ..]
    )
}

/// The credentials behind `Bearer ` and `Basic `, which a run starts.
pub(super) fn behind_scheme(text: &[u8], start: usize) -> Option<Match> {
    if !is_behind_scheme(text, start) {
        return None;
    }
    let end = start + text[start..].iter().take_while(|&&byte| is_credential(byte)).count();
    is_random(&text[start..end]).then(|| Match::new(start, end, Kind::ApiKey))
}

/// Whether the name of a scheme stands before a word.
pub(super) fn is_behind_scheme(text: &[u8], start: usize) -> bool {
    let Some(scheme) = text[..start].strip_suffix(b" ") else {
        return false;
    };
    let is_scheme = |name: &[u8]| {
        let at = scheme.len().wrapping_sub(name.len());
        scheme.get(at..).is_some_and(|word| word.eq_ignore_ascii_case(name))
            && !is_alphanumeric(before(scheme, at))
    };
    is_scheme(b"bearer") || is_scheme(b"basic")
}

/// RFC 6750 section 2.1, `b64token`.
fn is_credential(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// The value behind a colon or an equals sign, if its name says what it is.
pub(super) fn named(text: &[u8], sign: usize) -> Option<Match> {
    let label = label::of_name(label::name_before(text, sign))?;
    let (start, quote) = value_start(text, sign + 1);
    let is_end = |&byte: &u8| ends_value(byte, quote);
    let value = text.get(start..)?;
    let length = value.iter().take(VALUE_BYTES_MAX).take_while(|byte| !is_end(byte)).count();
    let kind = of_label(label, &value[..length])?;
    let end = start + length + value[length..].iter().take_while(|byte| !is_end(byte)).count();
    Some(Match::new(start, end, kind))
}

/// What a value is under a label.
pub(crate) fn of_label(label: Label, value: &[u8]) -> Option<Kind> {
    let fits = match label {
        Label::Password => is_password(value),
        Label::Token => is_random(value),
        Label::Key => is_random(value) && !is_id(value),
        Label::Phone => return is_phone(value).then_some(Kind::Phone),
        Label::Version => false,
    };
    fits.then_some(Kind::ApiKey)
}

/// Where a value starts, and the quote that it ends with if it is quoted.
fn value_start(text: &[u8], from: usize) -> (usize, Option<u8>) {
    let at = |start: usize| text.get(start).copied();
    let mut start = from + usize::from(matches!(at(from), Some(b'=' | b'>' | b':')));
    let rest = text.get(start..).unwrap_or_default();
    start += rest.iter().take(2).take_while(|&&byte| byte == b' ').count();
    start += usize::from(at(start) == Some(b'\\'));
    let quote = at(start).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    (start + usize::from(quote.is_some()), quote)
}

fn ends_value(byte: u8, quote: Option<u8>) -> bool {
    match quote {
        Some(quote) => byte == quote || byte == b'\\',
        None => {
            byte <= b' '
                || matches!(byte, b',' | b';' | b'&' | b'"' | b'\'' | b'`' | b'<' | b'>')
                || matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'|' | b'\\')
        }
    }
}

/// Letters and something else, so that `password: required` is left alone.
fn is_password(value: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| value.iter().any(is);
    let is_word =
        value.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'))
            && !value.iter().skip(1).any(u8::is_ascii_uppercase);
    let is_path = value.starts_with(b"/") || value.windows(3).any(|bytes| bytes == b"://");
    value.len() >= PASSWORD_BYTES_MIN
        && !is_placeholder(value)
        && !is_path
        && !is_word
        && !has(|&byte| byte <= b' ')
        && (has(u8::is_ascii_alphabetic) || has(|&byte| byte >= 0x80))
}

/// Long, of mixed characters, and without much repetition.
fn is_random(value: &[u8]) -> bool {
    value.len() >= TOKEN_BYTES_MIN
        && value.iter().all(|&byte| is_credential(byte))
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
        && entropy(value) >= TOKEN_BITS_MIN
}

/// What stands for a value: `[REDACTED]`, `${SECRET}`, `****`, `<none>`, `{{token}}`.
fn is_placeholder(value: &[u8]) -> bool {
    matches!(value.first(), Some(b'[' | b'<' | b'{' | b'$' | b'*' | b'%'))
        || value.iter().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'#'))
        || value.starts_with(b"hmac-sha256:")
        || value.starts_with(b"tok_")
        || value.starts_with(b"enc_v1.")
}

/// A UUID, a digest or words joined by dashes name a thing.
fn is_id(value: &[u8]) -> bool {
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let has_upper = value.iter().any(u8::is_ascii_uppercase);
    value.iter().all(is_hex) || !has_upper || value.contains(&b'/')
}

/// Digits, with the separators of telephone numbers or without, as programs keep them.
fn is_phone(value: &[u8]) -> bool {
    let n_digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_part = |byte: &u8| {
        byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+')
    };
    PHONE_DIGITS.contains(&n_digits) && value.iter().all(is_part)
}

/// Shannon entropy in bits a character.
fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in value {
        counts[usize::from(byte)] += 1;
    }
    let total = value.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = f64::from(count) / total;
            -share * share.log2()
        })
        .sum()
}
