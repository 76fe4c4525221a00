//! Every way in which a file is replaced and reloaded, and every file that is rejected.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::files::{put, sha256};
use audit_tests::json::json_lines;
use audit_tests::program::{LIMIT, wait_for, wait_until};
use audit_tests::{env, hostile};
use serde_json::Value;

use super::{MARK, hang_up, host, marks_of, plugin_folder, versions};

const TAKEN: &str = "plugin loaded";
const REFUSED: &str = "plugin reload rejected";

#[test]
fn a_file_is_reloaded_however_it_is_written() -> Result<()> {
    let case = Case::new("reload-files", 1)?;
    case.generate(500, 1)?.succeed()?;
    let versions = versions()?;
    // As Kubernetes mounts a ConfigMap: the file is a link through a link that is replaced.
    let folder = plugin_folder(&case)?;
    for (name, bytes) in [("..1", &versions[0]), ("..2", &versions[1])] {
        fs::create_dir(folder.join(name))?;
        fs::write(folder.join(name).join("plugin.wasm"), bytes)?;
    }
    symlink("..1", folder.join("..data"))?;
    let plugin = folder.join("plugin.wasm");
    symlink("..data/plugin.wasm", &plugin)?;
    let running = host(&case, &plugin)?.start()?;
    wait_for(&running, "running", 1)?;

    symlink("..2", folder.join("..data_tmp"))?;
    fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    wait_for(&running, TAKEN, 1)?;
    // A rename over the link itself.
    put(&plugin, &versions[0])?;
    wait_for(&running, TAKEN, 2)?;
    // Truncated and written in place.
    fs::write(&plugin, &versions[1])?;
    wait_for(&running, TAKEN, 3)?;
    // Deleted, and back as the other version.
    fs::remove_file(&plugin)?;
    wait_for(&running, REFUSED, 1)?;
    put(&plugin, &versions[0])?;
    wait_for(&running, TAKEN, 4)?;
    // The configuration of a plugin, with the file as it is.
    let config = case.dir.join("audit-host.toml");
    let text = fs::read_to_string(&config)?;
    put(&config, text.replace("\"nothing\"", "\"preopens\"").as_bytes())?;
    wait_for(&running, TAKEN, 5)?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;

    let history = case.plugin_command(&["history", "--json"]).succeed()?;
    let history: Vec<Value> =
        history.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let kinds: Vec<&str> = history.iter().filter_map(|change| change["kind"].as_str()).collect();
    let expected = ["replaced", "replaced", "replaced", "refused", "replaced", "replaced"];
    ensure!(kinds == expected, "{kinds:?}");
    let listed = case.plugin_command(&["list", "--json"]).succeed()?;
    ensure!(listed.stdout.contains(&sha256(&versions[0])), "{}", listed.stdout);
    Ok(())
}

#[test]
fn a_bad_file_never_replaces_a_good_one() -> Result<()> {
    let case = Case::new("reload-bad", 1)?;
    case.generate(500, 2)?.succeed()?;
    let versions = versions()?;
    let plugin = plugin_folder(&case)?.join("plugin.wasm");
    put(&plugin, &versions[0])?;
    let running = host(&case, &plugin)?.start()?;
    wait_for(&running, "running", 1)?;
    let other_plugin = hostile::patched(&versions[1], "files_and_sockets", "files_and_sackets")?;
    let bad: &[(Vec<u8>, &str)] = &[
        (hostile::truncated(&versions[1], 5000)?, "compiling"),
        (hostile::core_module(&versions[1])?, "core module"),
        (hostile::with_abi(&versions[1], "0.9.0")?, "0.9.0"),
        (b"no wasm".to_vec(), "does not begin like WebAssembly"),
        (other_plugin, "a file keeps its plugin"),
    ];
    for (n, (bytes, word)) in bad.iter().enumerate() {
        put(&plugin, bytes)?;
        wait_for(&running, REFUSED, n + 1)?;
        let log = running.log()?;
        let line = log.lines().rfind(|line| line.contains(REFUSED));
        ensure!(line.is_some_and(|line| line.contains(word)), "{word}: {line:?}");
    }
    // On SIGHUP it is tried again, and reported again.
    hang_up(&running)?;
    wait_for(&running, REFUSED, bad.len() + 1)?;
    // All of it was judged by the good version, before and after.
    case.generate(500, 12)?.succeed()?;
    wait_until("both halves", LIMIT, || Ok(case.reader().read(TABLE)?.n_rows()? >= 1000))?;
    let marks = marks_of(&case)?;
    ensure!(marks.len() == 1000 && marks.iter().all(|mark| mark == MARK), "{marks:?}");
    // The good version was never gone, and its successor is loaded.
    put(&plugin, &versions[1])?;
    wait_for(&running, TAKEN, 1)?;
    let alerts = || -> Result<Vec<Value>> {
        Ok(json_lines(&case.dir.join("alerts.jsonl")).unwrap_or_default())
    };
    wait_until("an alert for every refusal", LIMIT, || {
        Ok(alerts()?.iter().filter(|alert| alert["rule"] == "plugin-refused").count() > bad.len())
    })
    .with_context(|| format!("{:?}", alerts().map(|alerts| alerts.len())))?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    Ok(())
}

#[test]
fn a_plugin_folder_grows_and_a_deleted_file_leaves_its_plugin() -> Result<()> {
    let case = Case::new("reload-folder", 1)?;
    case.generate(500, 3)?.succeed()?;
    let folder = plugin_folder(&case)?;
    put(&folder.join("20-redact.wasm"), &fs::read(env::plugin("redact_pii")?)?)?;
    fs::write(folder.join("notes.txt"), "no plugin")?;
    // What comes into the folder later runs only with a grant.
    let (folder_arg, config) = (folder.display().to_string(), case.path("audit-host.toml"));
    fs::write(&config, "[plugins.grants.10-detect]\n")?;
    let running = case
        .host()?
        .args(&["--plugin-dir", &folder_arg, "--plugin-cache", &case.path("compiled")])
        .args(&["--config", &config])
        .args(&["--trigger-interval", "500ms"])
        .start()?;
    wait_for(&running, "running", 1)?;
    put(&folder.join("10-detect.wasm"), &fs::read(env::plugin("detect_failed_logins")?)?)?;
    wait_for(&running, TAKEN, 1)?;
    fs::remove_file(folder.join("20-redact.wasm"))?;
    wait_for(&running, "the plugin keeps running until a restart", 1)?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    let listed = case.plugin_command(&["list", "--json"]).succeed()?.stdout;
    ensure!(listed.contains("redact_pii") && listed.contains("detect_failed_logins"), "{listed}");
    Ok(())
}

/// An empty file is valid TOML: it must not take the redactor out of the chain.
#[test]
fn an_emptied_configuration_removes_nothing() -> Result<()> {
    let case = Case::new("reload-emptied", 1)?;
    case.generate(500, 5)?.succeed()?;
    let plugin = plugin_folder(&case)?.join("plugin.wasm");
    put(&plugin, &versions()?[0])?;
    let running = host(&case, &plugin)?.start()?;
    wait_for(&running, "running", 1)?;
    fs::write(case.dir.join("audit-host.toml"), "")?;
    wait_for(&running, "the plugin keeps running until a restart", 1)?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    let listed = case.plugin_command(&["list", "--json"]).succeed()?.stdout;
    ensure!(listed.contains("files_and_sockets"), "{listed}");
    Ok(())
}

/// A plugin of the command line has its configuration from the file: with an empty one it would run with its
/// defaults, and store what it was configured to hide.
#[test]
fn an_emptied_configuration_reconfigures_nothing() -> Result<()> {
    let case = Case::new("reload-defaults", 1)?;
    case.generate(500, 8)?.succeed()?;
    let plugin = plugin_folder(&case)?.join("redact.wasm");
    put(&plugin, &fs::read(env::plugin("redact_pii")?)?)?;
    let (path, config) = (plugin.display().to_string(), case.path("audit-host.toml"));
    let hidden = "config = { fields = { user_id = \"drop\" } }";
    fs::write(&config, format!("[[plugin]]\npath = {path:?}\n{hidden}\n"))?;
    let running = case
        .host()?
        .args(&["--config", &config, "--plugin", &path, "--plugin-cache", &case.path("compiled")])
        .args(&["--trigger-interval", "500ms"])
        .start()?;
    wait_for(&running, "running", 1)?;
    fs::write(&config, "")?;
    wait_for(&running, "its configuration is gone", 1)?;
    fs::write(&config, format!("[[plugin]]\npath = {path:?}\n"))?;
    case.generate(500, 9)?.succeed()?;
    wait_until("both halves", LIMIT, || Ok(case.reader().read(TABLE)?.n_rows()? >= 1000))?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    let (_, rows) = case.reader().rows(TABLE, &["user_id", "source_offset"])?;
    let of_records: Vec<_> = rows.iter().filter(|row| !row["source_offset"].is_null()).collect();
    ensure!(of_records.len() == 1000, "{} rows", of_records.len());
    ensure!(of_records.iter().all(|row| row["user_id"].is_null()), "a user is stored");
    Ok(())
}

/// A plugin that cannot be loaded holds up no other one, and one whose file has left the folder stays.
#[test]
fn one_bad_change_holds_up_no_good_one() -> Result<()> {
    let case = Case::new("reload-apart", 1)?;
    case.generate(500, 10)?.succeed()?;
    let (folder, versions) = (plugin_folder(&case)?, versions()?);
    let config = case.path("audit-host.toml");
    fs::write(case.dir.join("roles.csv"), "user_id,role\nada,clerk\n")?;
    let granted = "reads = [\"ip_address\", \"user_agent\", \"event_timestamp\", \"source_timestamp\", \"user_id\"]\n\
                   writes = [\"ip_class\", \"user_agent_family\", \"business_hours\", \"actor_role\"]";
    fs::write(
        &config,
        format!(
            "[lookups.roles]\nfile = \"roles.csv\"\nkey = \"user_id\"\n[plugins.grants.05-detect]\n\
             [plugins.grants.10-enrich]\nlookups = [\"roles\"]\n{granted}\n"
        ),
    )?;
    put(&folder.join("10-enrich.wasm"), &fs::read(env::plugin("enrich_context")?)?)?;
    put(&folder.join("20-marks.wasm"), &versions[0])?;
    fs::write(folder.join("20-marks.toml"), "config = { try = \"nothing\" }\n")?;
    let running = case
        .host()?
        .args(&["--config", &config, "--plugin-dir", &folder.display().to_string()])
        .args(&["--plugin-cache", &case.path("compiled"), "--watch-plugins=false"])
        .start()?;
    wait_for(&running, "running", 1)?;

    // Its new column is not in the table: only a restart adds it.
    let adds = "config = { roles = \"roles\" }\n";
    fs::write(folder.join("10-enrich.toml"), adds)?;
    put(&folder.join("20-marks.wasm"), &versions[1])?;
    hang_up(&running)?;
    wait_for(&running, TAKEN, 1)?;
    wait_for(&running, "a restart adds it", 1)?;

    fs::remove_file(folder.join("10-enrich.toml"))?;
    fs::remove_file(folder.join("20-marks.wasm"))?;
    put(&folder.join("05-detect.wasm"), &fs::read(env::plugin("detect_failed_logins")?)?)?;
    hang_up(&running)?;
    wait_for(&running, TAKEN, 2)?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    let listed = case.plugin_command(&["list", "--json"]).succeed()?.stdout;
    for name in ["detect_failed_logins", "enrich_context", "files_and_sockets"] {
        ensure!(listed.contains(name), "no {name}: {listed}");
    }
    Ok(())
}

#[test]
fn a_rollback_is_one_command_beside_a_running_host() -> Result<()> {
    let case = Case::new("reload-rollback", 1)?;
    case.generate(500, 4)?.succeed()?;
    let versions = versions()?;
    let plugin = plugin_folder(&case)?.join("plugin.wasm");
    put(&plugin, &versions[0])?;
    let running = host(&case, &plugin)?.start()?;
    wait_for(&running, "running", 1)?;
    put(&plugin, &versions[1])?;
    wait_for(&running, TAKEN, 1)?;
    let listed =
        || -> Result<String> { Ok(case.plugin_command(&["list", "--json"]).run()?.stdout) };
    let runs = |version: usize| -> Result<()> {
        let digest = sha256(&versions[version]);
        wait_until("the table to name what runs", LIMIT, || Ok(listed()?.contains(&digest)))
    };
    runs(1)?;
    case.plugin_command(&["rollback", "files_and_sockets"]).succeed()?;
    wait_for(&running, TAKEN, 2)?;
    ensure!(fs::read(&plugin)? == versions[0], "another file was put back");
    runs(0)?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    Ok(())
}
