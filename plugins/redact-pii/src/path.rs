//! Paths inside `details`, as the user writes them: `granted_to`, `a.b`, `items[*].email`, `rows[0]`.

use crate::action::Action;
use crate::detect::label;

/// The most paths, one bit each.
const PATHS_MAX: usize = 64;
/// The most steps of a path.
const STEPS_MAX: usize = 32;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(Vec<u8>),
    Index(u32),
    AnyIndex,
}

/// Paths and their actions.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    rules: Vec<(Vec<Step>, Action)>,
    /// As the user wrote them, without `$.`.
    names: Vec<String>,
}

/// A place in a document, and the paths that lead to or through it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// The rules whose steps so far all match, as bits.
    open: u64,
    /// The action on the value here, and on all values below it that no longer path names.
    pub(crate) action: Option<Action>,
    /// The path of that action.
    pub(crate) rule: usize,
}

impl Place {
    /// Whether a path continues below.
    pub(crate) fn goes_on(self) -> bool {
        self.open != 0
    }

    /// Whether the path to here is longer than the one of the enclosing place.
    pub(crate) fn is_named_below(self, outside: Self) -> bool {
        self.open != 0 || self.rule != outside.rule
    }
}

/// One step down.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Down<'a> {
    Key(&'a [u8]),
    Index(u32),
}

impl Paths {
    /// Adds a path. The error says what is wrong.
    pub(crate) fn add(&mut self, path: &str, action: Action) -> Result<(), String> {
        if self.rules.len() == PATHS_MAX {
            return Err(format!("there are more than {PATHS_MAX} paths"));
        }
        let steps =
            parse(path).ok_or("a path is written like granted_to, a.b or items[*].email")?;
        if steps.len() > STEPS_MAX {
            return Err(format!("the path has more than {STEPS_MAX} steps"));
        }
        self.rules.push((steps, action));
        self.names.push(plain(path).to_owned());
        Ok(())
    }

    /// A path as written.
    pub(crate) fn name(&self, rule: usize) -> &str {
        self.names.get(rule).map_or("", String::as_str)
    }

    /// The last key of every path. `None` for a path of indices only.
    pub(crate) fn last_keys(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.rules.iter().map(|(steps, _)| {
            steps.iter().rev().find_map(|step| match step {
                Step::Key(key) => Some(key.as_slice()),
                Step::Index(_) | Step::AnyIndex => None,
            })
        })
    }

    /// Whether a text that is not JSON could still hold a value that a path names: with a key before a colon or an
    /// equals sign, in any quotes or none.
    pub(crate) fn may_be_in(&self, text: &[u8]) -> bool {
        if text.contains(&b'\\') || self.last_keys().any(|key| key.is_none()) {
            return !self.rules.is_empty();
        }
        let signs = text.iter().enumerate().filter(|(_, byte)| matches!(byte, b':' | b'='));
        let mut names = signs.map(|(sign, _)| &text[..label::name_end(text, sign)]);
        let is_key =
            |name: &[u8], key: &[u8]| name.ends_with(&key[..label::name_end(key, key.len())]);
        names.any(|name| self.last_keys().flatten().any(|key| is_key(name, key)))
    }

    /// The place of the whole document.
    pub(crate) fn root(&self) -> Place {
        let open =
            if self.rules.len() == PATHS_MAX { u64::MAX } else { (1 << self.rules.len()) - 1 };
        Place { open, action: None, rule: 0 }
    }

    /// The place one step below another that is `depth` steps from the root.
    pub(crate) fn down(&self, from: Place, depth: usize, down: Down<'_>) -> Place {
        let mut place = Place { open: 0, ..from };
        let mut left = from.open;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            left &= left - 1;
            let Some((steps, action)) = self.rules.get(index) else {
                break;
            };
            if !steps.get(depth).is_some_and(|step| step.matches(down)) {
                continue;
            }
            if steps.len() == depth + 1 {
                (place.action, place.rule) = (Some(*action), index);
            } else {
                place.open |= 1 << index;
            }
        }
        place
    }
}

impl Step {
    fn matches(&self, down: Down<'_>) -> bool {
        match (self, down) {
            (Self::Key(own), Down::Key(key)) => own == key,
            (Self::Index(own), Down::Index(index)) => *own == index,
            (Self::AnyIndex, Down::Index(_)) => true,
            _ => false,
        }
    }
}

fn plain(path: &str) -> &str {
    path.strip_prefix("$.").or_else(|| path.strip_prefix('$')).unwrap_or(path)
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let path = plain(path);
    let mut steps = Vec::new();
    for (at, part) in path.split('.').enumerate() {
        let (key, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        // Only the document itself can be an array without a key.
        if key.is_empty() && (at > 0 || indices.is_empty()) {
            return None;
        }
        if !key.is_empty() {
            steps.push(Step::Key(key.as_bytes().to_vec()));
        }
        parse_indices(indices, &mut steps)?;
    }
    Some(steps)
}

fn parse_indices(text: &str, steps: &mut Vec<Step>) -> Option<()> {
    let mut rest = text;
    while !rest.is_empty() {
        let (index, behind) = rest.strip_prefix('[')?.split_once(']')?;
        steps.push(match index {
            "*" => Step::AnyIndex,
            _ => Step::Index(index.parse().ok()?),
        });
        rest = behind;
    }
    Some(())
}
