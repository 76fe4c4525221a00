//! Takes the literals out of SQL, so that `WHERE email = 'bob@x.com' LIMIT 10` becomes
//! `WHERE email = ? LIMIT ?`.
//!
//! Dialects differ in what a quote means. Where one of them would see a literal, it is taken out:
//! comments go, a backslash before a quote takes the rest of the statement with it, and words in double
//! quotes stay only where a name must stand.

/// Writes a statement without its literals.
pub(crate) fn rewrite(sql: &[u8], out: &mut Vec<u8>) {
    let mut tokens = Tokens { sql, at: 0, out, last_word: Vec::new() };
    while tokens.step() {}
}

/// Words behind which a name stands.
const BEFORE_NAMES: &[&[u8]] = &[b"from", b"join", b"into", b"update", b"table", b"as"];

struct Tokens<'a> {
    sql: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    /// The word before, in lower case. Empty behind anything else but space.
    last_word: Vec<u8>,
}

impl Tokens<'_> {
    /// Takes one token. `false` at the end.
    fn step(&mut self) -> bool {
        let rest = &self.sql[self.at..];
        match rest {
            [] => return false,
            [b'-', b'-', ..] => self.skip(line_end(rest)),
            [b'/', b'*', ..] => self.skip(find(rest, b"*/").map_or(rest.len(), |at| at + 2)),
            [b'\'', ..] => self.literal(quoted_end(rest, b'\'')),
            [b'"', ..] if !self.is_name(rest) => self.literal(quoted_end(rest, b'"')),
            [quote @ (b'"' | b'`'), ..] => self.keep(name_end(rest, *quote)),
            [b'$', ..] if dollar_quoted_end(rest).is_some() => {
                self.literal(dollar_quoted_end(rest).unwrap_or(rest.len()));
            }
            [b'$' | b':' | b'@' | b'?', b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z', ..] => {
                self.keep(1 + word_end(&rest[1..]));
            }
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => self.literal(number_end(rest)),
            [byte, ..] if is_word(*byte) => self.word(word_end(rest)),
            [byte, ..] => {
                self.out.push(*byte);
                self.at += 1;
                if !byte.is_ascii_whitespace() {
                    self.last_word.clear();
                }
            }
        }
        true
    }

    /// Whether what is in double quotes must be a name: behind `FROM` and the like, and next to a dot.
    fn is_name(&self, rest: &[u8]) -> bool {
        let end = name_end(rest, b'"');
        let inside = rest.get(1..end.saturating_sub(1)).unwrap_or_default();
        let is_plain = !inside.is_empty() && inside.iter().all(|&byte| is_word(byte));
        let is_behind_word = BEFORE_NAMES.contains(&self.last_word.as_slice());
        let is_joined = self.out.last() == Some(&b'.') || rest.get(end) == Some(&b'.');
        is_plain && (is_behind_word || is_joined)
    }

    fn skip(&mut self, length: usize) {
        self.at += length;
    }

    /// Keeps a word. Letters right before a quote are part of the literal: `E'…'`, `x'…'`, `q'[…]'`.
    fn word(&mut self, length: usize) {
        let word = &self.sql[self.at..self.at + length];
        let behind = &self.sql[self.at + length..];
        let is_prefix = length <= 2 && behind.starts_with(b"'");
        if is_prefix && word.last().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'q')) {
            self.literal(length + oracle_end(behind));
        } else if is_prefix {
            self.literal(length + quoted_end(behind, b'\''));
        } else if is_prefix_u(word, behind) {
            self.literal(length + 1 + quoted_end(&behind[1..], b'\''));
        } else {
            self.last_word = word.to_ascii_lowercase();
            self.out.extend_from_slice(word);
            self.at += length;
        }
    }

    fn keep(&mut self, length: usize) {
        self.out.extend_from_slice(&self.sql[self.at..self.at + length]);
        self.at += length;
        self.last_word.clear();
    }

    fn literal(&mut self, length: usize) {
        self.out.push(b'?');
        self.at += length;
        self.last_word.clear();
    }
}

/// `U&'…'`.
fn is_prefix_u(word: &[u8], behind: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"u") && behind.starts_with(b"&'")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'#') || byte >= 0x80
}

fn word_end(text: &[u8]) -> usize {
    text.iter().take_while(|&&byte| is_word(byte)).count()
}

fn line_end(text: &[u8]) -> usize {
    text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The end of a literal, in which the quote is doubled. Where a backslash stands before a quote, dialects
/// disagree about the end, so nothing behind is trusted.
fn quoted_end(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        if byte == quote {
            if text[at - 1] == b'\\' {
                return text.len();
            }
            if text.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    text.len()
}

/// The end of a name in quotes.
fn name_end(text: &[u8], quote: u8) -> usize {
    text[1..].iter().position(|&byte| byte == quote).map_or(text.len(), |at| at + 2)
}

/// `'[…]'`, with any bracket or other sign.
fn oracle_end(text: &[u8]) -> usize {
    let Some(&open) = text.get(1) else {
        return text.len();
    };
    let close = match open {
        b'[' => b']',
        b'(' => b')',
        b'{' => b'}',
        b'<' => b'>',
        other => other,
    };
    let inside = text.get(2..).unwrap_or_default();
    find(inside, &[close, b'\'']).map_or(text.len(), |at| at + 4)
}

/// `$$…$$` and `$tag$…$tag$`.
fn dollar_quoted_end(text: &[u8]) -> Option<usize> {
    let tag = text[1..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let opening = text.get(..tag.count() + 2).filter(|opening| opening.ends_with(b"$"))?;
    let inside = &text[opening.len()..];
    Some(find(inside, opening).map_or(text.len(), |at| at + 2 * opening.len()))
}

/// `12`, `1.5`, `.5`, `1e-3`, `0xff`.
fn number_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let is_exponent_sign = matches!(byte, b'+' | b'-')
            && at > 0
            && matches!(text[at - 1], b'e' | b'E')
            && text.get(at + 1).is_some_and(u8::is_ascii_digit)
            && !text[..at].starts_with(b"0x");
        if !is_word(byte) && byte != b'.' && !is_exponent_sign {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &str) {
        let mut out = Vec::new();
        rewrite(sql.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{sql}");
    }

    #[test]
    fn literals_become_question_marks() {
        check(
            "SELECT * FROM t1 WHERE a = 'x' AND b > 1000",
            "SELECT * FROM t1 WHERE a = ? AND b > ?",
        );
        check("IN (1, -2.5, .5, 1e-3, 0xFF)", "IN (?, -?, ?, ?, ?)");
        check("name = 'O''Brien' or 1=1", "name = ? or ?=?");
        check("E'a\\nb', N'c', x'ff', U&'d'", "?, ?, ?, ?");
        check("q'[it's]' || q'!a!'", "? || ?");
        check("$$a 'b' c$$ $t$x$$y$t$ $1 :id @p1", "? ? $1 :id @p1");
        check("LIKE '%bob%' LIMIT 10", "LIKE ? LIMIT ?");
        check("SELECT col1, t2.c3 FROM s4.t5", "SELECT col1, t2.c3 FROM s4.t5");
    }

    #[test]
    fn what_is_doubtful_is_taken_for_a_literal() {
        check("a = 'it\\'s' AND b = 'c'", "a = ?");
        check("a = 'open", "a = ?");
        check("a = \"Smith\" AND b", "a = ? AND b");
        check("SELECT \"a\".\"b\" FROM \"c\" x", "SELECT \"a\".\"b\" FROM \"c\" x");
        check("FROM \"bob@x.com\"", "FROM ?");
        check("SELECT 1 -- bob\nFROM t /* eve */ x", "SELECT ? \nFROM t  x");
        check("SELECT `a b` /* open", "SELECT `a b` ");
        check("", "");
    }
}
