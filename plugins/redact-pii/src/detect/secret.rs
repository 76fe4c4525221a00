//! Passwords, keys and tokens: by the prefixes of their issuers, and by the name of a value that looks random.

use super::byte::{before, is_alphanumeric};
use super::kind::{Kind, Match};
use super::random::{is_credential, is_random};
use super::work::Work;
use super::{base64, label, value};

/// Prefixes of keys, with the fewest characters that follow.
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

/// The part of a named value that is judged. The rest gets the same kind.
const VALUE_BYTES_MAX: usize = 512;

/// What judging a byte of a named value costs: whether it looks random, a path, an id or a placeholder.
const JUDGE_COST: usize = 6;
/// What computing an entropy costs, whatever the value's length.
const ENTROPY_COST: usize = 64;

/// Keys with a prefix in a run of letters, digits, dashes and underlines.
pub(super) fn prefixed(
    text: &[u8],
    start: usize,
    end: usize,
    work: &mut Work,
    found: &mut Vec<Match>,
) {
    work.charge(end - start);
    let mut at = start;
    while at < end && !work.is_exhausted() {
        match key_at(text, at, end, work) {
            Some(key_end) => {
                found.push(Match::new(at, key_end, Kind::ApiKey));
                at = key_end;
            }
            None => at += 1,
        }
    }
}

/// The end of the key that starts at a position. Whatever could start one in the middle of a word is ruled out before
/// what follows is read: of `pwdghp_pwdghp_…` that is everything, each time.
fn key_at(text: &[u8], at: usize, end: usize, work: &mut Work) -> Option<usize> {
    let run = &text[at..end];
    if !may_start(run) || is_alphanumeric(before(text, at)) {
        return None;
    }
    work.charge(PREFIXES.len());
    let &(prefix, n_more) = PREFIXES.iter().find(|(prefix, _)| run.starts_with(prefix))?;
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let tail = run[prefix.len()..].iter().take_while(is_part).count();
    work.charge(tail);
    (tail >= n_more).then_some(at + prefix.len() + tail)
}

/// Whether a run may start with a prefix.
#[inline]
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

/// The credentials after `Bearer ` and `Basic `, which a run starts.
pub(super) fn behind_scheme(text: &[u8], start: usize, work: &mut Work) -> Option<Match> {
    let n_blank = text[..start].iter().rev().take_while(|&&byte| byte <= b' ').count();
    work.charge(n_blank);
    if n_blank == 0 || !ends_with_scheme(&text[..start - n_blank]) {
        return None;
    }
    let end = start + text[start..].iter().take_while(|&&byte| is_credential(byte)).count();
    let value = &text[start..end];
    work.charge(ENTROPY_COST + JUDGE_COST * value.len());
    (is_random(value) || is_user_and_password(value, work))
        .then(|| Match::new(start, end, Kind::ApiKey))
}

/// Whether a text ends with the name of a scheme.
pub(crate) fn ends_with_scheme(text: &[u8]) -> bool {
    let ends_with = |name: &[u8]| {
        let at = text.len().wrapping_sub(name.len());
        text.get(at..).is_some_and(|word| word.eq_ignore_ascii_case(name))
            && !is_alphanumeric(before(text, at))
    };
    ends_with(b"bearer") || ends_with(b"basic")
}

/// The credentials of `Basic`, RFC 7617: `user:password` in base64.
fn is_user_and_password(value: &[u8], work: &mut Work) -> bool {
    let end = value.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let mut inner = Vec::new();
    base64::decode(&value[..end], &mut inner, work) && inner.contains(&b':')
}

/// The value after a colon or an equals sign, if its name says what it is.
pub(super) fn named(text: &[u8], sign: usize, work: &mut Work) -> Option<Match> {
    let label = label::before(text, sign, work)?;
    let (start, quote) = value_start(text, sign + 1);
    let value = text.get(start..)?;
    let judged = &value[..value.len().min(VALUE_BYTES_MAX)];
    let judged = &judged[..value_length(judged, quote)];
    work.charge(ENTROPY_COST + JUDGE_COST * judged.len());
    let kind = value::in_text(label, judged, quote != Quote::None)?;
    let length = value_length(value, quote);
    work.charge(length);
    Some(Match::new(start, start + length, kind))
}

/// How a value is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    /// `"…"`, in which a backslash may stand before a quote.
    Plain(u8),
    /// `\"…\"`, as in a string of JSON.
    Escaped(u8),
}

/// The start of a value, and how it is quoted.
fn value_start(text: &[u8], from: usize) -> (usize, Quote) {
    const BLANKS_MAX: usize = 8;
    let rest = |from: usize| text.get(from..).unwrap_or_default();
    let mut start = from + usize::from(matches!(rest(from).first(), Some(b'=' | b'>' | b':')));
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    start += rest(start).iter().take(BLANKS_MAX).take_while(is_blank).count();
    let n_escapes = n_backslashes(&rest(start)[..rest(start).len().min(BLANKS_MAX)]);
    match rest(start + n_escapes).first() {
        Some(&quote @ (b'"' | b'\'' | b'`')) if n_escapes == 0 => (start + 1, Quote::Plain(quote)),
        Some(&quote @ (b'"' | b'\'' | b'`')) => (start + n_escapes + 1, Quote::Escaped(quote)),
        _ => (start, Quote::None),
    }
}

/// The length of a value. Without a closing quote it extends to the end.
fn value_length(value: &[u8], quote: Quote) -> usize {
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        let n_escapes = if byte == b'\\' { n_backslashes(&value[at..]) } else { 0 };
        let behind = value.get(at + n_escapes);
        let is_end = match quote {
            Quote::Plain(quote) => byte == quote,
            Quote::Escaped(quote) => behind == Some(&quote),
            Quote::None if n_escapes > 0 => {
                matches!(behind, Some(b'"' | b'\'' | b'`' | b'n' | b'r' | b't') | None)
            }
            Quote::None => {
                byte <= b' '
                    || matches!(byte, b',' | b';' | b'&' | b'"' | b'\'' | b'`' | b'<' | b'>')
                    || matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'|')
            }
        };
        if is_end {
            return at;
        }
        // After an odd number of backslashes, a quote is part of the value.
        let n_quoted = if quote == Quote::None { 0 } else { n_escapes % 2 };
        at += (n_escapes + n_quoted).max(1);
    }
    value.len()
}

fn n_backslashes(text: &[u8]) -> usize {
    text.iter().take_while(|&&byte| byte == b'\\').count()
}
