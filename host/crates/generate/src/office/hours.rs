//! Data accessed with a user's account while the office is closed.

use crate::choices::Attack;
use crate::event::{DELETE, EXPORT, LOGIN, LOGOUT, READ};
use crate::label::{Expectation, Seen, Trip};
use crate::random::Dice as _;
use crate::rules::{HOUR, MINUTE, names};

use super::calendar::{closed_around, local_day, next_workday, opening};
use super::campaign::{ALONE, Campaign, Plan, Step, user_id};

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
    // What begins with a look may end with a loss.
    let is_loss_at_end = plan.draws.below(3) == 0;
    let n = plan.above(1).min(8).max(1 + u32::from(is_loss_at_end));
    let span = if n == 1 { 0 } else { plan.draws.micros(SPAN_MAX) };
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
    if is_loss_at_end {
        let last = steps.len() - 1;
        steps[last] = loss(plan, steps[last]);
        let escalated = Expectation::alert(names::OFF_HOURS_ESCALATED, "high", Trip::Events(1));
        expectations.push(escalated.of(is_loss).from(starts));
    }
    let key = user_id(user);
    let expectations = expectations.into_iter().map(|expected| expected.about(&key)).collect();
    Campaign::new(Attack::OffHours, steps, expectations).map(Campaign::keeping_order)
}

/// The same step, but an urgent one.
fn loss(plan: &mut Plan, mut step: Step) -> Step {
    step.deed.action = plan.draws.pick(&[EXPORT, DELETE]);
    step.deed.rows = 500;
    step
}

fn is_loss(seen: &Seen) -> bool {
    seen.action == EXPORT || seen.action == DELETE
}

fn near_miss(plan: &mut Plan) -> Option<Campaign> {
    let soon = plan.soon();
    let (opens, closes) = opening(next_workday(local_day(soon) + 1));
    let (why, user, steps) = match plan.draws.below(5) {
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
        which @ (2 | 3) => return near_escalation(plan, opens, which == 2),
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

/// Data touched before the office opens, which is reported once: the worst comes when it is open, or it
/// comes first.
fn near_escalation(plan: &mut Plan, opens: i64, is_open_by_then: bool) -> Option<Campaign> {
    let (starts, _) = closed_around(opens - 1)?;
    let first = opens - 1 - plan.draws.micros(SPAN_MAX);
    let user = plan.victim(first, opens, |_| true)?;
    let look = plan.step_at_desk(user, READ, if is_open_by_then { first } else { opens - 1 });
    let worst = plan.step_at_desk(user, EXPORT, if is_open_by_then { opens } else { first - 1 });
    let steps = vec![look, loss(plan, worst)];
    let (why, severity) = if is_open_by_then {
        ("a look at night, and a loss at the very moment at which the office opens", "medium")
    } else {
        ("the loss comes first, so that it is urgent at once", "high")
    };
    let alert = Expectation::alert(names::OFF_HOURS, severity, Trip::Events(1)).from(starts);
    let silence = Expectation::silence(names::OFF_HOURS_ESCALATED, "high", why).from(starts);
    let alert = if is_open_by_then { alert.of(is_look) } else { alert };
    let expectations = vec![alert, silence.of(is_loss)];
    let key = user_id(user);
    let expectations = expectations.into_iter().map(|expected| expected.about(&key)).collect();
    Campaign::new(Attack::OffHours, steps, expectations).map(Campaign::keeping_order)
}

fn is_look(seen: &Seen) -> bool {
    !is_loss(seen)
}
