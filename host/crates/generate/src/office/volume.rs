//! An hour of many more events of one kind than the user has ever had.

use crate::Attack;
use crate::event::{Action, QUERY, READ};
use crate::label::{Expectation, Trip};
use crate::random::Dice as _;
use crate::rules::{HOUR, MINUTE, VOLUME_FLOOR, names};

use super::campaign::{Campaign, HISTORY, Plan, full_hour, user_id};
use super::people::Kind;

/// Events of an hour that are unusual whatever the history of anybody here: with hourly counts of at
/// most 14, the median and the median of deviations are at most that, so that the modified z-score of 60
/// is at least 0.6745 (60 - 14) / 7 = 4.4.
const UNUSUAL: u32 = 60;
const UNUSUAL_MAX: u32 = 400;
/// As many as the rule does not look at.
const BUSY: u32 = VOLUME_FLOOR - 1;

pub(crate) fn plan(is_near_miss: bool, plan: &mut Plan) -> Option<Campaign> {
    if plan.now < plan.start.saturating_add(HISTORY) {
        return None;
    }
    // Two hours of an open office hold a full hour of the clock.
    let from = plan.in_office_hours(2 * HOUR);
    let hour = full_hour(from, from + 2 * HOUR)?;
    let user = plan.victim(hour, hour + HOUR, |profile| profile.kind != Kind::Traveller)?;
    let action = plan.draws.pick(&[READ, READ, QUERY]);
    let n = if is_near_miss { BUSY } else { plan.above(UNUSUAL).min(UNUSUAL_MAX) };
    let times = plan.times(n, hour + MINUTE, HOUR - 2 * MINUTE);
    let steps = times.into_iter().map(|at| plan.step_at_desk(user, action, at)).collect();
    let key = key(user, action);
    let expectation = if is_near_miss {
        let why = "a busy hour, but too few events to be worth a look";
        Expectation::silence(names::UNUSUAL_VOLUME, "medium", why)
    } else {
        Expectation::alert(names::UNUSUAL_VOLUME, "medium", Trip::Events(UNUSUAL as usize))
    };
    let expectation = expectation.about(&key).from(hour);
    Campaign::new(Attack::UnusualVolume, steps, vec![expectation])
}

fn key(user: u32, action: Action) -> String {
    format!("{}/{}", user_id(user), action.name())
}
