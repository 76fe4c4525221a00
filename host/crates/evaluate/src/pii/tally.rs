//! Counts verdicts.

use std::collections::BTreeMap;

use super::corpus::{Event, Meaning};
use super::entities::Entity;
use super::issuers;
use super::judge::{self, Alarm, Fate, Over};
use super::random::Split;
use super::report::{NegativeScore, Rate, Report, Score};

/// The number of examples that are kept: of misses for an entity, of alarms for a class.
const EXAMPLES_MAX: usize = 12;

/// The counts so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    entities: BTreeMap<Entity, Counts>,
    negatives: BTreeMap<&'static str, [u64; 2]>,
    other: u64,
    unjudged: u64,
    misses: BTreeMap<Option<Entity>, Vec<String>>,
    alarms: BTreeMap<Option<Entity>, Vec<String>>,
}

#[derive(Debug, Default)]
struct Counts {
    hits: u64,
    misses: u64,
    mislabelled: u64,
    alarms: u64,
    collisions: u64,
}

impl Tally {
    pub(super) fn add(&mut self, event: &Event, answer: &str) {
        let verdict = judge::judge(event, answer);
        for (piece, fate) in event.pieces.iter().zip(&verdict.fates) {
            match piece.meaning {
                Meaning::Entity(entity) => self.add_value(entity, &piece.text, fate, answer),
                Meaning::Negative(name) => {
                    let counts = self.negatives.entry(name).or_default();
                    counts[0] += 1;
                    counts[1] += u64::from(*fate != Fate::Kept);
                }
            }
        }
        for alarm in verdict.alarms {
            self.add_alarm(alarm, event, answer);
        }
    }

    fn add_value(&mut self, entity: Entity, text: &str, fate: &Fate, answer: &str) {
        let counts = self.entities.entry(entity).or_default();
        if let Fate::Replaced(by) = fate {
            counts.hits += 1;
            counts.mislabelled += u64::from(!by.contains(&entity));
            return;
        }
        counts.misses += 1;
        self.unjudged += u64::from(*fate == Fate::Unjudged);
        keep(&mut self.misses, Some(entity), || format!("{text} -> {answer}"));
    }

    fn add_alarm(&mut self, alarm: Alarm, event: &Event, answer: &str) {
        let negative = match alarm.over {
            Over::Negative(at) => event.pieces.get(at),
            Over::Literal | Over::Nothing => None,
        };
        match alarm.class {
            Some(entity) => {
                let is_card = negative.is_some_and(|piece| issuers::is_card(&piece.text));
                let counts = self.entities.entry(entity).or_default();
                counts.alarms += 1;
                counts.collisions += u64::from(entity == Entity::Card && is_card);
                // Nobody can do anything about those, so they are no use as an example.
                if entity == Entity::Card && is_card {
                    return;
                }
            }
            None => self.other += 1,
        }
        keep(&mut self.alarms, alarm.class, || {
            let what = match (alarm.over, negative.map(|piece| piece.meaning)) {
                (_, Some(Meaning::Negative(name))) => name,
                (Over::Nothing, _) => "a placeholder too many",
                _ => "text between values",
            };
            format!("{what}: {} -> {answer}", event.text())
        });
    }

    pub(super) fn report(self, split: Split, seed: u64, events: usize) -> Report {
        let entities = self.entities.into_iter().map(|(entity, counts)| Score {
            entity,
            true_positives: counts.hits,
            false_positives: counts.alarms,
            collisions: counts.collisions,
            false_negatives: counts.misses,
            mislabelled: counts.mislabelled,
            precision: Rate::of(counts.hits, counts.hits + counts.alarms),
            precision_apart: Rate::of(counts.hits, counts.hits + counts.alarms - counts.collisions),
            recall: Rate::of(counts.hits, counts.hits + counts.misses),
        });
        let negatives = self
            .negatives
            .into_iter()
            .map(|(name, [inserted, changed])| NegativeScore { name, inserted, changed });
        Report {
            split,
            seed,
            events,
            entities: entities.collect(),
            negatives: negatives.collect(),
            other: self.other,
            unjudged: self.unjudged,
            misses: lines(self.misses),
            alarms: lines(self.alarms),
        }
    }
}

fn keep(
    examples: &mut BTreeMap<Option<Entity>, Vec<String>>,
    class: Option<Entity>,
    example: impl FnOnce() -> String,
) {
    let examples = examples.entry(class).or_default();
    if examples.len() < EXAMPLES_MAX {
        examples.push(example());
    }
}

fn lines(examples: BTreeMap<Option<Entity>, Vec<String>>) -> Vec<String> {
    let named = |(class, examples): (Option<Entity>, Vec<String>)| {
        let name = class.map_or("other", Entity::name);
        examples.into_iter().map(move |example| format!("{name}: {example}"))
    };
    examples.into_iter().flat_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::super::corpus::Piece;
    use super::*;

    /// A number that is taken for a card is forgiven only if it has the form of one.
    #[test]
    fn collisions_are_told_from_errors() {
        let check = |number: &str, collisions: u64| {
            let meaning = Meaning::Negative("luhn-order");
            let event = Event {
                is_details: false,
                literals: vec!["order ".to_owned(), String::new()],
                pieces: vec![Piece { text: number.to_owned(), meaning }],
            };
            let mut tally = Tally::default();
            tally.add(&event, "order [CARD]");
            let report = tally.report(Split::Tuning, 0, 1);
            let score = &report.entities[0];
            assert_eq!((score.false_positives, score.collisions), (1, collisions), "{number}");
        };
        check("4111111111111111", 1);
        // A check digit that is wrong, a length that is, and an issuer that there is not.
        check("4111111111111112", 0);
        check("411111111111116", 0);
        check("1234567812345670", 0);
    }
}
