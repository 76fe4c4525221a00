//! Finds personal data in text, by rules with validators rather than by patterns alone.
//!
//! The search stops only at a few bytes: `@`, `:`, `=`, the first digit of a number and the first letter of
//! a long word. Every byte is inspected a bounded number of times, for any text, and what several layers of
//! encoding multiply ends with a budget.

mod base64;
mod byte;
mod card;
mod email;
mod finder;
mod fold;
mod groups;
mod iban;
mod ipv4;
mod ipv6;
mod jwt;
mod kind;
pub(crate) mod label;
mod number;
mod phone;
mod random;
mod secret;
mod ssn;
pub(crate) mod value;
pub(crate) mod word;
mod work;

pub(crate) use card::{is_card_written, whole_digits};
pub(crate) use email::is_email;
pub(crate) use finder::Finder;
pub(crate) use iban::at as iban_at;
pub(crate) use kind::{Kind, Kinds, Match};
pub(crate) use label::Label;
pub(crate) use number::is_uuid;
pub(crate) use secret::ends_with_scheme;
pub(crate) use work::Work;
