//! The scores as a table in Markdown.

use std::fmt::Write as _;

use super::scenario::Scenario;
use super::score::{Pair, Score, Scores};

/// A table of every rule that was attacked or found, detectors on the left, SQL on the right.
pub fn print(scenario: &Scenario, pair: &Pair) -> String {
    let mut text = format!("### {}\n\n", scenario.name);
    text.push_str(
        "| Rule | Attacks | Near misses fallen for | Precision | Recall | Severity right | \
         Time to detect, median / p95 | Alerts per attack | SQL: precision | recall | median / p95 | \
         per attack |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let nothing = Score::default();
    for (rule, ours) in &pair.detectors.of {
        let sql = pair.sql.of.get(rule).filter(|score| score.n_findings > 0);
        let has_sql = sql.is_some();
        let sql = sql.unwrap_or(&nothing);
        let (n, fallen) = (ours.n_near_misses, ours.n_fallen_for);
        let [precision, recall, delays, alerts] = cells(ours);
        let theirs = if has_sql { cells(sql) } else { ["–"; 4].map(str::to_owned) };
        let ours_too = [precision, recall, severity(ours), delays, alerts];
        let line = [ours_too.as_slice(), theirs.as_slice()].concat().join(" | ");
        writeln!(text, "| `{rule}` | {} | {fallen} of {n} | {line} |", ours.n_attacks)
            .expect("a string takes everything");
    }
    let early: usize = pair.detectors.of.values().map(Score::n_early).sum();
    writeln!(text, "\n{early} attacks were reported before the time of their first event.")
        .expect("a string takes everything");
    text
}

/// The share, and if the attacks of a rule have several severities, the counts of each.
fn severity(score: &Score) -> String {
    let share = score.severity_right().map_or("–".to_owned(), |share| format!("{share:.3}"));
    if score.severities.len() < 2 {
        return share;
    }
    let count = |(severity, (right, found)): (&String, &(usize, usize))| {
        format!("{severity} {right} of {found}")
    };
    let counts: Vec<_> = score.severities.iter().map(count).collect();
    format!("{share} ({})", counts.join(", "))
}

/// What a person needs to inspect: the first wrong findings and missed attacks.
pub fn print_errors(scores: &Scores, most: usize) -> String {
    let mut text = String::new();
    for wrong in scores.wrong.iter().take(most) {
        writeln!(text, "wrong: {wrong:?}").expect("a string takes everything");
    }
    for missed in scores.missed.iter().take(most) {
        let (rule, key, count) = (&missed.rule, &missed.key, missed.count);
        let (first, last) = (missed.first_event, missed.last_event);
        writeln!(text, "missed: {rule} {key} {first}..{last}, {count} events")
            .expect("a string takes everything");
    }
    text
}

fn cells(score: &Score) -> [String; 4] {
    let two = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
    let delays = [50, 95].map(|percent| score.delay(percent).map_or("–".to_owned(), duration));
    [
        two(score.precision()),
        two(score.recall()),
        delays.join(" / "),
        score.findings_per_attack().map_or("–".to_owned(), |value| format!("{value:.1}")),
    ]
}

fn duration(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
