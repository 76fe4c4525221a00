//! How the program ends after an error: one line, and an exit code.

use std::error::Error as StdError;

use audit_core::Kind;
use audit_core::text::one_line;

use crate::{commands, config, error, golden};

/// Something failed.
const FAILED: u8 = 1;
/// The command line, the configuration or a file that it names is wrong. clap uses the same code.
const USAGE: u8 = 2;

/// The error and its causes on one line, with the code of the deepest cause that has one.
pub(crate) fn line(error: &(dyn StdError + 'static)) -> String {
    let text = one_line(error);
    match anyhow::Chain::new(error).rev().find_map(coded) {
        Some((_, code)) => format!("{text} ({code})"),
        None => text,
    }
}

/// The exit code. An error of the configuration is the user's, wherever it was found; else the outermost error
/// that has a kind decides: it knows what was attempted.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    if error.chain().any(<dyn StdError>::is::<config::Error>) {
        return USAGE;
    }
    match error.chain().find_map(coded) {
        Some((Kind::Config, _)) => USAGE,
        _ => FAILED,
    }
}

/// Kind and code of one of our errors. Every error type that can reach `main` is here, and only here.
fn coded(error: &(dyn StdError + 'static)) -> Option<(Kind, &'static str)> {
    macro_rules! with_kind {
        ($($type:ty),+ $(,)?) => {
            $(if let Some(error) = error.downcast_ref::<$type>() {
                return Some((error.kind(), error.code()));
            })+
        };
    }
    with_kind!(
        audit_core::Error,
        audit_source::Error,
        audit_chain::Error,
        audit_sink::Error,
        audit_alert::Error,
        error::Error,
        config::Error,
        commands::plugin::Error,
        commands::table::Error,
    );
    // These know nothing of the host, and so of its kinds.
    if let Some(error) = error.downcast_ref::<audit_lookup::Error>() {
        return Some((Kind::Config, error.code()));
    }
    if let Some(error) = error.downcast_ref::<audit_toolchain::Error>() {
        return Some((Kind::Failed, error.code()));
    }
    if let Some(error) = error.downcast_ref::<audit_golden::Error>() {
        return Some((Kind::Failed, error.code()));
    }
    error.downcast_ref::<golden::Error>().map(|error| (Kind::Failed, error.code()))
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn the_deepest_code_is_printed_and_the_outermost_kind_decides() {
        let damaged = golden::Error::from(audit_golden::Error::Damaged { at: 3 });
        let start = error::Error::GoldenCases { plugin: "p.wasm".to_owned(), cause: damaged };
        let error = anyhow!(start).context("starting");
        let text = line(error.as_ref());
        assert!(text.starts_with("starting: running the golden cases of p.wasm: "), "{text}");
        assert!(text.ends_with("byte 3; build it again (AH-1100)"), "{text}");
        assert_eq!(code(&error), USAGE);
        let failed = Err::<(), _>(error::Error::Output(std::io::Error::other("no\nroom")));
        let error = failed.context("ending").unwrap_err();
        assert_eq!(line(error.as_ref()), "ending: writing to standard output: no room (AH-0801)");
        assert_eq!(code(&error), FAILED);
        assert_eq!((line(anyhow!("so").as_ref()), code(&anyhow!("so"))), ("so".to_owned(), FAILED));
    }
}
