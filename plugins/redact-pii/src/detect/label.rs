//! What the name of a value says about it: `password=…`, `"api_key": "…"`, `phone: …`.

use super::work::Work;

/// A name that makes a value of a plain shape personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Password,
    /// `pwd` alone, which names working directories as well.
    Directory,
    Token,
    /// `key` alone, which names ids as well.
    Key,
    Phone,
    Ssn,
    Iban,
    Card,
    /// Four numbers with dots are no address.
    Version,
}

/// The longest name that is inspected.
const NAME_BYTES_MAX: usize = 64;

/// What comparing a name with all known ones costs.
const NAME_COST: usize = 32;

/// Names by their last letters, without what parts their words.
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
    (b"bearer", Label::Token),
    (b"phone", Label::Phone),
    (b"phonenumber", Label::Phone),
    (b"phoneno", Label::Phone),
    (b"mobile", Label::Phone),
    (b"mobilenumber", Label::Phone),
    (b"mobileno", Label::Phone),
    (b"telephone", Label::Phone),
    (b"msisdn", Label::Phone),
    (b"ssn", Label::Ssn),
    (b"ssnnumber", Label::Ssn),
    (b"socialsecuritynumber", Label::Ssn),
    (b"iban", Label::Iban),
    (b"ibannumber", Label::Iban),
    (b"cardnumber", Label::Card),
    (b"cardnum", Label::Card),
    (b"cardno", Label::Card),
    (b"ccnumber", Label::Card),
    (b"ccnum", Label::Card),
    (b"creditcard", Label::Card),
    (b"debitcard", Label::Card),
    (b"primaryaccountnumber", Label::Card),
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
    (b"pwd", Label::Directory),
    (b"card", Label::Card),
    (b"pan", Label::Card),
    (b"tel", Label::Phone),
    (b"cell", Label::Phone),
    (b"fax", Label::Phone),
];

/// Tokens that say where a listing goes on.
const HARMLESS: &[&[u8]] = &[b"nexttoken", b"pagetoken", b"continuationtoken"];

/// What the name before a colon or an equals sign says: `"api_key" :`, `apiKey=`, and with blanks in it if
/// quotes say where it ends, as in `"Phone Number":`.
pub(crate) fn before(text: &[u8], sign: usize, work: &mut Work) -> Option<Label> {
    let end = name_end(text, sign);
    let is_quoted = text[end..sign].iter().any(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    let name = if is_quoted { quoted_name(&text[..end]) } else { plain_name(&text[..end]) };
    work.charge(2 * (sign - end) + name.len());
    if !may_be_known(name) {
        return None;
    }
    work.charge(NAME_COST);
    of_known_name(name)
}

/// What a key of JSON says.
pub(crate) fn of_key(key: &[u8]) -> Option<Label> {
    of_name(quoted_name(&key[..name_end(key, key.len())]))
}

/// What the word right before a position says: at most a few blanks or quotes lie between.
pub(super) fn of_word_before(text: &[u8], at: usize) -> Option<Label> {
    const BLANKS_MAX: usize = 4;
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\');
    let n_blank = text[..at].iter().rev().take(BLANKS_MAX).take_while(is_blank).count();
    of_name(plain_name(&text[..at - n_blank]))
}

/// Where the name before a colon or an equals sign ends: before blanks, quotes and the escapes of quotes.
pub(crate) fn name_end(text: &[u8], sign: usize) -> usize {
    let is_blank =
        |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'\\');
    // What is skipped belongs to this sign alone, so that many signs take linear time.
    sign - text[..sign].iter().rev().take_while(is_blank).count()
}

/// What a name says.
fn of_name(name: &[u8]) -> Option<Label> {
    if may_be_known(name) { of_known_name(name) } else { None }
}

fn of_known_name(name: &[u8]) -> Option<Label> {
    let mut letters = [0; NAME_BYTES_MAX];
    let mut n_letters = 0;
    let name = &name[name.len().saturating_sub(NAME_BYTES_MAX)..];
    for byte in name.iter().filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' ' | b'+')) {
        letters[n_letters] = byte.to_ascii_lowercase();
        n_letters += 1;
    }
    let letters = &letters[..n_letters];
    // Of a name with blanks, its last word: `"my key"`.
    let last = name.rsplit(|byte| matches!(byte, b' ' | b'+')).next().unwrap_or_default();
    let is_word = |word: &[u8]| word == letters || last.eq_ignore_ascii_case(word);
    let word = WORDS.iter().find(|(word, _)| is_word(word));
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
                | b"rer"
                | b"eno"
                | b"dno"
                | b"num"
                | b"ssn"
                | b"ban"
                | b"ard"
                | b"pan"
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

fn plain_name(text: &[u8]) -> &[u8] {
    let length = text.iter().rev().take(NAME_BYTES_MAX).take_while(|byte| is_name(**byte)).count();
    &text[text.len() - length..]
}

fn quoted_name(text: &[u8]) -> &[u8] {
    let is_part = |byte: &&u8| is_name(**byte) || matches!(**byte, b' ' | b'+');
    let length = text.iter().rev().take(NAME_BYTES_MAX).take_while(is_part).count();
    &text[text.len() - length..]
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short look at a name must let every known one through.
    #[test]
    fn known_names_are_known() {
        let is_word = |name: &[u8]| WORDS.iter().any(|(word, _)| *word == name);
        let endings = ENDINGS.iter().filter(|(ending, _)| !is_word(ending));
        for (name, label) in endings.chain(WORDS) {
            assert_eq!(of_name(name), Some(*label));
            assert_eq!(of_name(&name.to_ascii_uppercase()), Some(*label));
        }
        assert_eq!(of_name(b"user_api-key"), Some(Label::Token));
        assert_eq!(of_name(b"clientSecret"), Some(Label::Password));
        let before = |text: &[u8], sign| before(text, sign, &mut Work::default());
        assert_eq!(before(b"'my key'", 8), Some(Label::Key));
        assert_eq!(before(b"my key", 6), Some(Label::Key));
        assert_eq!(before(b"\"Phone Number    \"\n", 19), Some(Label::Phone));
        assert_eq!(of_key(b"Phone Number "), Some(Label::Phone));
        assert_eq!(of_key(b"next page token"), None);
        assert_eq!(of_name(b"next_page_token"), None);
        assert_eq!(of_name(b"rows_returned"), None);
        assert_eq!(of_name(b"action"), None);
        assert_eq!(of_name(b""), None);
    }
}
