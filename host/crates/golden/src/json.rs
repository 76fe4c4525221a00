//! Parts of JSON as text.
//!
//! Events and configurations reach the plugin byte by byte: a parser that sorts keys or rounds a number
//! would test something else.

use serde::de::{DeserializeOwned, IgnoredAny};

/// The values of an array.
pub(crate) fn elements(text: &str) -> Result<Vec<&str>, String> {
    let mut rest = opened(text, '[', "an array")?;
    let mut elements = Vec::new();
    while !rest.starts_with(']') || !elements.is_empty() {
        let (_, element, after) = next::<IgnoredAny>(rest)?;
        elements.push(element);
        match after.chars().next() {
            Some(',') => rest = after.get(1..).unwrap_or_default(),
            Some(']') => {
                rest = after;
                break;
            }
            _ => return Err(format!("`,` or `]` expected at {}", clipped(after))),
        }
    }
    closed(rest, elements)
}

/// The keys and values of an object. A key that appears twice is refused.
pub(crate) fn members(text: &str) -> Result<Vec<(String, &str)>, String> {
    let mut rest = opened(text, '{', "an object")?;
    let mut members: Vec<(String, &str)> = Vec::new();
    while !rest.starts_with('}') || !members.is_empty() {
        let (key, _, after) = next::<String>(rest)?;
        let value = after.strip_prefix(':');
        let value = value.ok_or_else(|| format!("`:` expected at {}", clipped(after)))?;
        let (_, value, after) = next::<IgnoredAny>(value)?;
        if members.iter().any(|(known, _)| *known == key) {
            return Err(format!("the key {key:?} appears twice"));
        }
        members.push((key, value));
        match after.chars().next() {
            Some(',') => rest = after.get(1..).unwrap_or_default(),
            Some('}') => {
                rest = after;
                break;
            }
            _ => return Err(format!("`,` or `}}` expected at {}", clipped(after))),
        }
    }
    closed(rest, members)
}

fn opened<'a>(text: &'a str, bracket: char, what: &str) -> Result<&'a str, String> {
    let inner = text.trim_start().strip_prefix(bracket);
    inner.map(str::trim_start).ok_or_else(|| format!("{what} is expected"))
}

/// `rest` begins with the closing bracket.
fn closed<T>(rest: &str, parts: T) -> Result<T, String> {
    match rest.get(1..).map(str::trim) {
        Some("") => Ok(parts),
        _ => Err(format!("something follows the end: {}", clipped(rest))),
    }
}

/// The value at the beginning, parsed and as text, and what follows it.
fn next<T: DeserializeOwned>(text: &str) -> Result<(T, &str, &str), String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values.next().ok_or("it ends too early")?.map_err(|error| error.to_string())?;
    let (value_text, after) = text.split_at_checked(values.byte_offset()).unwrap_or((text, ""));
    Ok((value, value_text.trim(), after.trim_start()))
}

/// As much of a text as a message shows.
fn clipped(text: &str) -> String {
    text.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_text() {
        let parts = elements(" [ {\"b\": 1.10, \"a\":[1, 2]} ,\"x,]\", 12345678901234567890123 ] ");
        let expected = ["{\"b\": 1.10, \"a\":[1, 2]}", "\"x,]\"", "12345678901234567890123"];
        assert_eq!(parts.unwrap(), expected);
        let members = members("{ \"b\\u0061\" : {\"z\":0,\"a\": 1} , \"c\":null}").unwrap();
        assert_eq!(members[0], ("ba".to_owned(), "{\"z\":0,\"a\": 1}"));
        assert_eq!(members[1].1, "null");
        assert_eq!((elements("[]").unwrap().len(), super::members("{ }").unwrap().len()), (0, 0));
    }

    #[test]
    fn anything_but_an_array_or_an_object_is_refused() {
        for text in ["", "[", "]", "[1", "[1,", "[1,]", "[,]", "[1]]", "[1 2]", "{}", "[é", "[1]é"]
        {
            assert!(elements(text).is_err(), "{text}");
        }
        let texts =
            ["", "{", "{1:2}", "{\"a\"", "{\"a\":", "{\"a\":1,}", "{\"a\":1,\"a\":1}", "[]"];
        for text in texts {
            assert!(members(text).is_err(), "{text}");
        }
        assert!(elements(&"[".repeat(100_000)).is_err(), "no depth ends the stack");
    }
}
