//! The work on values that were made to cost as much as they can: counted, as a clock would say something else each time.

use audit_plugin_sdk::Config;

use crate::config::Settings;
use crate::costly::{Case, FOUND, Layer, Recipe, UNITS};
use crate::output::Output;
use crate::soup::Random;
use crate::text::{self, Searcher};
use crate::{details, search};

/// What may be counted at once, for each byte, before the budget is looked at: most of it is sorting many matches.
const OVERSHOOT: usize = 64;

fn settings(case: &Case) -> Settings {
    Settings::from_config(&Config::new(case.config())).expect("a good configuration")
}

/// The work on a value, and whether it exhausts the budget.
fn work(settings: &Settings, case: &Case, value: &str) -> (usize, bool) {
    let mut searcher = Searcher::new(settings);
    let mut out = Output::new(&settings.keys, None);
    out.start_row(0);
    let value = value.as_bytes();
    let written = searcher.within_budget(value, |searcher| match case {
        Case::Details => details::rewrite(searcher, value, &mut out),
        Case::All | Case::One(_) => text::rewrite(searcher, value, &mut out),
        Case::Sql => {
            searcher.without_literals(value, text::Style::Plain, &mut out);
            true
        }
    });
    (searcher.work().used(), written.is_none())
}

/// The work for each byte of a value of a recipe, and whether it exhausts the budget.
fn work_per_byte(settings: &Settings, case: &Case, recipe: &Recipe, length: usize) -> (f64, bool) {
    let value = recipe.value(length);
    let (used, is_exhausted) = work(settings, case, &value);
    (used as f64 / value.len() as f64, is_exhausted)
}

/// However long a value is, each byte costs the same, so that the budget ends no search but where text is encoded several
/// times over.
#[test]
fn the_work_on_the_worst_values_is_linear() {
    const LENGTH: usize = 1 << 14;
    for found in FOUND {
        let settings = settings(&found.case);
        let [short, long] = [LENGTH, 8 * LENGTH]
            .map(|length| work_per_byte(&settings, &found.case, &found.recipe(), length));
        assert_eq!(short.1, found.is_exhausting, "{found:?}: {short:?}");
        assert_eq!(long.1, found.is_exhausting, "{found:?}: {long:?}");
        assert!(long.0 <= 1.2 * short.0, "{found:?}: {short:?} and {long:?} bytes a byte");
    }
}

/// Each sign has the same long value: up to 512 bytes of it are judged.
const EXHAUSTING: &[&str] = &["key="];

#[test]
fn the_work_on_hostile_units_is_linear() {
    const LENGTH: usize = 1 << 13;
    for (case, layers) in
        [(Case::All, &[][..]), (Case::Details, &[]), (Case::Details, &[Layer::Json])]
    {
        let settings = settings(&case);
        for unit in UNITS {
            let recipe = Recipe::new(unit, layers);
            let [short, long] =
                [LENGTH, 8 * LENGTH].map(|length| work_per_byte(&settings, &case, &recipe, length));
            let is_exhausting = EXHAUSTING.contains(unit);
            assert_eq!(
                [short.1, long.1],
                [is_exhausting; 2],
                "{case:?}, {unit:?}: {short:?} and {long:?} bytes a byte"
            );
            assert!(
                long.0 <= 1.2 * short.0,
                "{case:?}, {unit:?}: {short:?} and {long:?} bytes a byte"
            );
        }
    }
}

/// A document is copied once for what changes in it, not once for each string.
#[test]
fn the_text_between_strings_is_copied_once() {
    const LENGTH: usize = 1 << 16;
    let settings = settings(&Case::Details);
    for unit in ["\"\",", "\"a\",", "12,", "{\"a\":\"b\"},", "\"bob@x.com\",", "\"\\n\","] {
        let value = Recipe::new(unit, &[Layer::Array]).value(LENGTH);
        let mut searcher = Searcher::new(&settings);
        let mut out = Output::new(&settings.keys, None);
        searcher.within_budget(value.as_bytes(), |searcher| {
            details::rewrite(searcher, value.as_bytes(), &mut out)
        });
        assert!(out.n_written <= 4 * value.len(), "{unit:?}: {} bytes", out.n_written);
    }
}

/// No loop goes on when the budget is exhausted.
#[test]
fn no_value_is_worked_on_past_its_budget() {
    const LENGTH: usize = 1 << 12;
    let mut random = Random(8);
    for case in Case::ALL {
        let settings = settings(&case);
        let beyond = |recipe: &Recipe| {
            let value = recipe.value(LENGTH);
            let mut searcher = Searcher::new(&settings);
            searcher.within_budget(value.as_bytes(), |_| ());
            let total = searcher.work().total();
            let (used, _) = work(&settings, &case, &value);
            used.saturating_sub(total) as f64 / value.len() as f64
        };
        let worst = search::worst(&mut random, &[], 600, beyond);
        let (recipe, beyond) = worst.expect("something was tried");
        assert!(beyond <= OVERSHOOT as f64, "{case:?}: {beyond} bytes a byte by {recipe:?}");
    }
}

/// What programs write, as long as a log or a document gets: nobody made it to be searched for long.
const HONEST_UNITS: &[&str] = &[
    "{\"id\": 4711, \"name\": \"Quarterly report\", \"owner\": \"finance\", \"size\": 18231, \"tags\": [\"a\", \"b\"]}, ",
    "SELECT c.id, c.name FROM customer_data.accounts c WHERE c.created_at > '2025-01-16' AND c.region = 'eu-west-1'; ",
    "2025-01-16T08:00:00Z INFO  http: 10.0.0.12 GET /api/v2/items?page=3&size=50 200 12ms bob@example.org\n",
    "at com.example.audit.Sink.write(Sink.java:214)\n",
    "https://portal.example.org/cases/2025/01/16/4711?tab=history&sort=desc ",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36; ",
    "+49 30 901820, 4111 1111 1111 1111, DE89 3704 0044 0532 0130 00, alice@company.com; ",
];

/// Bytes a byte, of the 96 that there are.
const HONEST_WORK: f64 = 80.0;

const HONEST_LAYERS: &[&[Layer]] = &[
    &[],
    &[Layer::Json],
    &[Layer::Escaped, Layer::Json],
    &[Layer::Percent],
    &[Layer::Percent, Layer::Json],
    &[Layer::Base64],
    &[Layer::Mime],
    &[Layer::Base64, Layer::Json],
    &[Layer::Json, Layer::Base64],
    &[Layer::Json, Layer::Base64, Layer::Percent],
];

#[test]
fn nothing_honest_is_redacted_for_its_work() {
    for case in [Case::All, Case::Details] {
        let settings = settings(&case);
        for unit in HONEST_UNITS {
            for layers in HONEST_LAYERS {
                for length in [1 << 10, 1 << 13, 1 << 17] {
                    let recipe = Recipe::new(unit, layers);
                    let (per_byte, is_exhausted) = work_per_byte(&settings, &case, &recipe, length);
                    assert!(
                        !is_exhausted && per_byte <= HONEST_WORK,
                        "{case:?}, {unit:?} in {layers:?}: {per_byte} bytes a byte of {length}"
                    );
                }
            }
        }
    }
}
