//! The counts as a table in Markdown.

use std::fmt::Write as _;

use super::report::{Rate, Report};

/// A line for each entity, and one for what was changed under no name.
pub fn print(report: &Report) -> String {
    let mut text = String::from(
        "| Entity | Hits | of these by another name | Misses | False positives | of these cards by form | \
         Recall | Precision | apart from cards by form |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for score in &report.entities {
        let counts = [
            score.true_positives,
            score.mislabelled,
            score.false_negatives,
            score.false_positives,
            score.collisions,
        ];
        let rates = [score.recall, score.precision, score.precision_apart].map(rate);
        let cells = [counts.map(|count| count.to_string()).as_slice(), rates.as_slice()].concat();
        line(&mut text, &format!("| {} | {} |", score.entity.name(), cells.join(" | ")));
    }
    let other = report.other;
    line(&mut text, &format!("| other | – | – | – | {other} | – | – | – | – |"));
    let changed = report.negatives.iter().map(|negative| negative.changed).sum::<u64>();
    let inserted = report.negatives.iter().map(|negative| negative.inserted).sum::<u64>();
    let (n_events, seed, unjudged) = (report.events, report.seed, report.unjudged);
    let summary = format!(
        "\n{n_events} events, seed {seed:#x}; {changed} of {inserted} negatives changed; {unjudged} values unjudged."
    );
    line(&mut text, &summary);
    text
}

/// What a person needs to inspect: some of the errors of each entity, and which negatives were changed.
pub fn print_errors(report: &Report) -> String {
    let mut text = String::new();
    for negative in report.negatives.iter().filter(|negative| negative.changed > 0) {
        let (name, changed) = (negative.name, negative.changed);
        line(&mut text, &format!("changed: {name}, {changed} of {}", negative.inserted));
    }
    for miss in &report.misses {
        line(&mut text, &format!("missed: {miss}"));
    }
    for alarm in &report.alarms {
        line(&mut text, &format!("false positive: {alarm}"));
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}

fn rate(rate: Rate) -> String {
    format!("{:.4} ({:.4} to {:.4})", rate.value, rate.low, rate.high)
}
