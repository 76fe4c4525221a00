//! Prints the report on the corpus that detectors may be tuned with, or with `score` on the other.
#![expect(clippy::print_stdout, reason = "it prints")]

use audit_evaluate::pii;

fn main() {
    let report = match std::env::args().nth(1).as_deref() {
        Some("score") => pii::score(pii::SCORING_SEED),
        _ => pii::tune(1),
    };
    for score in &report.entities {
        println!(
            "{:?}: tp {} fp {} fn {} mislabelled {} precision {:.4} ({:.4} to {:.4}, apart {:.4}) recall {:.4} ({:.4} to {:.4})",
            score.entity,
            score.true_positives,
            score.false_positives,
            score.false_negatives,
            score.mislabelled,
            score.precision.value,
            score.precision.low,
            score.precision.high,
            score.precision_apart.value,
            score.recall.value,
            score.recall.low,
            score.recall.high
        );
    }
    for negative in report.negatives.iter().filter(|negative| negative.changed > 0) {
        println!("{}: {} of {} changed", negative.name, negative.changed, negative.inserted);
    }
    println!("misses:\n{}\nalarms:\n{}", report.misses.join("\n"), report.alarms.join("\n"));
}
