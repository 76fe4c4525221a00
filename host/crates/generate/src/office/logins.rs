//! Attacks on logins, each from an address that nobody else has: bursts against one user or a few,
//! sprays against many, and either of them with success.

use crate::choices::{Attack, Intensity};
use crate::label::{Expectation, Seen, Trip};
use crate::random::Dice as _;
use crate::rules::{
    AFTER_ATTACK, FAILURES_ALLOWED, HOUR, MINUTE, SECOND, SPRAY_SPAN, SPRAY_USERS, URGENT_FAILURES,
    URGENT_SPAN, WINDOW_US, names,
};

use super::campaign::{Campaign, Plan, Step};
use super::deed::Deed;

/// Below the window, with room for a forged time, so that a burst never needs two alerts.
const BURST_SPAN_MAX: i64 = 50 * MINUTE;
const BURST_SPAN_MIN: i64 = 30 * SECOND;
/// Users of a burst: too few for a spray.
const BURST_USERS_MAX: u32 = SPRAY_USERS as u32 - 1;
const SLOW_SPAN: i64 = 12 * MINUTE;

pub(crate) fn plan(attack: Attack, is_near_miss: bool, plan: &mut Plan) -> Option<Campaign> {
    let address = plan.people.attacker()?;
    let first = plan.soon();
    let key = plan.people.address(address).to_owned();
    let (steps, mut expectations) = match (attack, is_near_miss) {
        (Attack::FailedLogins, false) => (guessing(plan, address, first)?, alerts()),
        (Attack::FailedLogins, true) => near_burst(plan, address, first)?,
        (Attack::PasswordSpray, false) => {
            (spray(plan, address, first, first + SPRAY_SPAN)?, alerts())
        }
        (Attack::PasswordSpray, true) => near_spray(plan, address, first)?,
        (_, false) => (with_success(plan, address, first)?, all_alerts()),
        (_, true) => near_success(plan, address, first)?,
    };
    for expectation in &mut expectations {
        expectation.key.clone_from(&key);
    }
    // A window does not move back for a failure that comes late, and at the threshold every one is needed.
    let is_exact = plan.intensity == Intensity::Low;
    let keeps_order = attack != Attack::FailedLogins || is_exact;
    let campaign = Campaign::new(attack, steps, expectations)?;
    Some(if keeps_order { campaign.keeping_order() } else { campaign })
}

fn is_failure(seen: &Seen) -> bool {
    seen.failed
}

fn is_success(seen: &Seen) -> bool {
    !seen.failed
}

/// Whatever a burst or a spray calls for: a spray of many failures is a burst as well.
fn alerts() -> Vec<Expectation> {
    let burst = Trip::Within(FAILURES_ALLOWED + 1, WINDOW_US);
    let urgent = Trip::Within(URGENT_FAILURES, URGENT_SPAN);
    vec![
        Expectation::alert(names::FAILED_LOGINS, "medium", burst).of(is_failure),
        Expectation::alert(names::FAILED_LOGINS_ESCALATED, "high", urgent).of(is_failure),
        spray_alert(),
    ]
}

fn spray_alert() -> Expectation {
    Expectation::alert(names::PASSWORD_SPRAY, "medium", Trip::Users(SPRAY_USERS, SPRAY_SPAN))
}

fn all_alerts() -> Vec<Expectation> {
    let mut all = alerts();
    let success = Expectation::alert(names::LOGIN_AFTER_ATTACK, "high", Trip::Events(1));
    all.push(success.of(is_success));
    all
}

fn failures(
    plan: &mut Plan,
    address: u32,
    targets: &[u32],
    times: impl Iterator<Item = i64>,
) -> Vec<Step> {
    times
        .map(|at| {
            let target = plan.draws.pick(targets);
            let mut step = plan.step(target, address, at);
            step.deed.failed = true;
            step
        })
        .collect()
}

/// A burst. At the threshold, every other one is at that of the escalation.
fn guessing(plan: &mut Plan, address: u32, first: i64) -> Option<Vec<Step>> {
    if plan.intensity == Intensity::Low && plan.draws.below(2) == 0 {
        return urgent(plan, address, first, URGENT_FAILURES as u32, URGENT_SPAN - 1);
    }
    burst(plan, address, first, first + WINDOW_US)
}

/// So many failures within so long, and none whose time is forged.
fn urgent(plan: &mut Plan, address: u32, first: i64, n: u32, span: i64) -> Option<Vec<Step>> {
    let targets = plan.accounts.take(2, first, first + span)?;
    let times = plan.times(n, first, span);
    Some(failures(plan, address, &targets, times.into_iter()))
}

/// Each target once.
fn one_each(plan: &mut Plan, address: u32, targets: &[u32], times: &[i64]) -> Vec<Step> {
    let each = targets.iter().zip(times);
    each.flat_map(|(target, at)| failures(plan, address, &[*target], std::iter::once(*at)))
        .collect()
}

/// A burst against accounts that are nobody else's until a time.
fn burst(plan: &mut Plan, address: u32, first: i64, until: i64) -> Option<Vec<Step>> {
    let n_targets = plan.draws.between(1, BURST_USERS_MAX);
    let targets = plan.accounts.take(n_targets, first, until)?;
    let n = plan.above(FAILURES_ALLOWED as u32 + 1);
    let span = BURST_SPAN_MIN << plan.draws.below(7);
    let span = (span + plan.draws.micros(span)).min(BURST_SPAN_MAX);
    // A forged time would open a second window behind one that is full.
    let span = if plan.may_forge { span } else { plan.span(span, WINDOW_US) };
    let times = plan.times(n, first, span);
    let mut steps = failures(plan, address, &targets, times.into_iter());
    if plan.may_forge {
        // A detector that believes it moves its window past all the others.
        let middle = steps[2];
        let mut forged = plan.step(middle.deed.user, address, middle.deed.at);
        forged.deed.failed = true;
        forged.is_forged = true;
        steps.push(forged);
    }
    Some(steps)
}

fn near_burst(plan: &mut Plan, address: u32, first: i64) -> Option<(Vec<Step>, Vec<Expectation>)> {
    let allowed = FAILURES_ALLOWED as u32;
    let (why, times) = match plan.draws.below(5) {
        0 => {
            let span = plan.draws.micros(WINDOW_US - 1);
            ("as many failures as the rule allows", plan.times(allowed, first, span))
        }
        1 => {
            // Half of them miss by nothing: exactly an hour is outside of a half-open window.
            let slack = plan.draws.pick(&[0, 10 * MINUTE]);
            let span = WINDOW_US + plan.draws.micros(slack);
            let mut times = plan.times(allowed, first, WINDOW_US - 1);
            times.push(first + span);
            ("the sixth failure comes an hour after the first or later", times)
        }
        2 | 3 => return near_urgent(plan, address, first),
        _ => {
            let n = i64::from(plan.draws.between(8, 24));
            let times = (0..n).map(|n| first + n * SLOW_SPAN).collect();
            ("low and slow: one failure every twelve minutes for hours", times)
        }
    };
    let until = times.last().copied().unwrap_or(first);
    let targets = plan.accounts.take(2, first, until)?;
    let steps = failures(plan, address, &targets, times.into_iter());
    Some((steps, vec![Expectation::silence(names::FAILED_LOGINS, "medium", why)]))
}

/// A burst, but short of being urgent.
fn near_urgent(plan: &mut Plan, address: u32, first: i64) -> Option<(Vec<Step>, Vec<Expectation>)> {
    let n = URGENT_FAILURES as u32 - 1;
    let mut steps = urgent(plan, address, first, n, URGENT_SPAN - 1)?;
    let why = if plan.draws.below(2) == 0 {
        "nine failures in ten minutes: a burst, but not urgent"
    } else {
        let mut last = *steps.last()?;
        last.deed = Deed { at: first + URGENT_SPAN, nonce: plan.draws.next_u64(), ..last.deed };
        steps.push(last);
        "a burst whose tenth failure comes ten minutes after the first"
    };
    let burst = Trip::Within(FAILURES_ALLOWED + 1, WINDOW_US);
    let alert = Expectation::alert(names::FAILED_LOGINS, "medium", burst).of(is_failure);
    let silence = Expectation::silence(names::FAILED_LOGINS_ESCALATED, "high", why);
    Some((steps, vec![alert, silence.of(is_failure)]))
}

/// A spray against accounts that are nobody else's until a time.
fn spray(plan: &mut Plan, address: u32, first: i64, until: i64) -> Option<Vec<Step>> {
    let n_users = plan.above(SPRAY_USERS as u32);
    let span = 4 * MINUTE + plan.draws.micros(SPRAY_SPAN - 4 * MINUTE - 1);
    let span = plan.span(span, SPRAY_SPAN);
    // Two rounds of as few users as there can be are a burst far above its threshold.
    let n_rounds = plan.draws.between(1, if plan.intensity == Intensity::Low { 1 } else { 2 });
    let targets = plan.accounts.take(n_users, first, until)?;
    let mut steps = Vec::new();
    for round in 0..i64::from(n_rounds) {
        let part = span / i64::from(n_rounds);
        let times = plan.times(n_users, first + round * part, part);
        steps.extend(one_each(plan, address, &targets, &times));
    }
    Some(steps)
}

fn near_spray(plan: &mut Plan, address: u32, first: i64) -> Option<(Vec<Step>, Vec<Expectation>)> {
    let n_users = SPRAY_USERS as u32;
    let targets = plan.accounts.take(2 * n_users, first, first + HOUR)?;
    let (few, others) = targets.split_at(SPRAY_USERS);
    let (why, steps) = match plan.draws.below(3) {
        0 => {
            let times = plan.times(n_users, first, SPRAY_SPAN - 1);
            let mut steps = one_each(plan, address, &few[1..], &times);
            steps.extend(failures(plan, address, &few[1..2], times.into_iter().skip(4)));
            ("one user fewer than a spray has", steps)
        }
        1 => {
            let mut times = plan.times(n_users - 1, first, SPRAY_SPAN - 1);
            times.push(first + SPRAY_SPAN);
            (
                "the fifth user fails 20 minutes after the first",
                one_each(plan, address, few, &times),
            )
        }
        _ => {
            // Behind the address of a hotel at the start of a conference: those who succeed first.
            let times = plan.times(n_users, first, 5 * MINUTE);
            let mut steps = one_each(plan, address, others, &times);
            for step in &mut steps {
                step.deed.failed = false;
            }
            let times = plan.times(n_users, first + 6 * MINUTE, 10 * MINUTE);
            steps.extend(one_each(plan, address, few, &times));
            ("as many users succeed as fail", steps)
        }
    };
    let silence = Expectation::silence(names::PASSWORD_SPRAY, "medium", why);
    let no_burst = Expectation::silence(names::FAILED_LOGINS, "medium", why);
    Some((steps, vec![silence, no_burst.of(is_failure)]))
}

/// A burst or a spray, then a success of one of the users.
fn with_success(plan: &mut Plan, address: u32, first: i64) -> Option<Vec<Step>> {
    let may_forge = std::mem::replace(&mut plan.may_forge, false);
    let until = first + WINDOW_US + AFTER_ATTACK;
    let steps = match plan.draws.below(2) {
        0 => burst(plan, address, first, until),
        _ => spray(plan, address, first, until),
    };
    plan.may_forge = may_forge;
    let mut steps = steps?;
    let last = steps.iter().map(|step| step.deed.at).max()?;
    let soon = MINUTE + plan.draws.micros(AFTER_ATTACK - HOUR);
    let at = last + plan.span(soon, AFTER_ATTACK);
    let target = steps[0].deed.user;
    steps.push(plan.step(target, address, at));
    Some(steps)
}

fn near_success(
    plan: &mut Plan,
    address: u32,
    first: i64,
) -> Option<(Vec<Step>, Vec<Expectation>)> {
    let silence = |why| Expectation::silence(names::LOGIN_AFTER_ATTACK, "high", why);
    if plan.draws.below(2) == 0 {
        let targets = plan.accounts.take(1, first, first + HOUR)?;
        let times = plan.times(FAILURES_ALLOWED as u32, first, 20 * MINUTE);
        let last = first + 20 * MINUTE;
        let mut steps = failures(plan, address, &targets, times.into_iter());
        steps.push(plan.step(targets[0], address, last + MINUTE));
        let why = "a user who forgot the password: as many failures as allowed, then a success";
        let no_burst = Expectation::silence(names::FAILED_LOGINS, "medium", why).of(is_failure);
        return Some((steps, vec![no_burst, silence(why).of(is_success)]));
    }
    let may_forge = std::mem::replace(&mut plan.may_forge, false);
    let steps = burst(plan, address, first, first + WINDOW_US);
    plan.may_forge = may_forge;
    let mut steps = steps?;
    let last = steps.iter().map(|step| step.deed.at).max()?;
    // Half of them by nothing.
    let slack = plan.draws.pick(&[0, HOUR]);
    let at = last + AFTER_ATTACK + 1 + plan.draws.micros(slack);
    // Nobody else goes for this account: the success comes hours after the burst.
    let target = plan.accounts.take(1, at, at)?[0];
    steps.push(plan.step(target, address, at));
    let mut expectations = alerts();
    let why = "the success comes more than three hours after the attack";
    expectations.push(silence(why).of(is_success));
    Some((steps, expectations))
}
