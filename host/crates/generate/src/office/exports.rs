//! Data carried out: many files in minutes, or many rows in an hour.

use crate::choices::{Attack, Intensity};
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
/// Rows of an export that comes after the others, by itself no mass export.
const LAST_ROWS: u32 = 1_000;

pub(crate) fn plan(is_near_miss: bool, plan: &mut Plan) -> Option<Campaign> {
    let first = plan.in_office_hours(2 * HOUR);
    let user = plan.victim(first, first + 2 * HOUR, |_| true)?;
    let (steps, expectations) = match (is_near_miss, plan.draws.below(4)) {
        (true, 0 | 1) => near_escalation(plan, user, first),
        (true, which) => near_miss(plan, user, first, which),
        (false, 0 | 1) => by_number(plan, user, first),
        (false, _) => by_rows(plan, user, first),
    };
    let key = user_id(user);
    let expectations = expectations.into_iter().map(|expected| expected.about(&key)).collect();
    let campaign = Campaign::new(Attack::MassExport, steps, expectations)?;
    // A window does not move back for an export that comes late, and here every one is needed.
    let is_exact = plan.intensity == Intensity::Low;
    Some(if is_exact { campaign.keeping_order() } else { campaign })
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
    let threshold = plan.draws.pick(&EXPORTED_ROWS);
    let total = plan.above(threshold as u32).min(TOTAL_MAX);
    let span = plan.span(SPAN, WINDOW_US);
    (in_parts(plan, user, first, span, total), alerts_of_rows())
}

/// What so many rows call for, one after the other.
fn alerts_of_rows() -> Vec<Expectation> {
    let [medium, high, critical] = EXPORTED_ROWS;
    let alert =
        |rule, severity, rows| Expectation::alert(rule, severity, Trip::Rows(rows)).of(is_export);
    vec![
        alert(names::MASS_EXPORT, "medium", medium),
        alert(names::MASS_EXPORT_ESCALATED, "high", high),
        alert(names::MASS_EXPORT_CRITICAL, "critical", critical),
    ]
}

/// So many rows in exports of a few thousand.
fn in_parts(plan: &mut Plan, user: u32, first: i64, span: i64, total: u32) -> Vec<Step> {
    let n = total.div_ceil(ROWS_MAX).max(3);
    let times = plan.times(n, first, span);
    let mut left = total;
    let steps = (0..n).zip(times).map(|(done, at)| {
        let rows = left.div_ceil(n - done);
        left -= rows;
        export(plan, user, at, rows)
    });
    steps.collect()
}

fn near_miss(plan: &mut Plan, user: u32, first: i64, which: u32) -> (Vec<Step>, Vec<Expectation>) {
    let limit = EXPORTED_ROWS[0] as u32;
    let (why, steps) = match (which, plan.draws.below(2)) {
        (2, 0) => {
            let times = plan.times(EXPORTS as u32 - 1, first, EXPORTS_SPAN - 1);
            ("one export fewer than a mass export has", transfers(plan, user, &times, 60))
        }
        (2, _) => {
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

/// A mass export by rows, but short of being worse.
fn near_escalation(plan: &mut Plan, user: u32, first: i64) -> (Vec<Step>, Vec<Expectation>) {
    let (which, ends_in_time) = (plan.draws.below(2), plan.draws.below(2) == 0);
    let limit = EXPORTED_ROWS[1 + which as usize] as u32;
    let why = match (which, ends_in_time) {
        (0, true) => "one row fewer than 50,000",
        (0, false) => "50,000 rows, but the last come an hour after the first",
        (_, true) => "one row fewer than 100,000",
        _ => "100,000 rows, but the last come an hour after the first",
    };
    let steps = if ends_in_time {
        in_parts(plan, user, first, WINDOW_US - 1, limit - 1)
    } else {
        let mut steps = in_parts(plan, user, first, SPAN, limit - LAST_ROWS);
        steps.push(export(plan, user, first + WINDOW_US, LAST_ROWS));
        steps
    };
    let mut expectations = alerts_of_rows();
    let (rule, severity) = match which {
        0 => (names::MASS_EXPORT_ESCALATED, "high"),
        _ => (names::MASS_EXPORT_CRITICAL, "critical"),
    };
    expectations.truncate(1 + which as usize);
    expectations.push(Expectation::silence(rule, severity, why).of(is_export));
    (steps, expectations)
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
