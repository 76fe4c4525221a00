//! Tables and calendars that plugins look up: which role a user has, which network an address is in, when an
//! office is open.
//!
//! They come from files that people write, so nothing in them is trusted: every invalid row is an error
//! with its file and line. What is loaded never changes. A changed file becomes a new [`Set`], and the holder
//! of the [`Lookups`] replaces the current one by it.

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
