//! The scores by number of partitions as a table in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::score::Score;
use super::{ByPartitions, Through};

impl ByPartitions {
    /// A line for each rule; for each number of partitions precision, recall, and whether the ids are those of
    /// the fewest partitions.
    pub fn print(&self) -> String {
        let Some((fewest, first)) = self.of.first_key_value() else { return String::new() };
        let mut text = String::from("| Rule | Attacks | Alerts |");
        for n_partitions in self.of.keys() {
            let plural = if *n_partitions == 1 { "" } else { "s" };
            write!(text, " {n_partitions} partition{plural}: precision | recall |")
                .expect("a string takes everything");
            if n_partitions != fewest {
                text.push_str(" same ids |");
            }
        }
        let n_columns = text.matches('|').count() - 1;
        writeln!(text, "\n|{}", " --- |".repeat(n_columns)).expect("a string takes everything");
        for rule in self.rules() {
            let n_attacks = first.scores.of.get(rule).map_or(0, |score| score.n_attacks);
            let n_alerts = first.ids.get(rule).map_or(0, BTreeMap::len);
            write!(text, "| `{rule}` | {n_attacks} | {n_alerts} |")
                .expect("a string takes everything");
            for (n_partitions, through) in &self.of {
                text.push_str(&through.cells(rule));
                if n_partitions != fewest {
                    let is_same = through.ids.get(rule) == first.ids.get(rule);
                    text.push_str(if is_same { " yes |" } else { " no |" });
                }
            }
            text.push('\n');
        }
        self.print_notes(&mut text);
        text
    }

    fn print_notes(&self, text: &mut String) {
        let (n_events, n_ties) = (self.n_events, self.n_ties);
        writeln!(
            text,
            "\n{n_events} events in each number of partitions. {n_ties} of them would have the millisecond of the \
             one before; `--kafka-time distinct` sets them apart."
        )
        .expect("a string takes everything");
        for (n_partitions, through) in &self.of {
            let all = through.scores.of.values();
            let [found, attacks, right, findings] = all.fold([0; 4], |sum, score| {
                let add = [score.n_found, score.n_attacks, score.n_right, score.n_findings];
                [sum[0] + add[0], sum[1] + add[1], sum[2] + add[2], sum[3] + add[3]]
            });
            let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
            let (recall, precision) = (share(found, attacks), share(right, findings));
            writeln!(
                text,
                "In {n_partitions}: recall {recall:.3}, precision {precision:.3} over all rules."
            )
            .expect("a string takes everything");
        }
    }
}

impl Through {
    fn cells(&self, rule: &str) -> String {
        let score = self.scores.of.get(rule);
        let cell =
            |share: Option<f64>| share.map_or(" – |".into(), |share| format!(" {share:.3} |"));
        let both = [score.and_then(Score::precision), score.and_then(Score::recall)];
        both.map(cell).concat()
    }
}
