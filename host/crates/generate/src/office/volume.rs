//! An hour of more events of one kind than the user's own weeks explain.

use crate::choices::Attack;
use crate::event::{Action, QUERY, READ};
use crate::label::{Expectation, Trip};
use crate::random::Dice as _;
use crate::rules::{DAY, HOUR, MINUTE, VOLUME_FLOOR, names};

use super::calendar::{local_day, next_workday, opening};
use super::campaign::{Campaign, Plan, full_hour, user_id};
use super::ledger::{Busy, Usual};
use super::people::Kind;

/// More would not be harder to find.
const UNUSUAL_MAX: u32 = 400;

pub(crate) fn plan(is_near_miss: bool, plan: &mut Plan) -> Option<Campaign> {
    let soon = plan.soon();
    let (busy, usual) = match plan.draws.below(3) {
        0 => anybody(plan)?,
        _ => somebody_busy(plan, soon).or_else(|| anybody(plan))?,
    };
    let Busy { user, action, at: hour } = busy;
    let n = if is_near_miss {
        usual.limit
    } else {
        plan.above(usual.limit + 1).min(UNUSUAL_MAX.max(usual.limit + 1))
    };
    plan.ledger.plan(busy, usual, n);
    let times = plan.times(n, hour + MINUTE, HOUR - 2 * MINUTE);
    let steps = times.into_iter().map(|at| plan.step_at_desk(user, action, at)).collect();
    let key = key(user, action);
    let expectation = if is_near_miss {
        let why = match usual {
            Usual { is_known: false, .. } => "as many as are believed of somebody who is new",
            Usual { limit, .. } if limit < VOLUME_FLOOR => {
                "a busy hour, but too few events to be worth a look"
            }
            _ => "a busy hour, but not beyond what the user's own weeks explain",
        };
        Expectation::silence(names::UNUSUAL_VOLUME, "medium", why)
    } else {
        let trip = Trip::Events(usual.limit as usize + 1);
        Expectation::alert(names::UNUSUAL_VOLUME, "medium", trip)
    };
    let expectation = expectation.about(&key).from(hour);
    Campaign::new(Attack::UnusualVolume, steps, vec![expectation])
}

/// A user whose usual count in a clock hour is known.
fn anybody(plan: &mut Plan) -> Option<(Busy, Usual)> {
    // Two hours of an open office hold a full hour of the clock.
    let from = plan.in_office_hours(2 * HOUR);
    let at = full_hour(from, from + 2 * HOUR)?;
    let action = plan.draws.pick(&[READ, READ, QUERY]);
    let (n, now) = (plan.ledger.n_people() as u32, plan.now);
    let user = plan.victim_among(n, at, at + HOUR, |ledger, user, profile| {
        profile.kind != Kind::Traveller && ledger.usual(user, action, at, now).is_some()
    })?;
    Some((Busy { user, action, at }, plan.ledger.usual(user, action, at, now)?))
}

/// Somebody who had a busy hour about this time of day, and has a limit above the floor since then. The
/// others work too evenly for that.
fn somebody_busy(plan: &mut Plan, soon: i64) -> Option<(Busy, Usual)> {
    let now = plan.now;
    let (opens, closes) = opening(next_workday(local_day(soon)));
    let today = soon.div_euclid(DAY) * DAY;
    let around = |busy: Busy| {
        let same_hour = today + busy.at.rem_euclid(DAY);
        [-HOUR, 0, HOUR].map(|off| Busy { at: same_hour + off, ..busy })
    };
    let ledger = &*plan.ledger;
    let hours = ledger.busy(now).flat_map(around);
    let ahead = hours.filter(|hour| hour.at >= soon.max(opens) && hour.at + HOUR <= closes);
    let with_limit = ahead.filter_map(|hour| {
        let usual = ledger.usual(hour.user, hour.action, hour.at, now)?;
        (usual.is_known && usual.limit >= VOLUME_FLOOR).then_some((hour, usual))
    });
    let mut candidates: Vec<_> = with_limit.collect();
    while !candidates.is_empty() {
        let idx = plan.draws.below(candidates.len() as u32) as usize;
        let (hour, usual) = candidates.swap_remove(idx);
        if plan.claim(hour.user, hour.at, hour.at + HOUR) {
            return Some((hour, usual));
        }
    }
    None
}

fn key(user: u32, action: Action) -> String {
    format!("{}/{}", user_id(user), action.name())
}
