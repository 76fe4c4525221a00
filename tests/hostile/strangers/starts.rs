//! Starts of a group that ran with `redact_pii`, by flags, variables and cut files that would leave it out or make it
//! find less: each ends with exit code 2 and its error, and stores nothing.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::env;
use audit_tests::files::put;
use audit_tests::program::Program;

use crate::hostile::grants::{has_alert, host, nothing_raw, refused, send};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The whole file, with the redactor in a folder.
fn folder_config(case: &Case) -> Result<String> {
    let folder = case.dir.join("plugins");
    fs::create_dir(&folder)?;
    put(&folder.join("20-redact_pii.wasm"), fs::read(env::plugin("redact_pii")?)?)?;
    fs::write(folder.join("20-redact_pii.toml"), "config = { token-key = \"k\" }\n")?;
    Ok(format!(
        "[kafka]\ngroup = \"nightly\"\n[keys.k]\nfile = {:?}\n\
         [plugins]\ndir = {:?}\n[plugins.grants.redact_pii]\nkeys = [\"k\"]\n",
        case.path("key"),
        folder.display(),
    ))
}

/// A group has run, and there are events that it has not read.
fn ran(case: &Case, config: &str) -> Result<()> {
    fs::write(case.dir.join("key"), KEY)?;
    send(case, 10)?;
    host(case, config)?.args(&["--until-end"]).succeed()?;
    nothing_raw(case, 10)?;
    send(case, 10)
}

/// A start is refused with this code, in one line, and the table has what it had.
fn stores_nothing(case: &Case, name: &str, program: &Program, words: &[&str]) -> Result<()> {
    let ended = refused(program, words).with_context(|| name.to_owned())?;
    let lines = ended.error_lines();
    ensure!(lines.len() == 1, "{name}: {lines:?}");
    let n_rows = case.reader().record_origins(TABLE)?.len();
    ensure!(n_rows == 10, "{name}: {n_rows} rows");
    Ok(())
}

#[test]
fn flags_and_variables_that_leave_the_redactor_out_store_nothing() -> Result<()> {
    let case = Case::new("strangers-variables", 1)?;
    let redactor = "[[plugin]]\npath = \"builtin:redact_pii\"\n";
    let config = format!("[kafka]\ngroup = \"nightly\"\n{redactor}");
    ran(&case, &config)?;
    let detector = env::plugin("detect_ip_spread")?;
    let host = host(&case, &config)?;
    let missing = ["no plugin replaces", "user_email", "(AH-0460)"];
    let other = host.clone().env("AUDIT_HOST_GROUP", "other");
    for (name, program) in [
        ("a variable", host.clone().env("AUDIT_HOST_PLUGIN", &detector)),
        ("a flag", host.clone().args(&["--plugin", &detector])),
        ("a variable, another group", other.clone().env("AUDIT_HOST_PLUGIN", &detector)),
        ("a flag, another group", host.clone().args(&["--plugin", &detector, "--group", "other"])),
    ] {
        stores_nothing(&case, name, &program, &missing)?;
    }
    has_alert(&case, "start-refused", "AH-0460")?;
    // Another group with the redactor is a group like any other: it reads the topic from its beginning.
    other.args(&["--until-end"]).succeed()?;
    nothing_raw(&case, 30)
}

#[test]
fn files_that_were_cut_or_find_less_store_nothing() -> Result<()> {
    let case = Case::new("strangers-cuts", 1)?;
    let whole = folder_config(&case)?;
    ran(&case, &whole)?;
    let before = |mark: &str| {
        let (start, _) = whole.split_once(mark).context("the mark is not in the file")?;
        Ok::<_, anyhow::Error>(start.to_owned())
    };
    let no_grant = host(&case, &before("[plugins.grants")?)?;
    stores_nothing(&case, "before the grants", &no_grant, &["token-key", "(AH-0407)"])?;
    for mark in ["dir =", "[plugins]"] {
        let no_folder = host(&case, &before(mark)?)?;
        let words = ["no plugin replaces", "user_email", "(AH-0460)"];
        stores_nothing(&case, mark, &no_folder, &words)?;
    }
    has_alert(&case, "start-refused", "AH-0460")?;
    let beside = case.dir.join("plugins/20-redact_pii.toml");
    let with_key = "token-key = \"k\"";
    for (config, words) in [
        ("fields = { user_email = \"keep\" }", ["no plugin replaces user_email", "(AH-0460)"]),
        ("detectors = [\"ssn\"]", ["marked values come out", "(AH-0461)"]),
    ] {
        let whole = host(&case, &whole)?;
        fs::write(&beside, format!("config = {{ {with_key}, {config} }}\n"))?;
        stores_nothing(&case, config, &whole, &words)?;
        has_alert(&case, "start-refused", words[1].trim_matches(['(', ')']))?;
    }
    // As it was, it goes on where it was.
    fs::write(&beside, format!("config = {{ {with_key} }}\n"))?;
    host(&case, &whole)?.args(&["--until-end"]).succeed()?;
    nothing_raw(&case, 20)
}
