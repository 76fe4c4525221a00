//! Redacts a corpus and tells what became of every inserted value.

use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use redact_pii::RedactPii;

use super::corpus::{Event, Meaning};
use super::entities::Entity;

/// Every detector, free text only: what a path does is not a matter of recall.
const CONFIG: &str = r#"{"fields": {}, "details-paths": {}, "free-text": ["details", "text"]}"#;

/// What became of an inserted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    /// Nothing is left. The placeholders in its place, empty where it went with what is around it.
    Replaced(Vec<Entity>),
    /// A part is left.
    Damaged,
}

/// What became of an event.
#[derive(Debug)]
pub(super) struct Verdict {
    /// One for each inserted value.
    pub(super) fates: Vec<Fate>,
    /// The entities that negatives, or text between values, were taken for, with the name of the negative.
    pub(super) alarms: Vec<(Entity, Option<&'static str>)>,
}

/// The values as the plugin leaves them.
pub(super) fn redact(events: &[Event]) -> Vec<String> {
    let mut plugin = Transformer::<RedactPii>::new(CONFIG).expect("a good configuration");
    let texts: Vec<String> = events.iter().map(Event::text).collect();
    let column = |is_details: bool| -> Vec<Option<&str>> {
        let rows = events.iter().zip(&texts);
        rows.map(|(event, text)| (event.is_details == is_details).then_some(text.as_str()))
            .collect()
    };
    let batch = BatchBuilder::new(events.len())
        .utf8("details", &column(true))
        .utf8("text", &column(false))
        .build();
    let judgement = plugin.process(&batch).expect("a judgement");
    let details = testing::texts(&judgement, "details");
    let others = testing::texts(&judgement, "text");
    let rows = details.into_iter().zip(others);
    rows.map(|(detail, other)| detail.or(other).expect("a row has one of them").to_owned())
        .collect()
}

/// Follows the text of an event through an answer: text between values is found again, and what stands
/// between is what became of the values.
pub(super) fn judge(event: &Event, answer: &str) -> Verdict {
    let mut verdict = Verdict { fates: Vec::new(), alarms: Vec::new() };
    let Some(mut rest) = answer.strip_prefix(event.literals[0].as_str()) else {
        return all_damaged(event, answer);
    };
    for (piece, literal) in event.pieces.iter().zip(&event.literals[1..]) {
        let is_last = verdict.fates.len() + 1 == event.pieces.len();
        let kept = rest.strip_prefix(piece.text.as_str());
        if let Some(behind) = kept.and_then(|behind| behind.strip_prefix(literal.as_str())) {
            verdict.fates.push(Fate::Kept);
            rest = behind;
            continue;
        }
        let at = if is_last {
            rest.len().checked_sub(literal.len()).filter(|_| rest.ends_with(literal.as_str()))
        } else {
            rest.find(literal.as_str()).filter(|_| !literal.is_empty())
        };
        let Some(at) = at else {
            return all_damaged(event, answer);
        };
        let (instead, behind) = rest.split_at(at);
        let placeholders = placeholders(instead);
        let is_whole = !instead.is_empty() && strip_placeholders(instead).is_empty();
        if let Meaning::Negative(name) = piece.meaning {
            verdict.alarms.extend(placeholders.iter().map(|&entity| (entity, Some(name))));
        }
        verdict.fates.push(if is_whole { Fate::Replaced(placeholders) } else { Fate::Damaged });
        rest = behind.strip_prefix(literal.as_str()).unwrap_or_default();
    }
    verdict
}

/// Text between values is gone, so nothing can be told apart: every value that is still there is kept,
/// the others count as hits without a name, and every placeholder too many is an alarm.
fn all_damaged(event: &Event, answer: &str) -> Verdict {
    let fates: Vec<Fate> = event
        .pieces
        .iter()
        .map(|piece| match (answer.contains(piece.text.as_str()), piece.meaning) {
            (true, _) => Fate::Kept,
            (false, Meaning::Entity(_)) => Fate::Replaced(Vec::new()),
            (false, Meaning::Negative(_)) => Fate::Damaged,
        })
        .collect();
    let alarm = placeholders(answer).first().map(|&entity| (entity, None));
    Verdict { fates, alarms: alarm.into_iter().collect() }
}

fn placeholders(text: &str) -> Vec<Entity> {
    let mut found = Vec::new();
    for part in text.split('[').skip(1) {
        let name = part.split(']').next().unwrap_or_default();
        found.extend(Entity::ALL.into_iter().filter(|entity| entity.placeholder() == name));
    }
    found
}

/// What is left of a text without placeholders.
fn strip_placeholders(text: &str) -> String {
    let mut text = text.replace("[REDACTED]", "");
    for entity in Entity::ALL {
        text = text.replace(&format!("[{}]", entity.placeholder()), "");
    }
    text
}
