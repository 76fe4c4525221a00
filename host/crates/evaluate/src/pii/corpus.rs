//! Fills templates with values and remembers where each of them stands.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::entities::Entity;
use super::{disguise, entities, negatives, templates};

/// Which of the two corpora.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    Tuning,
    Scoring,
}

impl Split {
    /// One of two things by the corpus.
    pub(super) fn choose<T>(self, tuning: T, scoring: T) -> T {
        match self {
            Self::Tuning => tuning,
            Self::Scoring => scoring,
        }
    }
}

/// What an inserted value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Entity(Entity),
    Negative(&'static str),
}

/// A value of a column: text, then an inserted value, then text again, and so on.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) is_details: bool,
    /// One more than `pieces`.
    pub(super) literals: Vec<String>,
    pub(super) pieces: Vec<Piece>,
}

/// An inserted value.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) meaning: Meaning,
}

impl Event {
    /// The whole value.
    pub(super) fn text(&self) -> String {
        let mut text = self.literals[0].clone();
        for (piece, literal) in self.pieces.iter().zip(&self.literals[1..]) {
            text.push_str(&piece.text);
            text.push_str(literal);
        }
        text
    }
}

/// Numbers that are the same for the same seed.
#[derive(Debug)]
pub(super) struct Random(ChaCha8Rng);

impl Random {
    /// The two corpora never share a stream.
    fn new(split: Split, seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = split.choose(1, 2);
        Self(ChaCha8Rng::from_seed(key))
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Whether one case in so many has come.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn digits(&mut self, n: usize) -> String {
        self.of(b"0123456789", n)
    }

    pub(super) fn hex(&mut self, n: usize) -> String {
        self.of(b"0123456789abcdef", n)
    }

    pub(super) fn of(&mut self, alphabet: &[u8], n: usize) -> String {
        (0..n).map(|_| char::from(self.pick(alphabet))).collect()
    }
}

/// The events of a corpus.
pub(super) fn events(split: Split, seed: u64, n: usize) -> Vec<Event> {
    let mut random = Random::new(split, seed);
    (0..n).map(|_| event(split, &mut random)).collect()
}

fn event(split: Split, random: &mut Random) -> Event {
    let template = random.pick(templates::of(split));
    let is_details = template.starts_with('{') || template.starts_with('[');
    let mut event = Event { is_details, literals: Vec::new(), pieces: Vec::new() };
    let mut parts = template.split('<');
    event.literals.push(parts.next().unwrap_or_default().to_owned());
    for part in parts {
        let (name, literal) = part.split_once('>').expect("a template closes what it opens");
        event.pieces.push(piece(name, split, is_details, random));
        event.literals.push(literal.to_owned());
    }
    event
}

fn piece(name: &str, split: Split, is_details: bool, random: &mut Random) -> Piece {
    if let Some(entity) = entities::named(name, random) {
        let plain = entities::value(entity, split, random);
        let text = disguise::disguise(&plain, entity, is_details, random);
        return Piece { text, meaning: Meaning::Entity(entity) };
    }
    let (name, text) = negatives::value(name, split, random);
    Piece { text, meaning: Meaning::Negative(name) }
}
