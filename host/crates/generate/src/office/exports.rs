//! Data carried out: many files in minutes, or many rows in an hour.

use crate::Attack;
use crate::event::{DOWNLOAD, EXPORT};
use crate::label::{Expectation, Seen, Trip};
use crate::random::Dice as _;
use crate::rules::{
    EXPORTED_ROWS, EXPORTS, EXPORTS_SPAN, HOUR, MINUTE, VOLUME_FLOOR, WINDOW_US, names,
};

use super::campaign::{Campaign, Plan, Step, user_id};

/// Exports and downloads of a mass export by number: half of each, so that neither is unusual by the
/// hour on its own.
const EXPORTS_MAX: u32 = 2 * (VOLUME_FLOOR - 2);
/// Exported rows of one event: each threshold is crossed by an event of its own.
const ROWS_MAX: u32 = 9_000;
/// Makes fewer exports than a mass export by number has.
const TOTAL_MAX: u32 = 150_000;
const SPAN: i64 = 50 * MINUTE;

pub(crate) fn plan(is_near_miss: bool, plan: &mut Plan) -> Option<Campaign> {
    let first = plan.in_office_hours(2 * HOUR);
    let user = plan.victim(first, first + 2 * HOUR, |_| true)?;
    let (steps, expectations) = match (is_near_miss, plan.draws.below(2)) {
        (false, 0) => by_number(plan, user, first),
        (false, _) => by_rows(plan, user, first),
        (true, which) => near_miss(plan, user, first, which),
    };
    let key = user_id(user);
    let expectations = expectations.into_iter().map(|expected| expected.about(&key)).collect();
    Campaign::new(Attack::MassExport, steps, expectations)
}

fn by_number(plan: &mut Plan, user: u32, first: i64) -> (Vec<Step>, Vec<Expectation>) {
    let n = plan.above(EXPORTS as u32).min(EXPORTS_MAX);
    let times = plan.times(n, first, EXPORTS_SPAN - 1);
    let trip = Trip::Within(EXPORTS, EXPORTS_SPAN);
    (
        transfers(plan, user, &times, 60),
        vec![Expectation::alert(names::MASS_EXPORT, "medium", trip)],
    )
}

fn by_rows(plan: &mut Plan, user: u32, first: i64) -> (Vec<Step>, Vec<Expectation>) {
    let [medium, high, critical] = EXPORTED_ROWS;
    let threshold = plan.draws.pick(&EXPORTED_ROWS);
    let total = plan.above(threshold as u32).min(TOTAL_MAX);
    let n = total.div_ceil(ROWS_MAX).max(3);
    let times = plan.times(n, first, SPAN);
    let mut left = total;
    let steps = (0..n).zip(times).map(|(done, at)| {
        let rows = left.div_ceil(n - done);
        left -= rows;
        export(plan, user, at, rows)
    });
    let steps = steps.collect();
    let alert =
        |rule, severity, rows| Expectation::alert(rule, severity, Trip::Rows(rows)).of(is_export);
    let expectations = vec![
        alert(names::MASS_EXPORT, "medium", medium),
        alert(names::MASS_EXPORT_ESCALATED, "high", high),
        alert(names::MASS_EXPORT_CRITICAL, "critical", critical),
    ];
    (steps, expectations)
}

fn near_miss(plan: &mut Plan, user: u32, first: i64, which: u32) -> (Vec<Step>, Vec<Expectation>) {
    let limit = EXPORTED_ROWS[0] as u32;
    let (why, steps) = match (which, plan.draws.below(2)) {
        (0, 0) => {
            let times = plan.times(EXPORTS as u32 - 1, first, EXPORTS_SPAN - 1);
            ("one export fewer than a mass export has", transfers(plan, user, &times, 60))
        }
        (0, _) => {
            let mut times = plan.times(EXPORTS as u32 - 1, first, EXPORTS_SPAN - 1);
            times.push(first + EXPORTS_SPAN);
            (
                "the last export comes five minutes after the first",
                transfers(plan, user, &times, 60),
            )
        }
        (_, 0) => {
            let parts = [limit / 2, limit / 4, limit - 1 - limit / 2 - limit / 4];
            let times = plan.times(3, first, SPAN);
            let steps = times.into_iter().zip(parts);
            let steps = steps.map(|(at, rows)| export(plan, user, at, rows)).collect();
            ("one row fewer than a mass export has", steps)
        }
        _ => {
            let times = [first, first + WINDOW_US];
            let steps = times.map(|at| export(plan, user, at, limit - 1000)).into();
            ("many rows, but an hour apart", steps)
        }
    };
    (steps, vec![Expectation::silence(names::MASS_EXPORT, "medium", why)])
}

fn is_export(seen: &Seen) -> bool {
    seen.action == EXPORT
}

/// Exports and downloads in turn, of few rows.
fn transfers(plan: &mut Plan, user: u32, times: &[i64], rows_max: u32) -> Vec<Step> {
    let actions = [EXPORT, DOWNLOAD].into_iter().cycle();
    let steps = times.iter().zip(actions).map(|(at, action)| {
        let mut step = plan.step_at_desk(user, action, *at);
        step.deed.rows = plan.draws.between(1, rows_max);
        step
    });
    steps.collect()
}

fn export(plan: &mut Plan, user: u32, at: i64, rows: u32) -> Step {
    let mut step = plan.step_at_desk(user, EXPORT, at);
    step.deed.rows = rows;
    step
}
