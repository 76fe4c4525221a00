//! The commands.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};

pub(crate) mod decrypt;
pub(crate) mod demo;
pub(crate) mod generate;
pub(crate) mod plugin;
pub(crate) mod run;

/// Writes a command's answer. Whoever reads it may have seen enough, as `head`: that is no error.
fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to standard output"),
    }
}
