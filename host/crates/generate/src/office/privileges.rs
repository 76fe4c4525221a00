//! Permissions changed by somebody who was not allowed to at the time of the change.

use crate::choices::Attack;
use crate::event::{GRANT, REVOKE};
use crate::label::{Expectation, Trip};
use crate::random::Dice as _;
use crate::rules::{HOUR, MINUTE, names};

use super::campaign::{ALONE, Campaign, Plan, user_id};
use super::people::{Profile, Role};

pub(crate) fn plan(is_near_miss: bool, plan: &mut Plan) -> Option<Campaign> {
    if is_near_miss { near_miss(plan) } else { attack(plan) }
}

fn attack(plan: &mut Plan) -> Option<Campaign> {
    let soon = plan.soon();
    // Somebody who is not yet or no longer an administrator is harder to detect than somebody who never is.
    let (user, at, severity) = match plan.draws.below(4) {
        0 => {
            let is_former =
                |profile: &Profile| profile.admin.0 == i64::MIN && profile.admin.1 <= soon;
            (plan.victim(soon, soon + HOUR, is_former)?, soon, "medium")
        }
        1 => {
            // The last moment before somebody becomes an administrator.
            let (user, from) = turning(plan, |admin| admin.0)?;
            (user, from - 1, "medium")
        }
        2 => {
            let user = plan.victim(soon, soon + HOUR, Profile::is_never_admin)?;
            (user, soon, "high")
        }
        _ => (plan.victim(soon, soon + HOUR, Profile::is_never_admin)?, soon, "medium"),
    };
    let is_self_grant = severity == "high";
    let mut step = plan.step_at_desk(user, GRANT, at);
    if !is_self_grant {
        step.deed.action = plan.draws.pick(&[GRANT, GRANT, REVOKE]);
        step.deed.grantee = other(plan, user);
    }
    let alert = Expectation::alert(names::PRIVILEGE_CHANGE, severity, Trip::Events(1));
    Campaign::new(Attack::PrivilegeChange, vec![step], vec![alert.about(&user_id(user))])
}

fn near_miss(plan: &mut Plan) -> Option<Campaign> {
    let soon = plan.soon();
    let (why, user, at) = match plan.draws.below(3) {
        0 => {
            let (user, from) = turning(plan, |admin| admin.0)?;
            ("the very moment at which somebody becomes an administrator", user, from)
        }
        1 => {
            let (user, until) = turning(plan, |admin| admin.1)?;
            ("the last moment at which somebody is an administrator", user, until - 1)
        }
        _ => {
            let is_admin = |profile: &Profile| profile.role == Role::Admin;
            let user = plan.victim(soon, soon + HOUR, is_admin)?;
            ("many changes, but by an administrator", user, soon)
        }
    };
    let n = if at == soon { 12 } else { 1 };
    let mut steps = Vec::new();
    for at in plan.times(n, at, if n == 1 { 0 } else { 20 * MINUTE }) {
        let mut step = plan.step_at_desk(user, GRANT, at);
        step.deed.grantee = other(plan, user);
        steps.push(step);
    }
    let silence = Expectation::silence(names::PRIVILEGE_CHANGE, "medium", why);
    Campaign::new(Attack::PrivilegeChange, steps, vec![silence.about(&user_id(user))])
}

/// Somebody free who becomes an administrator, or ceases to be one, within the next days.
fn turning(plan: &mut Plan, edge: impl Fn((i64, i64)) -> i64) -> Option<(u32, i64)> {
    let (soon, latest) = (plan.soon() + ALONE, i64::MAX - HOUR);
    let is_ahead = |profile: &Profile| {
        profile.role != Role::Admin && (soon..latest).contains(&edge(profile.admin))
    };
    let profiles = &plan.people.profiles;
    let edges: Vec<_> = (0..).zip(profiles).filter(|(_, profile)| is_ahead(profile)).collect();
    let (user, profile) = match edges.len() {
        0 => return None,
        n => edges[plan.draws.below(n as u32) as usize],
    };
    let (user, at) = (user, edge(profile.admin));
    let now = plan.now;
    let person = &mut plan.persons[user as usize];
    person.is_free(now, at - ALONE).then(|| person.pause(at - ALONE, at + ALONE))?;
    Some((user, at))
}

fn other(plan: &mut Plan, user: u32) -> u32 {
    let n = plan.people.profiles.len() as u32;
    (user + 1 + plan.draws.below(n - 1)) % n
}
