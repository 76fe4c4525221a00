//! Fills templates with values and records the position of each.

use super::entities::Entity;
use super::random::{Random, Split};
use super::{disguise, entities, negatives, templates};

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
