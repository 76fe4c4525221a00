//! Two lists of lines side by side, for people.

use std::fmt;

use audit_core::text::clipped as clip;
use serde_json::Value;

/// Lines of a diff that are shown.
const SHOWN_MAX: usize = 40;
/// Bytes of a line that are shown: a row may hold a document.
const LINE_BYTES_MAX: usize = 2000;
/// Comparing takes time and memory proportional to the product of both lengths. Above this the lists are
/// compared line by line, which shows more than necessary.
const TABLE_MAX: usize = 1 << 22;

/// The lines to remove from one list, and to add, to get the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Diff {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq)]
enum Line {
    Expected(Value),
    Found(Value),
    /// Both, and the keys whose values differ.
    Other {
        expected: Value,
        found: Value,
        keys: Vec<String>,
    },
}

/// Whether an expected line and a found one are the same.
type Alike = fn(&Value, &Value) -> bool;

impl Diff {
    pub(super) fn of(expected: &[Value], found: &[Value], alike: Alike) -> Self {
        let pairs = || expected.iter().zip(found);
        let n_before = pairs().take_while(|(e, f)| alike(e, f)).count();
        let rest = |list: &[Value]| list.len() - n_before;
        let backwards = expected.iter().rev().zip(found.iter().rev());
        let n_after = backwards
            .take(rest(expected).min(rest(found)))
            .take_while(|(e, f)| alike(e, f))
            .count();
        let middle = |list: &[Value]| -> Vec<Value> {
            list.get(n_before..list.len() - n_after).unwrap_or_default().to_vec()
        };
        let (expected, found) = (middle(expected), middle(found));
        let mut diff = Self::default();
        let mut hunk = Hunk::default();
        for step in steps(&expected, &found, alike) {
            match step {
                Step::Both => diff.close(&mut hunk),
                Step::Expected(idx) => hunk.expected.extend(expected.get(idx).cloned()),
                Step::Found(idx) => hunk.found.extend(found.get(idx).cloned()),
            }
        }
        diff.close(&mut hunk);
        diff
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Pairs lines about the same thing.
    fn close(&mut self, hunk: &mut Hunk) {
        let mut found = std::mem::take(&mut hunk.found);
        for expected in hunk.expected.drain(..) {
            let twin = found.iter().position(|found| is_twin(&expected, found));
            let line = match twin {
                Some(idx) => {
                    let found = found.remove(idx);
                    let keys = other_keys(&expected, &found);
                    Line::Other { expected, found, keys }
                }
                None => Line::Expected(expected),
            };
            self.lines.push(line);
        }
        self.lines.extend(found.into_iter().map(Line::Found));
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, line) in self.lines.iter().take(SHOWN_MAX).enumerate() {
            if idx > 0 {
                f.write_str("\n")?;
            }
            match line {
                Line::Expected(value) => write!(f, "  - {}", clipped(value))?,
                Line::Found(value) => write!(f, "  + {}", clipped(value))?,
                Line::Other { expected, found, keys } => {
                    writeln!(f, "  - {}\n  + {}", clipped(expected), clipped(found))?;
                    write!(f, "    differs in: {}", keys.join(", "))?;
                }
            }
        }
        match self.lines.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

#[derive(Default)]
struct Hunk {
    expected: Vec<Value>,
    found: Vec<Value>,
}

enum Step {
    Both,
    Expected(usize),
    Found(usize),
}

/// The longest common subsequence, as the steps along both lists.
fn steps(expected: &[Value], found: &[Value], alike: Alike) -> Vec<Step> {
    let width = found.len() + 1;
    if (expected.len() + 1).saturating_mul(width) > TABLE_MAX {
        return line_by_line(expected, found, alike);
    }
    // The length of what is common from there on, for each place in both lists.
    let mut common = vec![0_u32; (expected.len() + 1) * width];
    let at = |e: usize, f: usize| e * width + f;
    for (e, of_expected) in expected.iter().enumerate().rev() {
        for (f, of_found) in found.iter().enumerate().rev() {
            common[at(e, f)] = if alike(of_expected, of_found) {
                common[at(e + 1, f + 1)] + 1
            } else {
                common[at(e + 1, f)].max(common[at(e, f + 1)])
            };
        }
    }
    let (mut e, mut f) = (0, 0);
    let mut steps = Vec::new();
    while e < expected.len() || f < found.len() {
        let both = expected.get(e).zip(found.get(f));
        if both.is_some_and(|(of_expected, of_found)| alike(of_expected, of_found)) {
            steps.push(Step::Both);
            (e, f) = (e + 1, f + 1);
        } else if f == found.len()
            || e < expected.len() && common[at(e + 1, f)] >= common[at(e, f + 1)]
        {
            steps.push(Step::Expected(e));
            e += 1;
        } else {
            steps.push(Step::Found(f));
            f += 1;
        }
    }
    steps
}

fn line_by_line(expected: &[Value], found: &[Value], alike: Alike) -> Vec<Step> {
    let mut steps = Vec::new();
    for idx in 0..expected.len().max(found.len()) {
        match (expected.get(idx), found.get(idx)) {
            (Some(of_expected), Some(of_found)) if alike(of_expected, of_found) => {
                steps.push(Step::Both);
            }
            (of_expected, of_found) => {
                steps.extend(of_expected.map(|_| Step::Expected(idx)));
                steps.extend(of_found.map(|_| Step::Found(idx)));
            }
        }
    }
    steps
}

/// Whether two lines are about the same: the row of one record, or alerts, which have no record.
fn is_twin(expected: &Value, found: &Value) -> bool {
    expected.get("offset") == found.get("offset")
        && expected.get("rule") == found.get("rule")
        && expected.get("key") == found.get("key")
}

fn other_keys(expected: &Value, found: &Value) -> Vec<String> {
    let (Some(expected), Some(found)) = (expected.as_object(), found.as_object()) else {
        return Vec::new();
    };
    let mut keys: Vec<String> = expected.keys().chain(found.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    let differs = |key: &String| match (expected.get(key), found.get(key)) {
        (Some(expected), Some(found)) => !same(expected, found),
        _ => true,
    };
    keys.retain(differs);
    keys
}

/// Equal, where `1` is `1.0`: the file may be written by hand.
pub(super) fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.is_f64() != other.is_f64() && one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|o| same(value, o)))
        }
        _ => expected == found,
    }
}

fn clipped(value: &Value) -> String {
    let text = value.to_string();
    let line = clip(&text, LINE_BYTES_MAX);
    if text.len() > LINE_BYTES_MAX { line + "…" } else { line }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(expected: &[Value], found: &[Value]) -> String {
        Diff::of(expected, found, same).to_string()
    }

    fn rows(texts: &[&str]) -> Vec<Value> {
        texts.iter().enumerate().map(|(n, text)| json!({"offset": n, "x": text})).collect()
    }

    #[test]
    fn only_lines_that_differ_are_shown_and_twins_stand_together() {
        let (expected, found) = (rows(&["a", "b", "c", "d"]), rows(&["a", "B", "C", "d"]));
        let text = "  - {\"offset\":1,\"x\":\"b\"}\n  + {\"offset\":1,\"x\":\"B\"}\n    differs in: x\n  \
                    - {\"offset\":2,\"x\":\"c\"}\n  + {\"offset\":2,\"x\":\"C\"}\n    differs in: x";
        assert_eq!(shown(&expected, &found), text);
        assert!(Diff::of(&expected, &expected, same).is_empty());
        let mut fewer = expected.clone();
        fewer.remove(1);
        assert_eq!(shown(&expected, &fewer), "  - {\"offset\":1,\"x\":\"b\"}");
        assert_eq!(shown(&fewer, &expected), "  + {\"offset\":1,\"x\":\"b\"}");
        assert_eq!(shown(&[], &expected[..1]), "  + {\"offset\":0,\"x\":\"a\"}");
    }

    #[test]
    fn alerts_that_moved_are_found_again() {
        let alert = |rule: &str, count: u32| json!({"rule": rule, "count": count});
        let expected = [alert("a", 1), alert("b", 2), alert("c", 3)];
        let found = [alert("b", 2), alert("c", 4)];
        let text = "  - {\"count\":1,\"rule\":\"a\"}\n  - {\"count\":3,\"rule\":\"c\"}\n  + \
                    {\"count\":4,\"rule\":\"c\"}\n    differs in: count";
        assert_eq!(shown(&expected, &found), text);
    }

    #[test]
    fn long_diffs_and_lines_are_cut() {
        let text = shown(&[], &rows(&["x"; 100]));
        assert!(text.ends_with("\n  and 60 more"), "{text}");
        assert_eq!(text.lines().count(), 41);
        let text = shown(&[], &[json!({"x": "é".repeat(5000)})]);
        assert!(text.len() < 2100 && text.ends_with('…'), "{text}");
        let many: Vec<_> = (0..3000).map(|n| json!({"offset": n})).collect();
        let other: Vec<_> = (1..3001).map(|n| json!({"offset": n})).collect();
        assert!(shown(&many, &other).ends_with("more"), "too large for the table");
    }

    #[test]
    fn a_number_written_by_hand_is_the_number() {
        assert!(same(&json!({"a": [1]}), &json!({"a": [1.0]})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 2.0})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": null})));
        assert!(!same(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992_i64)));
    }
}
