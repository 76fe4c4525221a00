//! Which characters of a text stand in what a redactor made of it, and what stands instead of the others.
//!
//! A redactor puts placeholders in the place of spans, so the answer is runs of the text with placeholders
//! between them. Where a run has several places in the text, the places are taken that are best for the
//! redactor: fewest characters of values standing, fewest of anything else gone.

use super::entities::Entity;

/// What a placeholder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholder {
    Of(Entity),
    /// `[REDACTED]`, which says nothing.
    Any,
}

/// Characters that are gone, and the placeholders that stand for them. All else stands as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) from: usize,
    pub(super) until: usize,
    pub(super) placeholders: Vec<Placeholder>,
}

/// The text that a redactor was given.
#[derive(Debug)]
pub(super) struct Original {
    pub(super) chars: Vec<char>,
    /// Characters up to each place that cost something if they stand: letters and digits of values.
    standing: Vec<u32>,
    /// Characters up to each place that cost something if they are gone: of all but values.
    gone: Vec<u32>,
}

impl Original {
    /// Each character with whether it is part of personal data.
    pub(super) fn new(chars: Vec<(char, bool)>) -> Self {
        let (mut standing, mut gone) = (vec![0], vec![0]);
        for &(character, is_value) in &chars {
            let count = |counts: &mut Vec<u32>, counted: bool| {
                counts.push(counts.last().copied().unwrap_or_default() + u32::from(counted));
            };
            count(&mut standing, is_value && character.is_alphanumeric());
            count(&mut gone, !is_value);
        }
        Self { chars: chars.into_iter().map(|(character, _)| character).collect(), standing, gone }
    }

    /// Places where a run stands. The first run starts the text and the last one ends it.
    fn places(&self, run: &Run) -> Vec<Place> {
        let n = self.chars.len();
        let mut places = Vec::new();
        for (text, trimmed) in run.variants() {
            let Some(last) = n.checked_sub(text.len()) else { continue };
            let first = if run.is_last { last } else { 0 };
            let last = if run.is_first { 0 } else { last };
            if first > last {
                continue;
            }
            let starts = (first..=last).filter(|at| self.chars[*at..].starts_with(text));
            places.extend(starts.map(|from| Place {
                from,
                until: from + text.len(),
                cost: trimmed + self.standing[from + text.len()] - self.standing[from],
                before: None,
            }));
        }
        places
    }
}

/// Text of an answer without placeholders.
#[derive(Debug)]
struct Run {
    chars: Vec<char>,
    is_first: bool,
    is_last: bool,
}

impl Run {
    /// The text, and without the quotes that make a string of a number in JSON that was replaced, with how
    /// many quotes those are.
    fn variants(&self) -> Vec<(&[char], u32)> {
        let mut variants = vec![(self.chars.as_slice(), 0)];
        let inner = |text: &[char]| !text.is_empty();
        if !self.is_first
            && let Some(text) = self.chars.strip_prefix(&['"'])
        {
            variants.push((text, 1));
        }
        for (text, trimmed) in variants.clone() {
            if !self.is_last
                && let Some(text) = text.strip_suffix(&['"'])
            {
                variants.push((text, trimmed + 1));
            }
        }
        variants.retain(|(text, _)| inner(text) || self.is_first || self.is_last);
        variants
    }
}

/// A place of a run in the text, with the least cost of all up to its end.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: usize,
    until: usize,
    cost: u32,
    /// The place of the run before.
    before: Option<usize>,
}

/// The gaps of an answer. `None` if it holds text that the original does not, or in another order.
pub(super) fn align(original: &Original, answer: &str) -> Option<Vec<Gap>> {
    let (runs, placeholders) = split(answer);
    let mut rows: Vec<Vec<Place>> = Vec::with_capacity(runs.len());
    for run in &runs {
        let mut places = original.places(run);
        if let Some(row) = rows.last() {
            places.retain_mut(|place| reach(original, row, place));
        }
        if places.is_empty() {
            return None;
        }
        rows.push(places);
    }
    let (mut idx, _) = rows.last()?.iter().enumerate().min_by_key(|(_, place)| place.cost)?;
    let mut gaps = Vec::with_capacity(placeholders.len());
    for (pair, placeholders) in rows.windows(2).zip(placeholders).rev() {
        let behind = pair[1][idx];
        idx = behind.before?;
        gaps.push(Gap { from: pair[0][idx].until, until: behind.from, placeholders });
    }
    gaps.reverse();
    Some(gaps)
}

/// Takes the cheapest way to a place; `false` if there is none.
fn reach(original: &Original, before: &[Place], place: &mut Place) -> bool {
    let ways = before.iter().enumerate().filter(|(_, before)| before.until <= place.from);
    let costs = ways.map(|(idx, before)| {
        let gone = original.gone[place.from] - original.gone[before.until];
        (before.cost + gone, idx)
    });
    let Some((cost, idx)) = costs.min() else { return false };
    place.cost += cost;
    place.before = Some(idx);
    true
}

/// An answer as runs of text, and the placeholders between each two of them.
fn split(answer: &str) -> (Vec<Run>, Vec<Vec<Placeholder>>) {
    let mut texts = vec![Vec::new()];
    let mut between: Vec<Vec<Placeholder>> = Vec::new();
    let mut rest = answer;
    while let Some(character) = rest.chars().next() {
        if let Some((placeholder, behind)) = placeholder(rest) {
            // Placeholders without text between them share a gap, because it is unknown where one ends.
            match (between.last_mut(), texts.last()) {
                (Some(last), Some(text)) if text.is_empty() => last.push(placeholder),
                _ => {
                    between.push(vec![placeholder]);
                    texts.push(Vec::new());
                }
            }
            rest = behind;
            continue;
        }
        if let Some(text) = texts.last_mut() {
            text.push(character);
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
    }
    let last = texts.len() - 1;
    let runs = texts.into_iter().enumerate();
    let run = |(at, chars)| Run { chars, is_first: at == 0, is_last: at == last };
    (runs.map(run).collect(), between)
}

/// The placeholder that a text starts with, and the text behind it.
fn placeholder(text: &str) -> Option<(Placeholder, &str)> {
    let (name, behind) = text.strip_prefix('[')?.split_once(']')?;
    if name == "REDACTED" {
        return Some((Placeholder::Any, behind));
    }
    let entity = Entity::ALL.into_iter().find(|entity| entity.placeholder() == name)?;
    Some((Placeholder::Of(entity), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values stand in braces.
    fn check(text: &str, answer: &str, expected: Option<&[(&str, usize)]>) {
        let mut is_value = false;
        let mut chars = Vec::new();
        for character in text.chars() {
            match character {
                '{' => is_value = true,
                '}' => is_value = false,
                _ => chars.push((character, is_value)),
            }
        }
        let original = Original::new(chars);
        let gaps = align(&original, answer);
        let gone = gaps.map(|gaps| -> Vec<(String, usize)> {
            let of = |gap: &Gap| original.chars[gap.from..gap.until].iter().collect();
            gaps.iter().map(|gap| (of(gap), gap.placeholders.len())).collect()
        });
        let expected = expected.map(|gaps| -> Vec<(String, usize)> {
            gaps.iter().map(|(text, n)| ((*text).to_owned(), *n)).collect()
        });
        assert_eq!(gone, expected, "{text} -> {answer}");
    }

    #[test]
    fn gaps_are_found() {
        check("a {x@y.zz} b", "a {x@y.zz} b", None);
        check("a {x@y.zz} b", "a x@y.zz b", Some(&[]));
        check("a {x@y.zz} b", "a [EMAIL] b", Some(&[("x@y.zz", 1)]));
        check("a {x@y.zz} b", "a [EMAIL]zz b", Some(&[("x@y.", 1)]));
        check("a {x@y.zz} b", "[REDACTED]", Some(&[("a x@y.zz b", 1)]));
        check("a {x@y.zz} b", "a [EMAIL][IP] b", Some(&[("x@y.zz", 2)]));
        check("a {x@y.zz} b", "a *** b", None);
        check("a {x@y.zz} b", "b [EMAIL] a", None);
        // Of several places the one where least is gone.
        check("a, {b, c}, d, e", "a, [EMAIL], d, e", Some(&[("b, c", 1)]));
        check("[{::1}]:443", "[[IP]]:443", Some(&[("::1", 1)]));
        check("\"n\": 4111, 5", "\"n\": \"[CARD]\", 5", Some(&[("4111", 1)]));
    }
}
