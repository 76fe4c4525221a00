//! The format of golden cases: events that go into a plugin, and the rows, alerts and dead letters that
//! must come out.
//!
//! A case is a folder of files in the plugin's project, or an entry of a custom section of the built
//! component. This crate is the only reader and the only writer of both; the format is promised in
//! `docs/plugin-testing.md`. It runs nothing: the program does that, on the real engine. It stays free of
//! arrow and wasmtime, since `cargo xtask` is built with it first.
//!
//! Everything is kept as the text that it is. A parser that sorts keys or rounds a number would test
//! something else.
//!
//! Beside it the other section of ours in a plugin: its source lines (`lines.rs`).

#![forbid(unsafe_code)]

mod error;

mod section;

mod lines;

mod json;

mod case;

mod folder;

mod component;

pub use case::{Case, Expected};
pub use component::{SECTION, embed, embedded, parse, to_json};
pub use error::Error;
pub use folder::{ALERTS, DEAD_LETTERS, EVENTS, ROWS, read_folder, write_expected};
pub use lines::{LINES, Lines, Stretch, append_lines};
pub use section::{CODE, Damaged, Section, Sections, append_custom, sections};
