//! Settings that are chosen by name: attacks, their intensity, the population and the disorder.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::rules::names;

/// An attack that can be mixed into the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attack {
    /// Passwords tried from one address, for `failed-logins`.
    FailedLogins,
    /// A few passwords tried for many users, for `password-spray`.
    PasswordSpray,
    /// One of the two above that finds a password, for `login-after-attack`.
    LoginAfterAttack,
    /// Data read while the office is closed, for `off-hours-access`.
    OffHours,
    /// One user from many addresses, for `ip-spread`.
    IpSpread,
    /// A grant by somebody who is no administrator at that time, for `privilege-change`.
    PrivilegeChange,
    /// An hour of many more reads than usual, for `unusual-volume`.
    UnusualVolume,
    /// Many exports or many exported rows, for `mass-export`.
    MassExport,
}

/// Whose events the background has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Population {
    /// The pattern's own producer: uniform in everything.
    #[default]
    Pattern,
    /// People with roles, working hours and addresses.
    Office,
}

/// How often attacks come, and how far above a rule's threshold they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Intensity {
    /// One attack of each kind per 20,000 events, at the threshold.
    Low,
    /// One per 10,000 events, up to three times the threshold.
    #[default]
    Medium,
    /// One per 5,000 events, up to ten times the threshold.
    High,
}

/// What goes wrong between an event and its record in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disorder {
    /// One event in 50 is sent twice, with the same `audit_id`.
    Duplicates,
    /// One event in 100 arrives up to 20 minutes late.
    Late,
    /// Events arrive up to 30 s after they happened, so that neighbors change places.
    OutOfOrder,
    /// One event in 100 has a clock that is up to 4 minutes ahead.
    Future,
    /// One event in 1,000 has a time that is days or years off; also within attacks on logins.
    Forged,
}

impl Attack {
    pub const ALL: [Self; 8] = [
        Self::FailedLogins,
        Self::PasswordSpray,
        Self::LoginAfterAttack,
        Self::OffHours,
        Self::IpSpread,
        Self::PrivilegeChange,
        Self::UnusualVolume,
        Self::MassExport,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::FailedLogins => names::FAILED_LOGINS,
            Self::PasswordSpray => names::PASSWORD_SPRAY,
            Self::LoginAfterAttack => names::LOGIN_AFTER_ATTACK,
            Self::OffHours => "off-hours",
            Self::IpSpread => names::IP_SPREAD,
            Self::PrivilegeChange => names::PRIVILEGE_CHANGE,
            Self::UnusualVolume => names::UNUSUAL_VOLUME,
            Self::MassExport => names::MASS_EXPORT,
        }
    }

    /// Whether the pattern's own producer supports it. The others need people with habits.
    pub fn fits_pattern(self) -> bool {
        self == Self::FailedLogins
    }
}

impl Population {
    pub const ALL: [Self; 2] = [Self::Pattern, Self::Office];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pattern => "pattern",
            Self::Office => "office",
        }
    }
}

impl Intensity {
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Disorder {
    pub const ALL: [Self; 5] =
        [Self::Duplicates, Self::Late, Self::OutOfOrder, Self::Future, Self::Forged];

    pub fn name(self) -> &'static str {
        match self {
            Self::Duplicates => "duplicates",
            Self::Late => "late",
            Self::OutOfOrder => "out-of-order",
            Self::Future => "future",
            Self::Forged => "forged",
        }
    }
}

macro_rules! named {
    ($type:ty, $what:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self, Error> {
                let found = Self::ALL.into_iter().find(|one| one.name() == name);
                found.ok_or_else(|| Error::UnknownName {
                    what: $what,
                    name: name.to_owned(),
                    known: Self::ALL.map(Self::name).into(),
                })
            }
        }
    };
}

named!(Attack, "attack");
named!(Population, "population");
named!(Intensity, "intensity");
named!(Disorder, "disorder");
