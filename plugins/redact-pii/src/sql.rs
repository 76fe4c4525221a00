//! Removes the literals from SQL, so that `WHERE email = 'bob@x.com' LIMIT 10` becomes
//! `WHERE email = ? LIMIT ?`.
//!
//! Dialects differ in what a quote or a comment is. Whatever one of them would parse as a literal is removed:
//! comments go, words in double quotes stay only where a name is required, and where dialects disagree about the
//! end of something that could hide a quote, nothing after it is trusted.

/// Writes a statement without its literals.
pub(crate) fn rewrite(sql: &[u8], out: &mut Vec<u8>) {
    let mut tokens = Tokens { sql, at: 0, out, last_word: Vec::new() };
    while tokens.step() {}
}

/// The most digits of a parameter that has a number: `$1`, `:12`.
const PARAMETER_DIGITS_MAX: usize = 2;

/// Words after which a name stands.
const BEFORE_NAMES: &[&[u8]] = &[b"from", b"join", b"into", b"update", b"table", b"as"];

struct Tokens<'a> {
    sql: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    /// The word before, in lower case. Empty after anything else but space.
    last_word: Vec<u8>,
}

impl Tokens<'_> {
    /// Takes one token. `false` at the end.
    fn step(&mut self) -> bool {
        let rest = &self.sql[self.at..];
        match rest {
            [] => return false,
            [b'-', b'-', ..] | [b'/', b'/', ..] | [b'#', ..] => self.skip(line_comment_end(rest)),
            [b'/', b'*', ..] => self.skip(comment_end(rest)),
            [b'\'', ..] => self.literal(quoted_end(rest, b'\'')),
            [b'"', ..] if !self.is_name(rest) => self.literal(quoted_end(rest, b'"')),
            [b'`', ..] if !is_plain_name(rest) => self.literal(rest.len()),
            [quote @ (b'"' | b'`'), ..] => self.keep(name_end(rest, *quote)),
            [b'$', ..] if dollar_quoted_end(rest).is_some() => {
                self.literal(dollar_quoted_end(rest).unwrap_or(rest.len()));
            }
            [b'$' | b':' | b'@' | b'?', b'a'..=b'z' | b'A'..=b'Z', ..] => {
                self.keep(1 + word_end(&rest[1..]));
            }
            [b'$' | b':' | b'@' | b'?', b'0'..=b'9', ..] => self.numbered(rest),
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

    /// Whether what is in double quotes must be a name: after `FROM` and the like, and next to a dot.
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

    /// Keeps a parameter that has a number. More digits are an amount of money, or a value after a colon.
    fn numbered(&mut self, rest: &[u8]) {
        let n_digits = number_end(&rest[1..]);
        if n_digits <= PARAMETER_DIGITS_MAX {
            self.keep(1 + n_digits);
        } else {
            self.literal(1 + n_digits);
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
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn word_end(text: &[u8]) -> usize {
    text.iter().take_while(|&&byte| is_word(byte)).count()
}

/// The end of a comment of one line: `-- …`, `# …` of MySQL, `// …` of Snowflake. Where another dialect
/// sees no comment, a quote in it could open a literal that goes on after the line.
fn line_comment_end(text: &[u8]) -> usize {
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let is_certain = text.starts_with(b"--") && text.get(2).is_some_and(u8::is_ascii_whitespace);
    if is_certain || !opens_something(&text[1..end]) { end } else { text.len() }
}

/// The end of `/* … */`. Some dialects nest comments, and MySQL runs what is in `/*! … */`.
fn comment_end(text: &[u8]) -> usize {
    let Some(end) = find(text.get(2..).unwrap_or_default(), b"*/").map(|at| at + 4) else {
        return text.len();
    };
    let inside = &text[2..end - 2];
    let is_run = inside.starts_with(b"!") || inside.starts_with(b"M!");
    let is_doubtful = find(inside, b"/*").is_some() || (is_run && opens_something(inside));
    if is_doubtful { text.len() } else { end }
}

/// Whether something starts in a text that would go on after it: a literal, a name or a comment.
fn opens_something(text: &[u8]) -> bool {
    let has_quote = text.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'`'));
    has_quote || find(text, b"$$").is_some() || find(text, b"/*").is_some()
}

/// Whether backticks hold a name in every dialect: they are closed, and a dialect that knows no backticks
/// sees no literal in them.
fn is_plain_name(text: &[u8]) -> bool {
    let end = name_end(text, b'`');
    let inside = text.get(1..end.saturating_sub(1)).unwrap_or_default();
    text[1..end].last() == Some(&b'`')
        && !inside.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'\n'))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The end of a literal, in which the quote is doubled. Where a backslash stands before a quote, and where
/// three quotes open it as in BigQuery, dialects disagree about the end, so nothing after is trusted.
fn quoted_end(text: &[u8], quote: u8) -> usize {
    let end = doubled_end(text, quote);
    if !text.starts_with(&[quote; 3]) {
        return end;
    }
    let tripled_end = find(&text[3..], &[quote; 3]).map(|at| at + 6);
    if tripled_end == Some(end) { end } else { text.len() }
}

fn doubled_end(text: &[u8], quote: u8) -> usize {
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
        check("SELECT `a WHERE n = 'Bob", "SELECT ?");
        check("SELECT $12345.67, $1, :12, {x:20250116}", "SELECT ?, $1, :12, {x?}");
        check("", "");
    }

    #[test]
    fn comments_and_quotes_of_every_dialect_hide_nothing() {
        check("SELECT 1 # for Bob Smith", "SELECT ? ");
        check("SELECT a#for Bob\nFROM t", "SELECT a\nFROM t");
        check("SELECT 1 // for Bob\nFROM t", "SELECT ? \nFROM t");
        check("FROM #t WHERE n = 'Bob\nSmith' AND c", "FROM ");
        check("SELECT 1 --'Bob\nSmith'", "SELECT ? ");
        check("SELECT 1 -- it's\nFROM t", "SELECT ? \nFROM t");
        check("SELECT /* a /* b */ Bob */ 1", "SELECT ");
        check("SELECT /* a /* b */ 'x */ Bob'", "SELECT ");
        check("SELECT /*!50000 'x */ Bob' */", "SELECT ");
        check("SELECT /*+ INDEX(t) */ a", "SELECT  a");
        check("SELECT '''bob's name''' FROM t", "SELECT ?");
        check("SELECT \"\"\"bob\"s name\"\"\" FROM t", "SELECT ?");
        check("SELECT '''bob''' FROM t", "SELECT ? FROM t");
        check("SELECT '''', bob", "SELECT ?");
        check("SELECT '', \"\", a", "SELECT ?, ?, a");
    }
}
