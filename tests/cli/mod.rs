//! User errors: one line that says what was attempted and what to do, the documented exit code, no panic,
//! no hang.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use audit_tests::case::{Case, DEAD_LETTERS};
use audit_tests::kafka::free_port;
use audit_tests::program::{Ended, Program};
use audit_tests::{broker, env};

/// Wrong usage or configuration.
const USAGE: i32 = 2;
/// Something failed at run time.
const FAILED: i32 = 1;
/// `\0asm`, then version and layer: an empty component, and an empty core module.
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";
/// An error that needs no broker must be found at once, even on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Runs `audit-host` with these arguments and expects `code` and one error line with all the `words`.
fn check(dir: &str, args: &[&str], code: i32, words: &[&str]) -> Result<()> {
    let ended = Program::new(&env::folder(dir)?, args).run()?;
    check_error(&args.join(" "), &ended, code, words)?;
    ensure!(ended.elapsed < AT_ONCE, "`{}` took {:?}", args.join(" "), ended.elapsed);
    Ok(())
}

fn check_error(what: &str, ended: &Ended, code: i32, words: &[&str]) -> Result<()> {
    let said = &ended.stderr;
    ensure!(ended.code() == Some(code), "`{what}` ended with {}: {said}", ended.status);
    ensure!(!said.contains("panicked"), "`{what}`: {said}");
    let errors = ended.error_lines();
    ensure!(errors.len() == 1, "`{what}` prints {} errors: {said}", errors.len());
    ensure!(said.trim_end().ends_with(errors[0]), "`{what}` goes on after it: {said}");
    for word in words {
        ensure!(errors[0].contains(word), "`{what}` does not say {word:?}: {}", errors[0]);
    }
    Ok(())
}

/// A command line that is complete but for a broker that answers, and the arguments of a case.
fn whole<'a>(warehouse: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["--brokers", "127.0.0.1:1", "--topic", "t", "--table", "demo.t"];
    args.extend(["--warehouse", warehouse]);
    args.extend(more);
    args
}

#[test]
fn arguments_that_mean_nothing_are_refused() -> Result<()> {
    let cases: &[(&[&str], &[&str])] = &[
        (&["--trigger-interval", "5"], &["--trigger-interval", "\"5\"", "for example 5s"]),
        (&["--trigger-interval", "1ms"], &["--trigger-interval", "from 100ms to 1h"]),
        (&["--duration", "soon"], &["--duration", "\"soon\"", "for example"]),
        (&["--until-end", "--duration", "5s"], &["--until-end", "--duration", "cannot be used"]),
        (&["--alerts", "ftp://there"], &["--alerts", "ftp://there", "file:PATH"]),
        (&["--table", "no_namespace"], &["--table", "no_namespace", "NAMESPACE"]),
        (&["--table", "demo.../etc"], &["--table", "demo.../etc"]),
        (&["--catalog", "mysql://h/db"], &["mysql://h/db", "sqlite:PATH"]),
        (&["--plugin", "builtin:nope"], &["\"nope\"", "detect_failed_logins", "redact_pii"]),
    ];
    for (more, words) in cases {
        let mut args = whole("w", &[]);
        if more[0] == "--table" {
            args.retain(|arg| !["--table", "demo.t"].contains(arg));
        }
        args.extend(*more);
        check("cli-arguments", &args, USAGE, words)?;
    }
    let generate: &[(&[&str], &[&str])] = &[
        (&["--step", "often"], &["--step", "\"often\""]),
        (&["--to", "ftp://there"], &["--to", "ftp://there", "file:PATH"]),
        (&["--to", "kafka"], &["brokers", "--brokers"]),
        (&["--to", "kafka", "--brokers", "127.0.0.1:1"], &["topic", "--topic"]),
    ];
    for (more, words) in generate {
        check("cli-generate", &[&["generate"], *more].concat(), USAGE, words)?;
    }
    Ok(())
}

#[test]
fn what_is_missing_is_named_with_every_way_to_give_it() -> Result<()> {
    for (flag, variable, key) in [
        ("--brokers", "AUDIT_HOST_BROKERS", "kafka.brokers"),
        ("--topic", "AUDIT_HOST_TOPIC", "kafka.topics"),
        ("--table", "AUDIT_HOST_TABLE", "table.name"),
        ("--warehouse", "AUDIT_HOST_CATALOG", "table.catalog"),
    ] {
        let mut args = whole("w", &[]);
        let at = args.iter().position(|arg| *arg == flag).unwrap_or_default();
        args.drain(at..at + 2);
        check("cli-missing", &args, USAGE, &["is missing", flag, variable, key])?;
    }
    Ok(())
}

/// clap has a form of its own for these, so only its first line is looked at.
#[test]
fn an_unknown_flag_is_refused_with_a_hint() -> Result<()> {
    for (args, words) in [
        (&["--tpoic", "t"][..], &["--tpoic", "--topic"][..]),
        (&["genrate"][..], &["genrate", "generate"][..]),
        (&["--start", "newest"][..], &["newest", "earliest", "latest"][..]),
        (&["demo", "--count", "many"][..], &["--count", "many"][..]),
    ] {
        let ended = Program::new(&env::folder("cli-flags")?, args).run()?;
        ensure!(ended.code() == Some(USAGE), "{args:?} ended with {}", ended.status);
        for word in words {
            ensure!(ended.stderr.contains(word), "{args:?} do not get {word}: {}", ended.stderr);
        }
    }
    Ok(())
}

#[test]
fn a_file_that_is_no_plugin_is_refused_for_what_it_is() -> Result<()> {
    let dir = env::folder("cli-plugins")?;
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = dir.join(name);
        fs::write(&path, bytes)?;
        Ok(path.display().to_string())
    };
    let component = fs::read(env::plugin("redact_pii")?)?;
    let cut = &component[..component.len() / 2];
    let cases: &[(String, &[&str])] = &[
        (
            dir.join("absent.wasm").display().to_string(),
            &["absent.wasm", "--plugin", "No such file"],
        ),
        (dir.display().to_string(), &["cli-plugins", "--plugin"]),
        (file("text.wasm", b"#!/bin/sh\n")?, &["text.wasm", "not a WebAssembly component"]),
        (file("empty.wasm", b"")?, &["empty.wasm", "the file is empty"]),
        (file("core.wasm", EMPTY_MODULE)?, &["core.wasm", "core module", "component"]),
        (
            file("other.wasm", EMPTY_COMPONENT)?,
            &["other.wasm", "does not export", "audit-host:plugin"],
        ),
        (file("cut.wasm", cut)?, &["cut.wasm", "damaged"]),
    ];
    let warehouse = dir.join("w").display().to_string();
    for (plugin, words) in cases {
        check("cli-plugins-run", &whole(&warehouse, &["--plugin", plugin]), USAGE, words)?;
    }
    let twice = env::plugin("redact_pii")?;
    let args = whole(&warehouse, &["--plugin", &twice, "--plugin", &twice]);
    check("cli-plugins-run", &args, USAGE, &["redact_pii", "already"])?;
    ensure!(!PathBuf::from(&warehouse).exists(), "a refused plugin leaves no warehouse");
    Ok(())
}

#[test]
fn a_configuration_that_means_nothing_is_refused_at_its_place() -> Result<()> {
    let dir = env::folder("cli-config")?;
    let redactor = env::plugin("redact_pii")?;
    let plugin = |config: &str| format!("[[plugin]]\npath = \"{redactor}\"\n{config}\n");
    let cases: Vec<(String, Vec<&str>)> = vec![
        ("[kafka]\nbroker = \"x\"".into(), vec!["line 2", "`broker`", "did you mean `brokers`?"]),
        ("[kafak]".into(), vec!["line 1", "`kafak`", "did you mean `kafka`?"]),
        ("[dead-letter]".into(), vec!["`dead-letter`", "did you mean `dead-letters`?"]),
        ("[run]\nuntil-end = \"yes\"".into(), vec!["line 2", "boolean"]),
        ("[run]\ntrigger-interval = \"fast\"".into(), vec!["trigger-interval", "\"fast\""]),
        ("[limits]\nmax-record-bytes = 0".into(), vec!["limits.max-record-bytes", "larger than 0"]),
        ("[kafka.properties]\n\"group.id\" = \"g\"".into(), vec!["group.id", "remove the key"]),
        ("not toml".into(), vec!["line 1"]),
        ("[dead-letters]\npayload = \"sealed\"".into(), vec!["dead-letters.key-file"]),
        ("[dead-letters]\npayload = \"all\"".into(), vec!["`all`", "`digest-only`"]),
        ("[dead-letters]\nkey-file = \"/no/key\"".into(), vec!["/no/key"]),
        (plugin("keys = [\"k\"]"), vec!["\"k\"", "[keys.k]"]),
        (plugin("config = { field = {} }"), vec!["redact_pii", "field"]),
        (plugin("config = { detectors = [\"name\"] }"), vec!["redact_pii", "detectors", "name"]),
    ];
    let file = dir.join("audit-host.toml");
    let (path, warehouse) = (file.display().to_string(), dir.join("w").display().to_string());
    for (text, words) in cases {
        fs::write(&file, &text)?;
        check("cli-config-run", &whole(&warehouse, &["--config", &path]), USAGE, &words)?;
    }
    fs::remove_file(&file)?;
    check("cli-config-run", &whole(&warehouse, &["--config", &path]), USAGE, &[&path])
}

#[test]
fn the_printed_configuration_holds_no_secret() -> Result<()> {
    let dir = env::folder("cli-print")?;
    let file = dir.join("audit-host.toml");
    let secrets = "[kafka]\ngroup = \"of-the-file\"\nstart = \"latest\"\n[kafka.properties]\n\
                   \"sasl.password\" = \"hunter2\"\n\"ssl.key.password\" = \"hunter2\"\n\
                   \"sasl.oauthbearer.client.secret\" = \"hunter2\"\n\"sasl.username\" = \"me\"\n";
    fs::write(&file, secrets)?;
    let path = file.display().to_string();
    let args = whole("w", &["--config", &path, "--print-config"]);
    let printed = Program::new(&dir, &args)
        .env("AUDIT_HOST_GROUP", "of-the-variable")
        .env("AUDIT_HOST_BROKERS", "of-the-variable:1")
        .succeed()?
        .stdout;
    ensure!(!printed.contains("hunter2"), "{printed}");
    for line in [
        "\"sasl.password\" = \"***\"",
        "\"sasl.username\" = \"me\"",
        "brokers = \"127.0.0.1:1\"",
        "group = \"of-the-variable\"",
        "start = \"latest\"",
    ] {
        ensure!(printed.contains(line), "{line} is not in\n{printed}");
    }
    ensure!(!dir.join("w").exists(), "printing makes no warehouse");
    Ok(())
}

#[test]
fn a_broker_that_does_not_answer_ends_the_run_in_half_a_minute() -> Result<()> {
    let dir = env::folder("cli-no-broker")?;
    let brokers = format!("127.0.0.1:{}", free_port()?);
    let args = ["--brokers", &brokers, "--topic", "t", "--table", "demo.t", "--warehouse", "w"];
    let ended = Program::new(&dir, &args).run()?;
    check_error("no broker", &ended, FAILED, &[&brokers, "topic t", "check --brokers"])?;
    ensure!(ended.elapsed < Duration::from_secs(30), "it took {:?}", ended.elapsed);
    let n_lines = ended.stderr.lines().count();
    ensure!(n_lines <= 10, "{n_lines} lines for one broker that is not there");
    Ok(())
}

#[test]
fn a_topic_that_is_not_there_is_named() -> Result<()> {
    let brokers = broker::brokers()?;
    let mut args = whole("w", &["--until-end"]);
    args[1] = &brokers;
    args[3] = "no-such-topic";
    check("cli-no-topic", &args, USAGE, &["no-such-topic", &brokers, "--topic"])
}

#[test]
fn a_warehouse_that_cannot_be_written_is_named() -> Result<()> {
    let dir = env::folder("cli-warehouse")?;
    let file = dir.join("file");
    fs::write(&file, "a file, no folder")?;
    let below = file.join("warehouse").display().to_string();
    let catalog = format!("sqlite:{}", dir.join("catalog.db").display());
    let args = whole(&below, &["--catalog", &catalog]);
    check("cli-warehouse-run", &args, USAGE, &[&below, "warehouse", "make the folder writable"])?;

    let (warehouse, catalog) =
        (dir.join("w").display().to_string(), format!("sqlite:{}", file.join("c.db").display()));
    let args = whole(&warehouse, &["--catalog", &catalog]);
    check(
        "cli-warehouse-run",
        &args,
        USAGE,
        &["catalog", &file.join("c.db").display().to_string()],
    )?;

    let alerts = format!("file:{}", file.join("alerts").display());
    let args = whole(&warehouse, &["--alerts", &alerts]);
    check("cli-warehouse-run", &args, USAGE, &["alerts", &file.display().to_string()])
}

#[test]
fn a_table_with_another_schema_is_left_alone() -> Result<()> {
    let case = Case::new("cli-schema", 1)?;
    case.generate(100, 1)?.succeed()?;
    case.host()?.args(&["--until-end"]).succeed()?;
    let before = case.reader().read(DEAD_LETTERS)?;
    let catalog = format!("sqlite:{}", case.path("catalog.db"));
    let warehouse = case.path("warehouse");
    let brokers = broker::brokers()?;
    let args = ["--brokers", &brokers, "--topic", &case.topic, "--table", DEAD_LETTERS];
    let args = [&args[..], &["--catalog", &catalog, "--warehouse", &warehouse]].concat();
    check("cli-schema-run", &args, USAGE, &[DEAD_LETTERS, "column", "--table"])?;
    let after = case.reader().read(DEAD_LETTERS)?;
    assert_eq!(before.field("metadata_location")?, after.field("metadata_location")?);
    Ok(())
}

#[test]
fn plugins_in_an_order_that_blinds_the_detector_are_refused() -> Result<()> {
    let dir = env::folder("cli-order")?;
    let (detector, redactor) = (env::plugin("detect_failed_logins")?, env::plugin("redact_pii")?);
    let file = dir.join("audit-host.toml");
    let masking = "config = { fields = { ip_address = \"mask\" } }";
    fs::write(&file, format!("[[plugin]]\npath = \"{redactor}\"\n{masking}\n"))?;
    let (path, warehouse) = (file.display().to_string(), dir.join("w").display().to_string());
    let more = ["--config", &path, "--plugin", &redactor, "--plugin", &detector];
    let words = ["detect_failed_logins", "redact_pii", "ip_address", "before"];
    check("cli-order-run", &whole(&warehouse, &more), USAGE, &words)
}

#[test]
fn a_detector_state_that_cannot_be_opened_is_not_thrown_away() -> Result<()> {
    let case = Case::new("cli-keys", 1)?;
    case.generate(200, 1)?.succeed()?;
    let key = |name: &str, key: &str| -> Result<String> {
        fs::write(case.dir.join(name), key)?;
        let config = case.dir.join(format!("{name}.toml"));
        fs::write(&config, format!("[dead-letters]\nkey-file = \"{}\"\n", case.path(name)))?;
        Ok(config.display().to_string())
    };
    let right = key("right", "0123456789abcdef0123456789abcdef")?;
    let wrong = key("wrong", "another-key-another-key-another-")?;
    let host = case.host_with(&["detect_failed_logins"])?.args(&["--until-end"]);
    host.clone().args(&["--config", &right]).succeed()?;
    let without = host.clone().run()?;
    check_error("no key", &without, USAGE, &["sealed", "key-file", "--group"])?;
    let other = host.clone().args(&["--config", &wrong]).run()?;
    check_error("another key", &other, USAGE, &["key"])?;
    host.args(&["--config", &right]).succeed()?;
    Ok(())
}
