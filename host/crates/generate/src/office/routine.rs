//! What each user does next: a small state machine, from login to logout, day after day.

use crate::event::{
    Action, CONFIG, DELETE, DOWNLOAD, EXPORT, GRANT, LOGIN, LOGOUT, N_ACTIONS, QUERY, READ, REPORT,
    REVOKE, USER_CREATE, USER_DELETE, WRITE,
};
use crate::random::{Dice as _, Draws};
use crate::rules::{DAY, HOUR, MINUTE, SECOND};

use super::calendar::{LocalDay, is_month_end, local_day, midnight, next_workday, opening};
use super::deed::Deed;
use super::guard::{Exports, Failures, Places};
use super::people::{Kind, People, Place, Profile, Role};

/// Events of one user and action in an hour of the clock, below [`crate::rules::VOLUME_FLOOR`] even if
/// each comes twice.
const SAME_PER_HOUR: u8 = 14;
/// Between two events of somebody at work.
const GAP_MIN: i64 = MINUTE;
const GAP_MAX: i64 = 5 * MINUTE;
/// Reads of a service in its nightly hour: many, and nearly the same number every night.
const BATCH_EVENTS: u32 = 100;
const BATCH_EVENTS_MORE: u32 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A login from home before work.
    Early,
    Arrive,
    Work,
    Leave,
    /// A login from home after work.
    Evening,
    Batch(u32),
}

/// One user's state.
pub(crate) struct Person {
    pub(crate) next: i64,
    phase: Phase,
    day: LocalDay,
    arrives: i64,
    /// Data is accessed only in `[opens, closes)`.
    opens: i64,
    closes: i64,
    leaves: i64,
    places: Places,
    exports: Exports,
    session: u64,
    hour: i64,
    in_hour: [u8; N_ACTIONS],
    /// Does nothing in this span: an attacker uses the account.
    pause: (i64, i64),
}

/// What all users share.
pub(crate) struct World<'a> {
    pub(crate) people: &'a People,
    pub(crate) failures: &'a mut Failures,
    pub(crate) draws: &'a mut Draws,
    /// Whether every event may come twice.
    pub(crate) may_double: bool,
}

impl Person {
    pub(crate) fn new(profile: &Profile, start: i64, draws: &mut Draws) -> Self {
        let mut person = Self {
            next: i64::MAX,
            phase: Phase::Arrive,
            day: 0,
            arrives: 0,
            opens: 0,
            closes: 0,
            leaves: 0,
            places: Places::at(profile.desk),
            exports: Exports::new(),
            session: draws.next_u64(),
            hour: i64::MIN,
            in_hour: [0; N_ACTIONS],
            pause: (i64::MIN, i64::MIN),
        };
        person.plan_day(profile, local_day(start), start, draws);
        person
    }

    /// Whether an attacker may have the account from `from` on: nobody has it or is about to, and the
    /// last one was a day before.
    pub(crate) fn is_free(&self, now: i64, from: i64) -> bool {
        now >= self.pause.1 && from >= self.pause.1.saturating_add(DAY)
    }

    pub(crate) fn pause(&mut self, from: i64, until: i64) {
        self.pause = (from, until);
    }

    /// What happens at [`Person::next`], which moves on. `None`: nothing, the time was not right.
    pub(crate) fn step(&mut self, user: u32, world: &mut World) -> Option<Deed> {
        let profile = &world.people.profiles[user as usize];
        let at = self.next;
        if at >= self.pause.0 && at < self.pause.1 {
            let until = self.pause.1 + world.draws.micros(10 * MINUTE);
            self.plan_day(profile, local_day(until), until, world.draws);
            return None;
        }
        match self.phase {
            Phase::Early | Phase::Evening => self.look(user, profile, world),
            Phase::Arrive => self.arrive(user, profile, world),
            Phase::Work => self.work(user, profile, world),
            Phase::Leave => Some(self.leave(user, profile, world)),
            Phase::Batch(n_left) => Some(self.batch(user, profile, n_left, world)),
        }
    }

    /// Plans the first day from `day` on that has something to do at `from` or later.
    fn plan_day(&mut self, profile: &Profile, day: LocalDay, from: i64, draws: &mut Draws) {
        let mut day = if profile.kind == Kind::Service { day } else { next_workday(day) };
        loop {
            self.plan(profile, day, draws);
            let begins = self.next;
            if begins >= from {
                return;
            }
            if self.leaves >= from + 30 * MINUTE {
                // In the middle of a day: log in and go on.
                (self.phase, self.next) = match self.phase {
                    Phase::Batch(_) => (self.phase, from),
                    _ => (Phase::Arrive, from.max(self.arrives)),
                };
                return;
            }
            day = if profile.kind == Kind::Service { day + 1 } else { next_workday(day + 1) };
        }
    }

    fn plan(&mut self, profile: &Profile, day: LocalDay, draws: &mut Draws) {
        let midnight = midnight(day);
        self.day = day;
        match profile.kind {
            Kind::Service => {
                // Servers know no summer time.
                self.arrives = day * DAY + HOUR + draws.micros(10 * MINUTE);
                self.leaves = self.arrives + 20 * MINUTE;
                let n_events = BATCH_EVENTS + draws.below(BATCH_EVENTS_MORE);
                (self.phase, self.next) = (Phase::Batch(n_events), self.arrives);
            }
            Kind::NightShift => {
                (self.opens, self.closes) = (midnight + 22 * HOUR, midnight + 30 * HOUR);
                self.arrives = self.opens + draws.micros(15 * MINUTE);
                self.leaves = self.closes - draws.micros(15 * MINUTE);
                (self.phase, self.next) = (Phase::Arrive, self.arrives);
            }
            _ => {
                (self.opens, self.closes) = opening(day);
                self.arrives = self.opens - 20 * MINUTE + draws.micros(HOUR);
                self.leaves = self.closes - 30 * MINUTE + draws.micros(HOUR);
                (self.phase, self.next) = match draws.below(3) {
                    0 => (Phase::Early, self.opens - 2 * HOUR + draws.micros(HOUR)),
                    _ => (Phase::Arrive, self.arrives),
                };
            }
        }
    }

    /// A login from home or the phone, without data.
    fn look(&mut self, user: u32, profile: &Profile, world: &mut World) -> Option<Deed> {
        let at = self.next;
        let wanted = if world.draws.below(2) == 0 { profile.home } else { profile.phone };
        let place = self.places.go(wanted, at);
        if self.phase == Phase::Early {
            (self.phase, self.next) = (Phase::Arrive, self.arrives.max(at));
        } else {
            self.plan_day(profile, self.day + 1, at, world.draws);
        }
        self.count(LOGIN, at, world).then(|| self.deed(user, profile, LOGIN, at, place, world))
    }

    fn arrive(&mut self, user: u32, profile: &Profile, world: &mut World) -> Option<Deed> {
        let at = self.next;
        let place = self.places.go(profile.desk, at);
        let mut deed = self.deed(user, profile, LOGIN, at, place, world);
        if world.draws.below(20) == 0 && world.failures.admit(deed.address, at) {
            deed.failed = true;
            self.next = at + 10 * SECOND + world.draws.micros(50 * SECOND);
        } else {
            self.session = deed.session;
            self.next = (at + gap(world.draws)).max(self.opens + world.draws.micros(5 * MINUTE));
            self.phase = Phase::Work;
        }
        self.count(LOGIN, at, world).then_some(deed)
    }

    fn work(&mut self, user: u32, profile: &Profile, world: &mut World) -> Option<Deed> {
        let at = self.next;
        let until = self.leaves.min(self.closes);
        self.next = at + gap(world.draws);
        if self.next >= until {
            (self.phase, self.next) = (Phase::Leave, self.leaves.max(at));
        }
        if at >= until {
            return None;
        }
        let place = self.place_at_work(profile, at, world);
        let action = self.action(profile, at, world.draws);
        let mut deed = self.deed(user, profile, action, at, place, world);
        let is_transfer = action == EXPORT || action == DOWNLOAD;
        if action == EXPORT {
            deed.rows = export_rows(profile, self.day, world.draws);
        }
        let n_times = 1 + u32::from(world.may_double);
        if is_transfer && !self.exports.admit(deed.rows * n_times, at) {
            return None;
        }
        self.count(action, at, world).then_some(deed)
    }

    fn leave(&mut self, user: u32, profile: &Profile, world: &mut World) -> Deed {
        let at = self.next;
        let place = self.places.go(profile.desk, at);
        let deed = self.deed(user, profile, LOGOUT, at, place, world);
        if profile.works_by_day() && world.draws.below(4) == 0 {
            let evening = self.closes + 90 * MINUTE + world.draws.micros(4 * HOUR);
            (self.phase, self.next) = (Phase::Evening, evening.max(at));
        } else {
            self.plan_day(profile, self.day + 1, at, world.draws);
        }
        deed
    }

    fn batch(&mut self, user: u32, profile: &Profile, n_left: u32, world: &mut World) -> Deed {
        let at = self.next;
        let action = if n_left.is_multiple_of(10) { WRITE } else { READ };
        let place = self.places.go(profile.desk, at);
        let deed = self.deed(user, profile, action, at, place, world);
        if n_left == 0 {
            self.plan_day(profile, self.day + 1, at, world.draws);
        } else {
            self.phase = Phase::Batch(n_left - 1);
            self.next = at + 5 * SECOND + world.draws.micros(10 * SECOND);
        }
        deed
    }

    /// At the desk, now and then on the phone; a traveller moves about.
    fn place_at_work(&mut self, profile: &Profile, at: i64, world: &mut World) -> Place {
        let [(current, _), _] = self.places.latest();
        let wanted = match (profile.kind, world.draws.below(40)) {
            (Kind::Traveller, 0) => world.people.hotel(world.draws),
            (Kind::Traveller, 1) => profile.phone,
            (Kind::Traveller, _) => current,
            (_, 0) => profile.phone,
            _ => profile.desk,
        };
        self.places.go(wanted, at)
    }

    fn action(&self, profile: &Profile, at: i64, draws: &mut Draws) -> Action {
        let is_admin = profile.is_admin(at);
        if is_admin && profile.role != Role::Admin && draws.below(8) == 0 {
            return draws.pick(&[GRANT, GRANT, REVOKE]);
        }
        if profile.role == Role::Finance && is_month_end(self.day) && draws.below(4) == 0 {
            return EXPORT;
        }
        draws.pick(habits(profile.role))
    }

    fn deed(
        &self,
        user: u32,
        profile: &Profile,
        action: Action,
        at: i64,
        place: Place,
        world: &mut World,
    ) -> Deed {
        let draws = &mut *world.draws;
        let is_change = action == GRANT || action == REVOKE;
        let address = match place.n_addresses {
            1 => place.first,
            n => place.first + draws.below(n),
        };
        // An administrator does not grant to itself.
        let n_others = world.people.profiles.len() as u32 - 1;
        let grantee = (user + 1 + draws.below(n_others)) % (n_others + 1);
        Deed {
            at,
            user,
            action,
            failed: action != LOGIN && !is_change && draws.below(50) == 0,
            address,
            agent: profile.agent,
            rows: 0,
            grantee,
            session: if action == LOGIN { draws.next_u64() } else { self.session },
            nonce: draws.next_u64(),
        }
    }

    /// Whether one more such event is an ordinary one in its hour; if so it is counted.
    fn count(&mut self, action: Action, at: i64, world: &World) -> bool {
        let hour = at.div_euclid(HOUR);
        if hour != self.hour {
            (self.hour, self.in_hour) = (hour, [0; N_ACTIONS]);
        }
        let n = &mut self.in_hour[action.index()];
        if *n >= SAME_PER_HOUR {
            return false;
        }
        *n += 1 + u8::from(world.may_double);
        true
    }
}

fn gap(draws: &mut Draws) -> i64 {
    GAP_MIN + draws.micros(GAP_MAX - GAP_MIN)
}

/// An export is small, except in finance at the end of a month.
fn export_rows(profile: &Profile, day: LocalDay, draws: &mut Draws) -> u32 {
    if profile.role == Role::Finance && is_month_end(day) {
        draws.between(800, 2_400)
    } else {
        draws.between(50, 900)
    }
}

/// What somebody of a role does, each as often as it stands here.
fn habits(role: Role) -> &'static [Action] {
    match role {
        Role::Analyst => &[
            READ, READ, READ, READ, READ, READ, READ, QUERY, QUERY, QUERY, QUERY, REPORT, REPORT,
            EXPORT, DOWNLOAD, WRITE,
        ],
        Role::Engineer => &[
            READ, READ, READ, READ, WRITE, WRITE, WRITE, WRITE, WRITE, QUERY, QUERY, QUERY, QUERY,
            DELETE, CONFIG, DOWNLOAD,
        ],
        Role::Finance => &[
            READ, READ, READ, READ, READ, READ, REPORT, REPORT, REPORT, REPORT, QUERY, QUERY,
            EXPORT, DOWNLOAD, WRITE, WRITE,
        ],
        Role::Auditor => &[
            READ, READ, READ, READ, READ, READ, READ, READ, REPORT, REPORT, REPORT, REPORT, REPORT,
            QUERY, QUERY, DOWNLOAD,
        ],
        Role::Admin => &[
            READ,
            READ,
            READ,
            CONFIG,
            CONFIG,
            CONFIG,
            CONFIG,
            GRANT,
            GRANT,
            REVOKE,
            USER_CREATE,
            USER_DELETE,
            QUERY,
            QUERY,
            WRITE,
            WRITE,
        ],
        Role::Operator | Role::Service => &[
            CONFIG, CONFIG, CONFIG, CONFIG, READ, READ, READ, READ, READ, READ, WRITE, WRITE,
            QUERY, QUERY, QUERY, QUERY,
        ],
    }
}
