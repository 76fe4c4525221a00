//! How fast an office is generated: `cargo run --release -p audit-generate --example speed -- 1000000`.

#![expect(clippy::print_stdout, reason = "it prints")]

use std::time::Instant;

use audit_generate::{Attack, Disorder, Generator, Settings};

const START: &str = "2025-01-16T08:00:00Z";

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    for disorder in [Vec::new(), Disorder::ALL.to_vec()] {
        let how = if disorder.is_empty() { "in order" } else { "in disorder" };
        let start = START.parse().expect("a time");
        let attacks = Attack::ALL.to_vec();
        let settings = Settings { attacks, disorder, ..Settings::office(count, start) };
        let begun = Instant::now();
        let mut generator = Generator::new(settings);
        let (mut event, mut n_bytes) = (Vec::new(), 0);
        while generator.next_event(&mut event).is_some() {
            n_bytes += event.len();
            event.clear();
        }
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        let (mean, n_labels) = (n_bytes as u64 / count.max(1), generator.labels().len());
        println!("{how}: {rate:.0} events/s of {mean} B, {n_labels} labels");
    }
}
