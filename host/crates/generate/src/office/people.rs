//! Who works here: roles that change, places they work from, accounts that nobody uses.

use crate::random::{Dice as _, Draws, Stream};
use crate::rules::{DAY, HOUR};

use super::calendar::{local_day, midnight, next_workday};

/// Seldom used accounts that attacks on logins go for, at least so many.
const ACCOUNTS_MIN: usize = 400;
const HOME_IPV6_ADDRESSES: u32 = 4;
const PEOPLE_PER_OFFICE_ADDRESS: usize = 400;
const PEOPLE_PER_PHONE_ADDRESS: usize = 8;
const N_HOTELS: u32 = 200;
/// Addresses of attackers: 198.19.0.0/16. When they run out, no more attacks from new addresses begin.
const N_ATTACKERS: u32 = 1 << 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At the head office, whose people share an address.
    Office,
    /// From home; every other one has IPv6 and changes within a /64.
    Home,
    /// At a branch: a desk with an address.
    Branch,
    /// From hotels and clients.
    Traveller,
    /// From 22 to 6 o'clock.
    NightShift,
    /// A program, every night.
    Service,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Analyst,
    Admin,
    Engineer,
    Finance,
    Auditor,
    Operator,
    Service,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Analyst => "data_analyst",
            Self::Admin => "admin",
            Self::Engineer => "data_engineer",
            Self::Finance => "finance_user",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Service => "service",
        }
    }
}

/// Addresses that a rule takes for one: a single one, or some of a /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) first: u32,
    pub(crate) n_addresses: u32,
}

/// What does not change about a user.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    /// From when on, and until when, it is an administrator.
    pub(crate) admin: (i64, i64),
    pub(crate) desk: Place,
    pub(crate) home: Place,
    pub(crate) phone: Place,
    pub(crate) agent: u8,
}

impl Profile {
    pub(crate) fn is_admin(&self, at: i64) -> bool {
        self.admin.0 <= at && at < self.admin.1
    }

    /// Neither before nor later.
    pub(crate) fn is_never_admin(&self) -> bool {
        self.admin.0 >= self.admin.1
    }

    /// Works when the office is open.
    pub(crate) fn works_by_day(&self) -> bool {
        !matches!(self.kind, Kind::NightShift | Kind::Service)
    }
}

pub(crate) struct People {
    /// Those who act. Accounts come after them, by number.
    pub(crate) profiles: Vec<Profile>,
    pub(crate) n_accounts: usize,
    addresses: Vec<String>,
    hotels: Place,
    n_attackers: u32,
}

const NEVER: (i64, i64) = (i64::MAX, i64::MIN);
const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

impl People {
    pub(crate) fn new(seed: u64, n_people: usize, start: i64) -> Self {
        let mut draws = Draws::new(seed, Stream::People);
        let mut addresses = Vec::new();
        let mut place = |texts: &mut dyn Iterator<Item = String>| {
            let first = addresses.len() as u32;
            addresses.extend(texts);
            Place { first, n_addresses: addresses.len() as u32 - first }
        };
        let offices = place(&mut numbered(n_people / PEOPLE_PER_OFFICE_ADDRESS + 1, |n| {
            format!("192.0.2.{}", 10 + n % 200)
        }));
        let phones = place(&mut numbered(n_people / PEOPLE_PER_PHONE_ADDRESS + 4, |n| {
            format!("100.{}.{}.{}", 64 + (n >> 16) % 64, (n >> 8) & 255, n & 255)
        }));
        let hotels = place(&mut (0..N_HOTELS).map(|n| format!("203.0.113.{}", n + 1)));
        let service = place(&mut std::iter::once("10.0.0.50".to_owned()));
        let mut profiles = Vec::with_capacity(n_people);
        for idx in 0..n_people {
            let (kind, role) = (kind(idx), role(idx));
            let n = idx as u32;
            let home = if idx % 2 == 0 {
                place(&mut std::iter::once(format!("198.18.{}.{}", (n >> 8) & 255, n & 255)))
            } else {
                place(&mut (1..=HOME_IPV6_ADDRESSES).map(|suffix| {
                    format!("2001:db8:{:x}:{:x}::{suffix:x}", 1 + (n >> 16), n & 0xffff)
                }))
            };
            let desk = match kind {
                Kind::Office | Kind::NightShift => one_of(offices, idx),
                Kind::Home => home,
                Kind::Branch => place(&mut std::iter::once(format!(
                    "10.{}.{}.{}",
                    20 + ((n >> 16) & 127),
                    (n >> 8) & 255,
                    n & 255
                ))),
                Kind::Traveller => one_of(hotels, idx),
                Kind::Service => service,
            };
            let agent = if kind == Kind::Service { 3 } else { draws.below(2) as u8 };
            let admin = admin(idx, role, start, &mut draws);
            let phone = one_of(phones, idx / 2);
            profiles.push(Profile { kind, role, admin, desk, home, phone, agent });
        }
        let n_accounts = (4 * n_people).max(ACCOUNTS_MIN);
        Self { profiles, n_accounts, addresses, hotels, n_attackers: 0 }
    }

    pub(crate) fn address(&self, number: u32) -> &str {
        &self.addresses[number as usize]
    }

    pub(crate) fn n_addresses(&self) -> usize {
        self.addresses.len()
    }

    pub(crate) fn hotel(&self, draws: &mut Draws) -> Place {
        one_of(self.hotels, draws.below(N_HOTELS) as usize)
    }

    /// An address that nobody had before.
    pub(crate) fn attacker(&mut self) -> Option<u32> {
        let n = self.n_attackers;
        self.n_attackers = (n < N_ATTACKERS).then_some(n + 1)?;
        Some(self.push(format!("198.19.{}.{}", n >> 8, n & 255)))
    }

    /// Addresses of one /64 that nobody had before.
    pub(crate) fn attacker_net(&mut self, n_addresses: u32) -> Option<Place> {
        let n = self.n_attackers;
        self.n_attackers = (n < N_ATTACKERS).then_some(n + 1)?;
        let first = self.addresses.len() as u32;
        for suffix in 1..=n_addresses {
            self.push(format!("2001:db8:ffff:{n:x}::{suffix:x}"));
        }
        Some(Place { first, n_addresses })
    }

    fn push(&mut self, address: String) -> u32 {
        self.addresses.push(address);
        self.addresses.len() as u32 - 1
    }
}

fn numbered(n: usize, text: impl Fn(u32) -> String) -> impl Iterator<Item = String> {
    (0..n as u32).map(text)
}

fn one_of(all: Place, idx: usize) -> Place {
    Place { first: all.first + idx as u32 % all.n_addresses, n_addresses: 1 }
}

fn kind(idx: usize) -> Kind {
    match idx % 20 {
        3 | 9 | 13 | 18 => Kind::Home,
        6 | 17 | 19 => Kind::Branch,
        10 => Kind::Traveller,
        15 => Kind::NightShift,
        16 => Kind::Service,
        _ => Kind::Office,
    }
}

/// The first five are what they are in the pattern.
fn role(idx: usize) -> Role {
    match (kind(idx), idx % 10) {
        (Kind::NightShift, _) => Role::Operator,
        (Kind::Service, _) => Role::Service,
        (_, 1) => Role::Admin,
        (_, 2 | 6 | 9) => Role::Engineer,
        (_, 3 | 8) => Role::Finance,
        (_, 4) => Role::Auditor,
        _ => Role::Analyst,
    }
}

/// One analyst of twenty becomes an administrator within the first two weeks, and one engineer of
/// twenty ceases to be one: at noon of a day on which people work.
fn admin(idx: usize, role: Role, start: i64, draws: &mut Draws) -> (i64, i64) {
    let days = i64::from(draws.between(4, 14));
    let noon = midnight(next_workday(local_day(start + days * DAY))) + 12 * HOUR;
    match (role, idx % 20) {
        (Role::Admin, _) => ALWAYS,
        (_, 7) => (noon, i64::MAX),
        (_, 12) => (i64::MIN, noon),
        _ => NEVER,
    }
}
