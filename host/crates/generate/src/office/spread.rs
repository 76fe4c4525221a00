//! One account from many addresses at a time.

use crate::choices::Attack;
use crate::label::{Expectation, Trip};
use crate::random::Dice as _;
use crate::rules::{ADDRESSES_ALLOWED, HOUR, MINUTE, WINDOW_US, names};

use super::campaign::{Campaign, Plan, Step, user_id};

/// Logins of an hour: not an unusual number by themselves.
const ADDRESSES_MAX: u32 = 20;
const SPAN_MIN: i64 = 5 * MINUTE;
const SPAN_MAX: i64 = 55 * MINUTE;

pub(crate) fn plan(is_near_miss: bool, plan: &mut Plan) -> Option<Campaign> {
    let first = plan.soon();
    let user = plan.victim(first, first + 3 * HOUR, |_| true)?;
    let (steps, expectation) =
        if is_near_miss { near_miss(plan, user, first)? } else { attack(plan, user, first)? };
    Campaign::new(Attack::IpSpread, steps, vec![expectation.about(&user_id(user))])
}

fn attack(plan: &mut Plan, user: u32, first: i64) -> Option<(Vec<Step>, Expectation)> {
    let n = plan.above(ADDRESSES_ALLOWED as u32 + 1).min(ADDRESSES_MAX);
    let span = SPAN_MIN + plan.draws.micros(SPAN_MAX - SPAN_MIN);
    let span = plan.span(span, WINDOW_US);
    let mut steps = Vec::new();
    for at in plan.times(n, first, span) {
        // Every other one of a network of its own.
        let address = match plan.draws.below(2) {
            0 => plan.people.attacker()?,
            _ => plan.people.attacker_net(1)?.first,
        };
        steps.push(plan.step(user, address, at));
    }
    let trip = Trip::Places(ADDRESSES_ALLOWED, WINDOW_US);
    Some((steps, Expectation::alert(names::IP_SPREAD, "medium", trip)))
}

fn near_miss(plan: &mut Plan, user: u32, first: i64) -> Option<(Vec<Step>, Expectation)> {
    let (why, visits) = match plan.draws.below(3) {
        0 => {
            let both = [plan.people.attacker()?, plan.people.attacker()?];
            let times = plan.times(12, first, SPAN_MAX);
            let visits: Vec<_> = times.into_iter().zip(both.into_iter().cycle()).collect();
            ("to and fro between two addresses", visits)
        }
        1 => {
            let half = WINDOW_US / 2;
            let mut visits = Vec::new();
            for n in 0..5 {
                visits.push((first + n * half, plan.people.attacker()?));
            }
            ("a traveller: the third address comes an hour after the first", visits)
        }
        _ => {
            let net = plan.people.attacker_net(6)?;
            let other = plan.people.attacker()?;
            let times = plan.times(7, first, SPAN_MAX);
            let mut visits: Vec<_> = times.into_iter().zip(net.first..).collect();
            visits[6].1 = other;
            let steps = visits.into_iter().map(|(at, address)| {
                let mut step = plan.step(user, address, at);
                step.place = if address == other { other } else { net.first };
                step
            });
            let why = "six addresses of one /64, and one other";
            return Some((steps.collect(), Expectation::silence(names::IP_SPREAD, "medium", why)));
        }
    };
    let steps = visits.into_iter().map(|(at, address)| plan.step(user, address, at)).collect();
    Some((steps, Expectation::silence(names::IP_SPREAD, "medium", why)))
}
