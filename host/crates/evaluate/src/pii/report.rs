//! The counts and the rates.

use super::entities::Entity;
use super::random::Split;

/// The counts of a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Report {
    pub split: Split,
    pub seed: u64,
    pub events: usize,
    pub entities: Vec<Score>,
    pub negatives: Vec<NegativeScore>,
    /// False positives behind a placeholder that names nothing, or behind none.
    pub other: u64,
    /// Values in answers that are not the text with placeholders in it. They are misses as well.
    pub unjudged: u64,
    /// Some of the inserted values that are not redacted completely, with their text. All of it is made up.
    pub misses: Vec<String>,
    /// Some of the text that was changed but should not have been.
    pub alarms: Vec<String>,
}

/// The counts of one entity.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Score {
    pub entity: Entity,
    /// Values of which no letter and no digit is left.
    pub true_positives: u64,
    /// Negatives and texts between values that were changed and have this entity's placeholder, and
    /// placeholders of it that stand for nothing of that name.
    pub false_positives: u64,
    /// Of these, numbers with the issuer, the length and the check digit of a card: nothing about the digits
    /// distinguishes them from one.
    pub collisions: u64,
    /// Values of which a letter or a digit is left.
    pub false_negatives: u64,
    /// True positives without a placeholder of their own name.
    pub mislabelled: u64,
    pub precision: Rate,
    /// As if there were no collisions.
    pub precision_apart: Rate,
    pub recall: Rate,
}

/// The counts of one kind of negatives.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct NegativeScore {
    pub name: &'static str,
    pub inserted: u64,
    pub changed: u64,
}

impl Report {
    /// What misses the targets: 0.99 recall and 0.98 precision, on phone and IP 0.95 and 0.90,
    /// of cards apart from collisions; and nothing else touched.
    pub fn shortfalls(&self) -> Vec<String> {
        let mut short = Vec::new();
        for entity in Entity::ALL {
            let (recall, precision) = match entity {
                Entity::Phone | Entity::Ip => (0.95, 0.90),
                _ => (0.99, 0.98),
            };
            let score = self.entities.iter().find(|score| score.entity == entity);
            let of = |rate: fn(&Score) -> Rate| score.map_or(0.0, |score| rate(score).value);
            let mut compare = |what: &str, value: f64, least: f64| {
                if value < least {
                    short.push(format!("{what} of {}: {value:.4} of {least}", entity.name()));
                }
            };
            compare("recall", of(|score| score.recall), recall);
            compare("precision", of(|score| score.precision_apart), precision);
        }
        if self.other > 0 {
            short.push(format!("{} changes without the name of an entity", self.other));
        }
        short
    }
}

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Rate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Rate {
    /// Wilson's score interval (E. B. Wilson, Journal of the American Statistical Association 22, 1927):
    /// `(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)`.
    pub fn of(hits: u64, all: u64) -> Self {
        const Z: f64 = 1.959_963_984_540_054;
        if all == 0 {
            return Self { value: 0.0, low: 0.0, high: 1.0 };
        }
        let n = all as f64;
        let share = hits as f64 / n;
        let centre = share + Z * Z / (2.0 * n);
        let width = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        let low = ((centre - width) / scale).max(0.0);
        let high = ((centre + width) / scale).min(1.0);
        Self { value: share, low, high }
    }
}
