//! What plugins may do belongs to the operator: components, files in a folder and torn configurations that would take
//! more, or hide less, are refused by the program, with an alert, a row in the history and the line to write.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::files::{put, sha256};
use audit_tests::json::text;
use audit_tests::program::{Ended, LIMIT, Program, Running, signal, wait_for, wait_until};
use audit_tests::{broker, env, hostile};
use serde_json::{Value, json};

pub(super) const REFUSED: &str = "plugin reload rejected";
pub(super) const LOADED: &str = "plugin loaded";
/// A user error.
const USAGE: i32 = 2;
pub(super) const EMAIL: &str = "alice@company.com";

/// Events of one user, whose address must never be in the table.
pub(super) fn send(case: &Case, n_events: usize) -> Result<()> {
    let event = json!({
        "audit_id": "1", "event_timestamp": "2025-06-02T08:00:00Z", "action_type": "user_login",
        "user_id": "u-1", "user_email": EMAIL, "user_agent": format!("curl of {EMAIL}"),
        "ip_address": "203.0.113.9", "details": format!("{{\"note\": \"by {EMAIL}\"}}"),
    });
    broker::send(&case.topic, (0..n_events).map(|_| (0, Some(event.to_string().into_bytes()))))
}

/// The program with this configuration file, and a cache of its own.
pub(super) fn host(case: &Case, config: &str) -> Result<Program> {
    let path = case.dir.join("audit-host.toml");
    fs::write(&path, config)?;
    let host = case.host()?.args(&["--config", &path.display().to_string()]);
    Ok(host.args(&["--plugin-cache", &case.path("compiled"), "--trigger-interval", "300ms"]))
}

pub(super) fn started(case: &Case, config: &str) -> Result<Running> {
    let running = host(case, config)?.start()?;
    wait_for(&running, "running", 1)?;
    Ok(running)
}

/// A start is refused with exit code 2, and one line has all the words.
pub(super) fn refused(program: &Program, words: &[&str]) -> Result<Ended> {
    let ended = program.clone().args(&["--until-end"]).run()?;
    ensure!(ended.code() == Some(USAGE), "{:?}: {}", ended.code(), ended.stderr);
    let lines = ended.error_lines();
    for word in words {
        ensure!(lines.iter().any(|line| line.contains(word)), "no {word:?} in {lines:?}");
    }
    Ok(ended)
}

/// The last reload was refused, with these words in the log.
pub(super) fn refusal(running: &Running, n: usize, words: &[&str]) -> Result<()> {
    wait_for(running, REFUSED, n)?;
    let log = running.log()?;
    let line = log.lines().rfind(|line| line.contains(REFUSED)).context("no line")?;
    for word in words {
        ensure!(line.contains(word), "no {word:?} in {line}");
    }
    Ok(())
}

pub(super) fn end(running: Running) -> Result<()> {
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    Ok(())
}

/// The refusals in the history, as reason and digest of the candidate.
fn history(case: &Case) -> Result<Vec<(String, String)>> {
    let ended = case.plugin_command(&["history", "--json"]).succeed()?;
    let lines = ended.stdout.lines().map(serde_json::from_str::<Value>);
    let changes = lines.collect::<Result<Vec<_>, _>>()?;
    let refused = changes.iter().filter(|change| change["kind"] == "refused");
    Ok(refused.map(|one| (text(&one["reason"]), text(&one["after"]["sha256"]))).collect())
}

pub(super) fn has_alert(case: &Case, rule: &str, word: &str) -> Result<()> {
    let said = |alerts: &[Value]| {
        alerts.iter().any(|one| one["rule"] == rule && text(&one["message"]).contains(word))
    };
    let alerts = || Ok::<_, anyhow::Error>(case.alerts().unwrap_or_default());
    wait_until(&format!("an alert {rule} with {word:?}"), LIMIT, || Ok(said(&alerts()?)))
}

/// No row has the address, whatever its column.
pub(super) fn nothing_raw(case: &Case, n_rows: usize) -> Result<()> {
    let columns = ["source_offset", "user_id", "user_email", "user_agent", "details"];
    let (_, rows) = case.reader().rows(TABLE, &columns)?;
    let of_records: Vec<_> = rows.iter().filter(|row| !row["source_offset"].is_null()).collect();
    ensure!(of_records.len() == n_rows, "{} rows, not {n_rows}", of_records.len());
    let raw = of_records.iter().find(|row| row.to_string().contains(EMAIL));
    ensure!(raw.is_none(), "stored raw: {raw:?}");
    Ok(())
}

/// The entry of a plugin's file.
fn entry(path: &Path, config: &str) -> String {
    format!("[[plugin]]\npath = {:?}\n{config}\n", path.display())
}

/// `fields = { … }` alone turned the masking of `user_email` off.
#[test]
fn naming_one_column_leaves_the_others_hidden() -> Result<()> {
    let case = Case::new("grants-merged", 1)?;
    send(&case, 10)?;
    let config = "[[plugin]]\npath = \"builtin:redact_pii\"\nconfig = { fields = { ip_address = \"mask\" } }\n";
    host(&case, config)?.args(&["--until-end"]).succeed()?;
    nothing_raw(&case, 10)
}

/// A file cut after any line of the configuration of the redactor: at a reload and at a start.
#[test]
fn a_configuration_that_was_cut_stores_nothing_raw() -> Result<()> {
    let case = Case::new("grants-cut", 1)?;
    send(&case, 10)?;
    let plugin = case.dir.join("redact.wasm");
    put(&plugin, fs::read(env::plugin("redact_pii")?)?)?;
    let lines = [
        "[plugin.config.fields]",
        "user_id = \"drop\"",
        "user_agent = \"drop\"",
        "user_email = \"redact\"",
        "[plugin.config.details-paths]",
        "note = \"redact\"",
    ];
    let whole = entry(&plugin, &lines.join("\n"));
    let cut = |n: usize| entry(&plugin, &lines[..n].join("\n"));
    let running = started(&case, &whole)?;
    wait_until("the first events", LIMIT, || Ok(case.reader().read(TABLE)?.n_rows()? >= 10))?;
    for n in 0..lines.len() - 1 {
        fs::write(case.dir.join("audit-host.toml"), cut(n))?;
        refusal(&running, n + 1, &[])?;
    }
    send(&case, 10)?;
    wait_until("both halves", LIMIT, || Ok(case.reader().read(TABLE)?.n_rows()? >= 20))?;
    end(running)?;
    ensure!(history(&case)?.len() >= lines.len() - 1, "{:?}", history(&case)?);
    // At a start as well, also where only a value within `details` would be stored again.
    for n in 0..lines.len() - 1 {
        let words = ["has lost config.", "--allow-lost-settings redact_pii", "(AH-0877)"];
        refused(&host(&case, &cut(n))?, &words).with_context(|| format!("cut after {n} lines"))?;
    }
    has_alert(&case, "start-refused", "config.details-paths.note")?;
    // Nor does another change that comes along hide the loss.
    let other = cut(lines.len() - 1).replace("user_id = \"drop\"", "user_id = \"redact\"");
    refused(&host(&case, &other)?, &["has lost config.details-paths.note"])?;
    // The table of the plugin is gone altogether.
    let error = refused(&host(&case, "")?, &["no plugin replaces", "user_email"])?;
    ensure!(error.stderr.contains("(AH-0460)"), "{}", error.stderr);
    ensure!(history(&case)?.iter().any(|(reason, _)| reason.contains("AH-0460")));
    nothing_raw(&case, 20)
}

/// A plugin that returns every column as it came declares as much as a redactor.
#[test]
fn a_plugin_that_replaces_columns_by_themselves_is_no_redactor() -> Result<()> {
    let case = Case::new("grants-no-op", 1)?;
    send(&case, 10)?;
    let plugin = case.dir.join("plugin.wasm");
    put(&plugin, fs::read(env::plugin("redact_pii")?)?)?;
    host(&case, &entry(&plugin, ""))?.args(&["--until-end"]).succeed()?;
    put(&plugin, fs::read(env::guest("copy_column")?)?)?;
    let columns = "\"user_email\", \"user_id\", \"user_agent\", \"details\", \"resource_name\", \"resource_id\", \
                   \"session_id\", \"ip_address\", \"resource_type\", \"action_result\"";
    let no_op = entry(&plugin, &format!("config = {{ copy = [{columns}] }}"));
    let words = [
        "marked values come out",
        "user_email (address, card, email, iban, jwt, phone, secret, ssn, word)",
        "(AH-0461)",
    ];
    refused(&host(&case, &no_op)?, &words)?;
    has_alert(&case, "start-refused", "user_email")?;
    ensure!(history(&case)?.iter().any(|(reason, _)| reason.contains("AH-0461")));
    // The operator's own list is proved from the first start on.
    let first = case.beside("grants-no-op-first")?;
    let listed = format!("[plugins]\nrequire-replaced = [\"user_email\"]\n{no_op}");
    refused(&host(&first, &listed)?, &["marked values come out", "--allow-unredacted user_email"])?;
    nothing_raw(&case, 10)
}

/// A version or a configuration that no longer declares the column, under a running host.
#[test]
fn a_reload_that_stops_replacing_a_column_is_refused() -> Result<()> {
    let case = Case::new("grants-stops", 1)?;
    send(&case, 10)?;
    let plugin = case.dir.join("plugin.wasm");
    put(&plugin, hostile::with_mode(&fs::read(env::guest("hostile")?)?, "transform")?)?;
    let running = started(&case, &entry(&plugin, "config = { do = \"append-mark\" }"))?;
    let nothing = entry(&plugin, "config = { do = \"configure-reads-nothing\" }");
    fs::write(case.dir.join("audit-host.toml"), nothing)?;
    refusal(&running, 1, &["user_agent"])?;
    has_alert(&case, "plugin-refused", "user_agent")?;
    end(running)
}

/// Version 2 of a detector reads a column more: refused at a reload and at a start, until the line is written.
#[test]
fn a_version_that_reads_more_needs_the_line_that_is_named() -> Result<()> {
    let case = Case::new("grants-reads", 1)?;
    send(&case, 10)?;
    let plugin = case.dir.join("plugin.wasm");
    let first = fs::read(env::guest("copy_column")?)?;
    let second = hostile::with_padding(&first, 100);
    put(&plugin, &first)?;
    let config = |read: &str| format!("config = {{ read = [{read}] }}");
    // What changes together is read together: on a signal.
    let list = entry(&plugin, &config("\"user_id\""));
    let running = host(&case, &list)?.args(&["--watch-plugins=false"]).start()?;
    wait_for(&running, "running", 1)?;
    let read_again = || signal(running.pid(), "HUP");
    wait_until("the table", LIMIT, || Ok(case.plugin_command(&["list"]).run()?.status.success()))?;
    let listed = case.plugin_command(&["list"]).succeed()?.stdout;
    ensure!(listed.contains("Accepted with:") && listed.contains("user_agent user_id"), "{listed}");

    // Another component that reads no more is a version like any other.
    put(&plugin, &second)?;
    read_again()?;
    wait_for(&running, LOADED, 1)?;
    // One that reads `details` as well.
    let more = config("\"user_id\", \"details\"");
    let third = hostile::with_padding(&first, 200);
    fs::write(&plugin, &third)?;
    fs::write(case.dir.join("audit-host.toml"), entry(&plugin, &more))?;
    read_again()?;
    let line = "reads = [\\\"details\\\", \\\"user_agent\\\", \\\"user_id\\\"]";
    refusal(&running, 1, &["copy_column reads details", "no grant", line, "(AH-0875)"])?;
    has_alert(&case, "plugin-refused", "reads details")?;
    end(running)?;
    ensure!(history(&case)?.iter().any(|(_, digest)| *digest == sha256(&third)), "no digest");

    // At a start as well.
    refused(&host(&case, &entry(&plugin, &more))?, &["reads details", "(AH-0875)"])?;
    has_alert(&case, "start-refused", "reads details")?;
    // With the line that was named it starts.
    let granted = format!("reads = [\"details\", \"user_agent\", \"user_id\"]\n{more}");
    host(&case, &entry(&plugin, &granted))?.args(&["--until-end"]).succeed()?;
    Ok(())
}

/// A file that comes into a watched folder does not run, and is not compiled, before somebody names it.
#[test]
fn a_name_that_appears_in_the_folder_needs_a_grant() -> Result<()> {
    let case = Case::new("grants-folder", 1)?;
    send(&case, 10)?;
    let folder = case.dir.join("plugins");
    fs::create_dir(&folder)?;
    put(&folder.join("20-redact.wasm"), fs::read(env::plugin("redact_pii")?)?)?;
    let list = format!("[plugins]\ndir = {:?}\n", folder.display());
    let running = started(&case, &list)?;
    let detector = fs::read(env::plugin("detect_failed_logins")?)?;
    put(&folder.join("10-detect.wasm"), &detector)?;
    let line = "[plugins.grants.10-detect]";
    refusal(&running, 1, &[line, "(AH-0876)"])?;
    has_alert(&case, "plugin-refused", line)?;
    // The line that was named is enough.
    fs::write(case.dir.join("audit-host.toml"), format!("{list}{line}\n"))?;
    wait_for(&running, LOADED, 1)?;
    end(running)?;
    // It is pinned now; another one is not, also at a start.
    end(started(&case, &list)?)?;
    put(&folder.join("05-ip.wasm"), fs::read(env::plugin("detect_ip_spread")?)?)?;
    refused(&host(&case, &list)?, &["[plugins.grants.05-ip]", "(AH-0876)"])?;
    has_alert(&case, "start-refused", "05-ip")
}

/// A `NAME.toml` that grants a key and 4 GiB, in a folder that everybody can write.
#[test]
fn files_in_a_folder_grant_nothing_and_folders_of_everybody_are_not_used() -> Result<()> {
    let case = Case::new("grants-open", 1)?;
    send(&case, 10)?;
    let folder = case.dir.join("plugins");
    fs::create_dir(&folder)?;
    let plugin = folder.join("redact.wasm");
    put(&plugin, fs::read(env::plugin("redact_pii")?)?)?;
    fs::write(case.dir.join("key"), "0123456789abcdef0123456789abcdef")?;
    let list = format!(
        "[plugins]\ndir = {:?}\n[keys.pii]\nfile = {:?}\n",
        folder.display(),
        case.path("key")
    );
    let running = started(&case, &list)?;
    let beside = folder.join("redact.toml");
    let granting = "keys = [\"pii\"]\nlimits = { memory-bytes-max = 4294967296 }\n";
    fs::write(&beside, granting)?;
    let lines = "under [plugins.grants.redact]: `keys = [\\\"pii\\\"]` and `limits = ";
    refusal(&running, 1, &["grants nothing", lines])?;
    fs::remove_file(&beside)?;
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set_mode(&folder, 0o777)?;
    fs::write(folder.join("notes.txt"), "an event")?;
    refusal(&running, 2, &["other users can write to ", "chmod go-w"])?;
    end(running)?;
    refused(&host(&case, &list)?, &["other users can write to it (mode 777)", "(AH-0120)"])?;
    set_mode(&folder, 0o755)?;
    set_mode(&plugin, 0o666)?;
    refused(&host(&case, &list)?, &["redact.wasm is not used", "(AH-0120)"])?;
    set_mode(&plugin, 0o644)?;
    fs::write(&beside, granting)?;
    refused(&host(&case, &list)?, &["redact.toml", "[plugins.grants.redact]", "(AH-0121)"])?;
    fs::remove_file(&beside)?;
    // In the main file the same is granted.
    let granted = format!(
        "{list}[plugins.grants.redact]\nkeys = [\"pii\"]\nlimits = {{ memory-bytes-max = 4294967296 }}\n"
    );
    fs::write(&beside, "config = { token-key = \"pii\" }\n")?;
    host(&case, &granted)?.args(&["--until-end"]).succeed()?;
    nothing_raw(&case, 10)
}

/// `sha256 = "…"`: another component is refused before it is compiled, and the history has its digest.
#[test]
fn a_pinned_digest_admits_no_other_component() -> Result<()> {
    let case = Case::new("grants-digest", 1)?;
    send(&case, 10)?;
    let plugin = case.dir.join("plugin.wasm");
    let good = fs::read(env::guest("files_and_sockets")?)?;
    put(&plugin, &good)?;
    let pinned = format!("sha256 = \"{}\"\nconfig = {{ try = \"nothing\" }}", sha256(&good));
    let running = started(&case, &entry(&plugin, &pinned))?;
    // Not even a component: it is not looked at.
    let other = b"no wasm".to_vec();
    put(&plugin, &other)?;
    refusal(&running, 1, &["not the component that the configuration pins", "(AH-0122)"])?;
    end(running)?;
    refused(&host(&case, &entry(&plugin, &pinned))?, &[&sha256(&other), "(AH-0122)"])?;
    let history = history(&case)?;
    let n_digests = history.iter().filter(|(_, digest)| *digest == sha256(&other)).count();
    ensure!(n_digests == 2, "at the reload and at the start: {history:?}");
    // Nor is the digest lost without a word.
    let lost = entry(&plugin, "config = { try = \"nothing\" }");
    put(&plugin, &good)?;
    refused(&host(&case, &lost)?, &["has lost sha256", "(AH-0877)"])?;
    put(&plugin, &other)?;
    // The same refusal again is no news.
    refused(&host(&case, &entry(&plugin, &pinned))?, &["(AH-0122)"])?;
    let history = self::history(&case)?;
    refused(&host(&case, &entry(&plugin, &pinned))?, &["(AH-0122)"])?;
    ensure!(self::history(&case)?.len() == history.len(), "it was recorded again");
    Ok(())
}

/// Loosening is said by a person, once, and is on record.
#[test]
fn a_column_is_given_up_only_by_name_and_on_record() -> Result<()> {
    let case = Case::new("grants-loosen", 1)?;
    send(&case, 10)?;
    let config = "[[plugin]]\npath = \"builtin:redact_pii\"\n";
    host(&case, config)?.args(&["--until-end"]).succeed()?;
    let kept = format!("{config}config = {{ fields = {{ user_email = \"keep\" }} }}\n");
    refused(&host(&case, &kept)?, &["user_email", "--allow-unredacted user_email"])?;
    // Nor does the file loosen it.
    let narrowed = format!("[plugins]\nrequire-replaced = [\"details\"]\n{kept}");
    refused(&host(&case, &narrowed)?, &["--allow-unredacted user_email"])?;
    refused(
        &host(&case, &kept)?.args(&["--allow-unredacted", "nonsense"]),
        &["is not a column that can be replaced", "user_email"],
    )?;
    let allowed = host(&case, &kept)?.args(&["--allow-unredacted", "user_email", "--until-end"]);
    allowed.succeed()?;
    has_alert(&case, "unredacted-allowed", "user_email")?;
    host(&case, &kept)?.args(&["--until-end"]).succeed()?;
    allowed.succeed()?;
    // A flag that was not needed gives nothing up for later.
    let other = ["--allow-unredacted", "details", "--until-end"];
    host(&case, &kept)?.args(&other).succeed()?;
    let two = "config = { fields = { user_email = \"keep\", details = \"keep\" } }";
    refused(&host(&case, &format!("{config}{two}\n"))?, &["--allow-unredacted details"])?;
    let history = case.plugin_command(&["history", "--json"]).succeed()?.stdout;
    let n_rows = history.matches("unredacted-allowed").count();
    ensure!(n_rows == 1, "{n_rows} rows: {history}");
    Ok(())
}

/// Settings are given up as columns are.
#[test]
fn settings_are_given_up_only_by_name_and_on_record() -> Result<()> {
    let case = Case::new("grants-settings", 1)?;
    send(&case, 10)?;
    let plugin = "[[plugin]]\npath = \"builtin:redact_pii\"\n";
    let whole = format!("{plugin}[plugin.config.details-paths]\ndiagnosis = \"drop\"\n");
    host(&case, &whole)?.args(&["--until-end"]).succeed()?;
    refused(&host(&case, plugin)?, &["redact_pii has lost config.details-paths.diagnosis"])?;
    let allowed = host(&case, plugin)?.args(&["--allow-lost-settings", "redact_pii"]);
    allowed.args(&["--until-end"]).succeed()?;
    has_alert(&case, "unredacted-allowed", "config.details-paths.diagnosis")?;
    let history = case.plugin_command(&["history", "--json"]).succeed()?.stdout;
    ensure!(history.matches("unredacted-allowed").count() == 1, "{history}");
    // From then on they are not missed.
    host(&case, plugin)?.args(&["--until-end"]).succeed()?;
    Ok(())
}

/// A file that was cut before the line with the group would be another group, which has hidden nothing yet.
#[test]
fn another_group_of_the_table_hides_what_the_first_does() -> Result<()> {
    let case = Case::new("grants-group", 1)?;
    send(&case, 10)?;
    let group = "[kafka]\ngroup = \"audit\"\n";
    let plugin = "[[plugin]]\npath = \"builtin:redact_pii\"\n";
    host(&case, &format!("{group}{plugin}"))?.args(&["--until-end"]).succeed()?;
    refused(&host(&case, "")?, &["no plugin replaces", "user_email", "(AH-0460)"])?;
    nothing_raw(&case, 10)?;
    // With the plugin it is a group like any other.
    host(&case, plugin)?.args(&["--until-end"]).succeed()?;
    nothing_raw(&case, 20)
}

/// A plugin that rejects the marked rows, or fails on them, has hidden nothing.
#[test]
fn a_plugin_that_only_passes_no_marked_row_proves_nothing() -> Result<()> {
    let case = Case::new("grants-rejects", 1)?;
    send(&case, 10)?;
    let plugin = case.dir.join("plugin.wasm");
    put(&plugin, hostile::with_mode(&fs::read(env::guest("hostile")?)?, "transform")?)?;
    for behavior in ["quarantine-all", "trap"] {
        let config = format!("config = {{ do = \"{behavior}\", times = 1 }}");
        let required = "[plugins]\nrequire-replaced = [\"user_agent\"]\n";
        let config = format!("{required}{}", entry(&plugin, &config));
        refused(&host(&case, &config)?, &["user_agent", "(AH-046"])
            .with_context(|| behavior.to_owned())?;
    }
    Ok(())
}

/// Nor does it run, with the key of another one and in front of it, because its name looks like that one's.
#[test]
fn a_grant_is_for_one_file_whatever_digits_stand_before_its_name() -> Result<()> {
    let case = Case::new("grants-digits", 1)?;
    send(&case, 10)?;
    let folder = case.dir.join("plugins");
    fs::create_dir(&folder)?;
    put(&folder.join("20-redact.wasm"), fs::read(env::plugin("redact_pii")?)?)?;
    let list = format!("[plugins]\ndir = {:?}\n\n[plugins.grants.redact]\n", folder.display());
    let running = started(&case, &list)?;
    let detector = fs::read(env::plugin("detect_ip_spread")?)?;
    for (n, name) in ["00-redact.wasm", "redact.wasm"].into_iter().enumerate() {
        put(&folder.join(name), &detector)?;
        refusal(&running, n + 1, &[name, "20-redact.wasm", "(AH-0878)"])?;
    }
    end(running)?;
    refused(&host(&case, &list)?, &["(AH-0878)"])?;
    has_alert(&case, "start-refused", "AH-0878")
}

/// A folder that is filled with files holds up no plugin that may run, and each refusal is not a commit.
#[test]
fn very_many_files_that_nothing_grants_hold_up_no_reload() -> Result<()> {
    const FILES: usize = 500;
    let case = Case::new("grants-many", 1)?;
    send(&case, 10)?;
    let folder = case.dir.join("plugins");
    fs::create_dir(&folder)?;
    let redactor = fs::read(env::plugin("redact_pii")?)?;
    put(&folder.join("20-redact.wasm"), &redactor)?;
    let running = started(&case, &format!("[plugins]\ndir = {:?}\n", folder.display()))?;
    for n in 0..FILES {
        fs::write(folder.join(format!("n{n}.wasm")), b"\0asm\x0d\0\x01\0")?;
    }
    put(&folder.join("20-redact.wasm"), hostile::with_padding(&redactor, 100))?;
    wait_for(&running, LOADED, 1)?;
    wait_for(&running, "(AH-0879)", 1)?;
    let n_refused = running.log()?.matches(REFUSED).count();
    ensure!(n_refused < FILES / 4, "{n_refused} refusals");
    end(running)
}

/// Settings beside one component that cannot be read hold up no other one.
#[test]
fn a_broken_file_beside_one_plugin_holds_up_no_other() -> Result<()> {
    let case = Case::new("grants-broken", 1)?;
    send(&case, 10)?;
    let folder = case.dir.join("plugins");
    fs::create_dir(&folder)?;
    let redactor = fs::read(env::plugin("redact_pii")?)?;
    put(&folder.join("20-redact.wasm"), &redactor)?;
    put(&folder.join("10-detect.wasm"), fs::read(env::plugin("detect_failed_logins")?)?)?;
    let list = format!("[plugins]\ndir = {:?}\n", folder.display());
    let running = started(&case, &list)?;
    fs::write(folder.join("10-detect.toml"), "config = {")?;
    refusal(&running, 1, &["10-detect.toml", "(AH-0101)"])?;
    put(&folder.join("20-redact.wasm"), hostile::with_padding(&redactor, 100))?;
    wait_for(&running, LOADED, 1)?;
    let n_refused = running.log()?.matches(REFUSED).count();
    ensure!(n_refused == 1, "reported {n_refused} times");
    end(running)?;
    // A start reads everything or nothing.
    refused(&host(&case, &list)?, &["10-detect.toml", "(AH-0101)"])?;
    Ok(())
}
