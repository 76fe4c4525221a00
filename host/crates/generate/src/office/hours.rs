//! Data touched while the office is closed, with somebody's account.

use crate::Attack;
use crate::event::{DELETE, EXPORT, LOGIN, LOGOUT, READ};
use crate::label::{Expectation, Seen, Trip};
use crate::random::Dice as _;
use crate::rules::{HOUR, MINUTE, names};

use super::calendar::{closed_around, local_day, next_workday, opening};
use super::campaign::{ALONE, Campaign, Plan, user_id};

const SPAN_MAX: i64 = 40 * MINUTE;

pub(crate) fn plan(is_near_miss: bool, plan: &mut Plan) -> Option<Campaign> {
    if is_near_miss { near_miss(plan) } else { attack(plan) }
}

fn attack(plan: &mut Plan) -> Option<Campaign> {
    let earliest = plan.soon();
    // The next time that the office is closed: a night, a weekend or a holiday.
    let closing_after = |at| closed_around(opening(next_workday(local_day(at))).1);
    let (starts, ends) = closed_around(earliest)
        .filter(|(_, ends)| ends - earliest > 2 * SPAN_MAX)
        .or_else(|| closing_after(earliest).filter(|(_, ends)| ends - earliest > 2 * SPAN_MAX))
        .or_else(|| closing_after(earliest + 2 * SPAN_MAX))?;
    let n = plan.above(2).min(8);
    let span = plan.draws.micros(SPAN_MAX);
    let from = starts.max(earliest);
    let first = match plan.draws.below(4) {
        // As early and as late as it can be.
        0 => from,
        1 => ends - 1 - span,
        _ => from + plan.draws.micros(ends - 1 - span - from),
    };
    let user = plan.victim(first, ends, |_| true)?;
    let times = plan.times(n, first, span);
    let mut steps: Vec<_> = times.into_iter().map(|at| plan.step_at_desk(user, READ, at)).collect();
    let mut expectations =
        vec![Expectation::alert(names::OFF_HOURS, "medium", Trip::Events(1)).from(starts)];
    if plan.draws.below(3) == 0 {
        // What begins with a look ends with a loss.
        let last = steps.len() - 1;
        steps[last].deed.action = plan.draws.pick(&[EXPORT, DELETE]);
        steps[last].deed.rows = 500;
        let escalated = Expectation::alert(names::OFF_HOURS_ESCALATED, "high", Trip::Events(1));
        expectations.push(escalated.of(is_loss).from(starts));
    }
    let key = user_id(user);
    let expectations = expectations.into_iter().map(|expected| expected.about(&key)).collect();
    Campaign::new(Attack::OffHours, steps, expectations).map(Campaign::keeping_order)
}

fn is_loss(seen: &Seen) -> bool {
    seen.action == EXPORT || seen.action == DELETE
}

fn near_miss(plan: &mut Plan) -> Option<Campaign> {
    let soon = plan.soon();
    let (opens, closes) = opening(next_workday(local_day(soon) + 1));
    let (why, user, steps) = match plan.draws.below(3) {
        0 => {
            let user = plan.victim(opens, opens, |_| true)?;
            let step = plan.step_at_desk(user, READ, opens);
            ("the very moment at which the office opens", user, vec![step])
        }
        1 => {
            let user = plan.victim(closes - 1, closes - 1, |_| true)?;
            let mut step = plan.step_at_desk(user, EXPORT, closes - 1);
            step.deed.rows = 300;
            ("the last microsecond before the office closes", user, vec![step])
        }
        _ => {
            let first = closes + 3 * HOUR + plan.draws.micros(2 * HOUR);
            let user = plan.victim(first, first + ALONE, |_| true)?;
            let login = plan.step_at_desk(user, LOGIN, first);
            let logout = plan.step_at_desk(user, LOGOUT, first + 20 * MINUTE);
            ("at night, but no data", user, vec![login, logout])
        }
    };
    let silence = Expectation::silence(names::OFF_HOURS, "medium", why).about(&user_id(user));
    Campaign::new(Attack::OffHours, steps, vec![silence])
}
