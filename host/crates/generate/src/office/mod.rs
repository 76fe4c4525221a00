//! An office: people with roles, hours and addresses, and attackers among them. Each person is a small state
//! machine; the next event is that of the person who acts next. What people do stays below every rule by
//! construction (`guard`, `routine`), and a person under attack does nothing meanwhile (`campaign`), so that
//! labels are right for every seed.

mod agenda;
mod calendar;
mod campaign;
mod deed;
mod delivery;
mod exports;
mod guard;
mod hours;
mod ledger;
mod logins;
mod lookups;
mod people;
mod privileges;
mod routine;
mod spread;
mod volume;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::choices::{Attack, Disorder, Intensity};
use crate::event::{Act, LOGIN, Pen, USER_AGENTS};
use crate::label::{Label, Seen};
use crate::random::{Dice as _, Draws, Mix, Stream};
use crate::rules::FUTURE_BELIEVED;
use crate::settings::{EventMeta, Settings};

use self::agenda::Agenda;
use self::campaign::{Accounts, Campaign, Plan};
use self::deed::{Deed, Sent};
use self::delivery::Delivery;
use self::guard::Failures;
use self::ledger::Ledger;
use self::people::People;
use self::routine::{Person, World};

pub use self::lookups::Lookups;

/// 1996-01-01, when the current rules of summer time began, and 9900-01-01.
const EARLIEST: i64 = 820_454_400_000_000;
const LATEST: i64 = 250_246_281_600_000_000;
/// As many as the numbers in their addresses can distinguish.
const PEOPLE_MAX: usize = 1_000_000;
/// Kafka timestamps are in milliseconds.
const MILLISECOND: i64 = 1_000;

pub(crate) struct Office {
    start: i64,
    intensity: Intensity,
    people: People,
    persons: Vec<Person>,
    accounts: Accounts,
    /// Empty if no attack needs it.
    ledger: Ledger,
    failures: Failures,
    draws: Draws,
    /// When each person acts next, soonest first.
    next: BinaryHeap<Reverse<(i64, u32)>>,
    background_sent: u64,
    agenda: Agenda,
    /// The next background event before which the agenda has something to do.
    wake: u64,
    attack_draws: Draws,
    campaigns: BTreeMap<u32, Running>,
    n_campaigns: u32,
    /// The next step of each campaign, soonest first.
    due: BinaryHeap<Reverse<(i64, u32)>>,
    labels: Vec<Label>,
    delivery: Delivery,
    pen: Pen,
    emitted: u64,
    latest: i64,
}

struct Running {
    campaign: Campaign,
    n_sent: usize,
    n_received: usize,
}

impl Office {
    pub(crate) fn new(settings: Settings) -> Self {
        let seed = settings.seed;
        let start = settings.start.as_microsecond().clamp(EARLIEST, LATEST);
        let n_people = settings.users.clamp(Settings::OFFICE_USERS_MIN, PEOPLE_MAX);
        let people = People::new(seed, n_people, start);
        let mut draws = Draws::new(seed, Stream::Background);
        let new_person = |profile| Person::new(profile, start, &mut draws);
        let persons: Vec<_> = people.profiles.iter().map(new_person).collect();
        let next = (0..).zip(&persons).map(|(user, person)| Reverse((person.next, user)));
        let mut attack_draws = Draws::new(seed, Stream::Attacks);
        let is_asked = settings.attacks.contains(&Attack::UnusualVolume);
        let ledger = Ledger::new(if is_asked { n_people } else { 0 });
        let agenda = Agenda::new(settings.attacks, settings.intensity, &mut attack_draws);
        Self {
            start,
            intensity: settings.intensity,
            next: next.collect(),
            accounts: Accounts::new(n_people, people.n_accounts),
            ledger,
            failures: Failures::new(people.n_addresses()),
            draws,
            background_sent: 0,
            wake: agenda.wake(),
            agenda,
            attack_draws,
            campaigns: BTreeMap::new(),
            n_campaigns: 0,
            due: BinaryHeap::new(),
            labels: Vec::new(),
            delivery: Delivery::new(seed, &settings.disorder),
            pen: Pen::new(seed, n_people + people.n_accounts, settings.pii),
            people,
            persons,
            emitted: 0,
            latest: start,
        }
    }

    pub(crate) fn next_event(&mut self, out: &mut Vec<u8>) -> EventMeta {
        loop {
            let person_at = self.next.peek().map_or(i64::MAX, |Reverse((at, _))| *at);
            let attack_at = self.due.peek().map_or(i64::MAX, |Reverse((at, _))| *at);
            if let Some((received, sent)) = self.delivery.receive(person_at.min(attack_at)) {
                return self.emit(received, &sent, out);
            }
            if attack_at <= person_at {
                self.send_attack();
            } else {
                self.plan(person_at);
                self.step();
            }
        }
    }

    pub(crate) fn labels(&self) -> &[Label] {
        &self.labels
    }

    pub(crate) fn lookups(&self) -> Lookups {
        Lookups::new(&self.people, self.start, self.latest)
    }

    pub(crate) fn pen(&self) -> &Pen {
        &self.pen
    }

    /// Lets the person act who is next.
    fn step(&mut self) {
        let Some(mut next) = self.next.peek_mut() else { return };
        let user = next.0.1;
        let person = &mut self.persons[user as usize];
        let mut world = World {
            people: &self.people,
            failures: &mut self.failures,
            draws: &mut self.draws,
            may_double: self.delivery.has(Disorder::Duplicates),
        };
        let deed = person.step(user, &mut world);
        next.0.0 = person.next;
        drop(next);
        let Some(deed) = deed else { return };
        self.background_sent += 1;
        let sent = Sent { deed, campaign: None };
        let n_times = self.delivery.send(sent);
        self.ledger.count(user, deed.action, deed.at, n_times);
        if self.delivery.wants_forged() {
            let nonce = self.draws.next_u64();
            let forged = Deed { action: LOGIN, failed: false, nonce, ..deed };
            self.delivery.send_forged(Sent { deed: forged, campaign: None }, false);
        }
    }

    fn plan(&mut self, now: i64) {
        if self.background_sent < self.wake {
            return;
        }
        let mut plan = Plan {
            now,
            intensity: self.intensity,
            may_forge: self.delivery.has(Disorder::Forged),
            people: &mut self.people,
            persons: &mut self.persons,
            accounts: &mut self.accounts,
            ledger: &mut self.ledger,
            draws: &mut self.attack_draws,
        };
        for campaign in self.agenda.due(self.background_sent, &mut plan) {
            let id = self.n_campaigns;
            self.n_campaigns += 1;
            self.due.push(Reverse((campaign.steps[0].deed.at, id)));
            self.campaigns.insert(id, Running { campaign, n_sent: 0, n_received: 0 });
        }
        self.wake = self.agenda.wake();
    }

    /// Sends the attack's event that is next.
    fn send_attack(&mut self) {
        let Some(Reverse((_, id))) = self.due.pop() else { return };
        let Some(running) = self.campaigns.get_mut(&id) else { return };
        let step = running.campaign.steps[running.n_sent];
        running.n_sent += 1;
        if let Some(next) = running.campaign.steps.get(running.n_sent) {
            self.due.push(Reverse((next.deed.at, id)));
        }
        // What is forged is a login, which nobody counts by the hour.
        self.ledger.count(step.deed.user, step.deed.action, step.deed.at, 1);
        let sent = Sent { deed: step.deed, campaign: Some((id, step.place)) };
        if step.is_forged {
            self.delivery.send_forged(sent, true);
        } else {
            self.delivery.send_attack(sent, running.campaign.keeps_order);
        }
    }

    fn emit(&mut self, received: i64, sent: &Sent, out: &mut Vec<u8>) -> EventMeta {
        let (deed, index) = (&sent.deed, self.emitted);
        let received = received - received.rem_euclid(MILLISECOND);
        self.emitted += 1;
        self.latest = received;
        if let Some((id, place)) = sent.campaign {
            self.track(id, place, index, received, deed);
        }
        let mut mix = Mix::new(deed.nonce);
        let act = Act {
            at: deed.at,
            user: deed.user as usize,
            action: deed.action,
            failed: deed.failed,
            ip: self.people.address(deed.address),
            agent: USER_AGENTS[usize::from(deed.agent)],
            session: Mix::new(deed.session).uuid(),
            rows: Some(deed.rows),
            grantee: Some(deed.grantee as usize),
        };
        self.pen.turn_to(deed.nonce);
        self.pen.write(&act, &mut mix, out);
        EventMeta { index, event_time_us: deed.at, received_time_us: received }
    }

    fn track(&mut self, id: u32, place: u32, index: u64, received: i64, deed: &Deed) {
        let Some(running) = self.campaigns.get_mut(&id) else { return };
        let seen = Seen {
            index,
            at: deed.at.min(received + FUTURE_BELIEVED),
            user: deed.user,
            action: deed.action,
            failed: deed.failed,
            place,
            rows: deed.rows,
        };
        running.campaign.tracker.see(seen, &mut self.labels);
        running.n_received += 1;
        if running.n_received == running.campaign.steps.len() {
            self.campaigns.remove(&id);
        }
    }
}
