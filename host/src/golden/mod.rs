//! Golden cases on the real engine: events go into a plugin, and what comes out is compared.
//!
//! `audit-golden` reads and writes the cases. The author runs them with `plugin test`, and the host runs
//! those that a component carries before the component may replace another. So nothing here prints, and
//! nothing here trusts what a component says.

mod error;

mod case;
mod load;
mod lookups;

mod nulls;
mod outcome;
mod run;

mod compare;
mod diff;

mod prove;
mod upgrade;
mod vary;

pub(crate) use self::case::Case;
pub(crate) use self::compare::{Mismatch, compare};
pub(crate) use self::error::Error;
pub(crate) use self::load::{embedded, read_folder, update};
pub(crate) use self::prove::{in_time, prove};
pub(crate) use self::run::run;
pub(crate) use self::upgrade::{Upgrade, misfits};
pub(crate) use self::vary::vary;

#[cfg(test)]
pub(crate) mod tests;
