//! Tables and calendars that plugins look up: who has which role, whose network an address is in, when an
//! office is open.
//!
//! They come from files that people write, so nothing in them is believed: every wrong row is an error
//! with its file and line, and what is loaded never changes. A changed file becomes another [`Set`], and
//! whoever holds the [`Lookups`] puts it in the place of the one before.

#![forbid(unsafe_code)]

mod definition;
mod error;
mod file;

mod columns;
mod csv;
mod parquet;
mod records;

mod cidr;
mod index;
mod table;

mod calendar;
mod hours;

mod set;

pub use calendar::{Calendar, Interval};
pub use definition::{CalendarDefinition, Definitions, KeyKind, TableDefinition};
pub use error::Error;
pub use file::Stamp;
pub use set::{Changed, Lookups, Refused, Reloaded, Set};
pub use table::{Found, Table, TooLarge};
