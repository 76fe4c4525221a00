//! A plugin that misbehaves as its configuration says, so that one component serves a whole suite of
//! tests: `tests/guests/README.md` lists what it can do.
//!
//! It uses the raw bindings of `wit/`, and below them the canonical ABI itself, as the SDK would not let it
//! answer wrongly. Two things decide what it does: the marker that a test patches in
//! the file ([`mode`]), for what is said before there is a configuration, and the configuration
//! ([`options`]). It never misbehaves in a way that neither asked for.

mod boundary;
mod guest;

mod mode;
mod options;

mod configure;
mod counter;
mod state;

mod answers;
mod extra;
mod faults;
mod findings;
mod forged;
mod marks;
mod quotes;
mod resources;
mod traps;

/// The bindings generated from the WIT, unchanged.
mod abi {
    #![allow(warnings, clippy::pedantic, reason = "generated code")]

    wit_bindgen::generate!({
        path: "../../../wit",
        world: "plugin",
        generate_all,
    });
}
