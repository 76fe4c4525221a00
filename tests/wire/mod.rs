//! TLS and logins, against a Kafka node with real certificates: every right way reads, every wrong one ends the start in
//! one line that says what is wrong, and no secret is found anywhere.

mod certificates;
mod node;
mod properties;
mod refused;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::files::{below, put};
use audit_tests::program::{Ended, LIMIT, Program, wait_for, wait_until};

use self::certificates::write;
use self::node::{Node, PASSWORD, WRONG_PASSWORD, token};
use self::properties::{address, config, login, mutual, oauth};
use self::refused::Refused;

const USAGE: i32 = 2;
/// A start that cannot succeed has ended by then.
const START_WITHIN: Duration = Duration::from_secs(20);
const N_RECORDS: usize = 50;

/// The node of all tests that leave it as it is.
fn node() -> Result<&'static Node> {
    static NODE: OnceLock<Result<Node, String>> = OnceLock::new();
    let node = NODE.get_or_init(|| Node::start("wire-node").map_err(|error| format!("{error:#}")));
    node.as_ref().map_err(|error| anyhow!("starting the secured node: {error}"))
}

/// The secrets of a test are neither in what a run printed nor in any file that it wrote.
fn check_secrets(case: &Case, ended: &Ended, secrets: &[&str]) -> Result<()> {
    for secret in secrets {
        for said in [&ended.stdout, &ended.stderr] {
            ensure!(!said.contains(secret), "a secret is in {said}");
        }
        for file in below(&case.dir)? {
            let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            ensure!(!is_there, "a secret is in {}", file.display());
        }
    }
    Ok(())
}

fn n_rows(case: &Case) -> Result<u64> {
    case.reader().read(TABLE)?.n_rows()
}

/// Before the first commit there is no table.
fn wait_for_rows(case: &Case, n: usize) -> Result<()> {
    let is_there = || Ok(n_rows(case).is_ok_and(|rows| rows >= n as u64));
    wait_until(&format!("{n} rows of {}", case.topic), LIMIT, is_there)
}

#[test]
fn every_way_to_log_in_reads_the_topic_and_leaves_no_secret() -> Result<()> {
    let node = node()?;
    let password = node.secret("password", PASSWORD)?;
    let jwt = token(r#""sub":"auditor","#, 3600)?;
    let token_file = node.secret("token", &jwt)?;
    let by_file = format!("{{ file = \"{password}\" }}");
    let ways = [
        ("plain", node.ports.login, login(node, "PLAIN", &by_file)),
        (
            "scram-256",
            node.ports.login,
            login(node, "SCRAM-SHA-256", "{ env = \"KAFKA_PASSWORD\" }"),
        ),
        ("scram-512", node.ports.login, login(node, "SCRAM-SHA-512", &by_file)),
        ("oauth", node.ports.login, oauth(node, &token_file)),
        ("mutual", node.ports.mutual, mutual(node, &node.client)),
    ];
    for (name, port, lines) in ways {
        let case = node.case(&format!("wire-{name}"), N_RECORDS)?;
        let config = config(&case.dir, &lines)?;
        let host = case.host_of(&address(port)).args(&["--config", &config, "--until-end"]);
        let host = host.env("KAFKA_PASSWORD", PASSWORD);
        let printed = host.clone().args(&["--print-config"]).succeed()?;
        let ended = host.succeed().with_context(|| name.to_owned())?;
        assert_eq!(n_rows(&case)?, N_RECORDS as u64, "{name}");
        for ended in [&printed, &ended] {
            check_secrets(&case, ended, &[PASSWORD, &jwt])?;
        }
        // What is printed is a configuration that works: secrets stay where they are.
        let printed = write(&case.dir, "printed.toml", &printed.stdout)?.display().to_string();
        let again =
            Program::new(&case.dir, &["--config", &printed]).env("KAFKA_PASSWORD", PASSWORD);
        again.succeed().with_context(|| format!("{name}, as it is printed"))?;
    }
    Ok(())
}

#[test]
fn the_generator_logs_in_by_the_same_configuration() -> Result<()> {
    let node = node()?;
    let case = node.case("wire-generate", 0)?;
    let by_file = format!("{{ file = \"{}\" }}", node.secret("password-generate", PASSWORD)?);
    let mut lines = login(node, "SCRAM-SHA-512", &by_file);
    let path = config(&case.dir, &lines)?;
    let brokers = address(node.ports.login);
    let args = ["generate", "--count", "30", "--to", "kafka", "--partitions", "2"];
    let generate = Program::new(&case.dir, &args).args(&["--topic", "wire-generated"]);
    let generate = generate.args(&["--brokers", &brokers, "--config", &path]);
    let ended = generate.succeed()?;
    check_secrets(&case, &ended, &[PASSWORD])?;
    let made = Case { topic: "wire-generated".to_owned(), n_partitions: 2, dir: case.dir.clone() };
    made.host_of(&brokers).args(&["--config", &path, "--until-end"]).succeed()?;
    assert_eq!(n_rows(&made)?, 30);

    lines = login(node, "SCRAM-SHA-512", &format!("\"{WRONG_PASSWORD}\""));
    config(&case.dir, &lines)?;
    let refused = generate.run()?;
    ensure!(refused.code() == Some(USAGE), "{}", refused.stderr);
    ensure!(refused.stderr.contains("AH-0230"), "{}", refused.stderr);
    ensure!(!refused.stderr.contains(WRONG_PASSWORD), "{}", refused.stderr);
    // The warning that is said of every secret in a file that all can read.
    ensure!(refused.stderr.contains("every user can read"), "{}", refused.stderr);
    Ok(())
}

#[test]
fn every_refusal_ends_the_start_soon_and_by_its_name() -> Result<()> {
    let node = node()?;
    let check = |refused: &Refused| -> Result<()> {
        let Refused { name, brokers, lines, code, words } = refused;
        let case = node.case(&format!("wire-no-{name}"), 1)?;
        let config = config(&case.dir, lines)?;
        let ended = case.host_of(brokers).args(&["--config", &config]).run()?;
        ensure!(ended.elapsed < START_WITHIN, "{name}: it took {:?}", ended.elapsed);
        ensure!(ended.code() == Some(USAGE), "{name}: {}", ended.stderr);
        let [said] = ended.error_lines()[..] else {
            return Err(anyhow!("{name}: not one error in {}", ended.stderr));
        };
        ensure!(said.ends_with(&format!("({code})")), "{name}: not {code}: {said}");
        let broker = if code.starts_with("AH-023") && *code != "AH-0235" { brokers } else { "" };
        for word in words.iter().map(String::as_str).chain([broker]) {
            ensure!(said.contains(word), "{name}: {word:?} is not in {said}");
        }
        check_secrets(&case, &ended, &[PASSWORD, WRONG_PASSWORD])
    };
    let all = refused::all(node)?;
    thread::scope(|scope| {
        let runs: Vec<_> = all.iter().map(|refused| scope.spawn(|| check(refused))).collect();
        let ended =
            runs.into_iter().map(|run| run.join().map_err(|_| anyhow!("a check panicked"))?);
        let failed: Vec<String> = ended
            .filter_map(|result: Result<()>| result.err())
            .map(|error| format!("{error:#}"))
            .collect();
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        Ok(())
    })
}

#[test]
fn a_token_is_read_again_before_it_expires() -> Result<()> {
    const LIFE: Duration = Duration::from_secs(40);
    let node = node()?;
    let case = node.case("wire-renewed", N_RECORDS)?;
    let begin = Instant::now();
    let file = node.secret("short-token", &token(r#""sub":"auditor","#, LIFE.as_secs() as i64)?)?;
    let config = config(&case.dir, &oauth(node, &file))?;
    let host = case.host_of(&address(node.ports.login)).args(&["--config", &config]);
    let running = host.args(&["--trigger-interval", "200ms"]).start()?;
    wait_for_rows(&case, N_RECORDS)?;
    put(Path::new(&file), token(r#""sub":"auditor","#, 3600)?)?;
    // The life of a token is input: the broker has ended every session of the first one by then.
    let over = LIFE + Duration::from_secs(4);
    wait_until("the first token has expired", LIMIT, || Ok(begin.elapsed() > over))?;
    node.send(&case, N_RECORDS)?;
    wait_for_rows(&case, 2 * N_RECORDS)?;
    let log = running.log()?;
    for words in ["AH-023", "token"] {
        ensure!(!log.contains(words), "{words:?} is in {log}");
    }
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    Ok(())
}

#[test]
fn a_certificate_that_turns_bad_while_running_is_logged_once_and_tried_again() -> Result<()> {
    let mut node = Node::start("wire-turning")?;
    let case = node.case("wire-turned", N_RECORDS)?;
    let config = config(&case.dir, &mutual(&node, &node.client))?;
    let host = case.host_of(&address(node.ports.mutual)).args(&["--config", &config]);
    let mut running = host.args(&["--trigger-interval", "200ms"]).start()?;
    wait_for_rows(&case, N_RECORDS)?;

    let good = fs::read(&node.broker.both)?;
    fs::copy(&node.expired.both, &node.broker.both)?;
    node.kafka.kill()?;
    node.kafka.restart()?;
    wait_for(&running, "has expired", 1)?;
    // The log says it when the program has looked again, and once more only after minutes.
    wait_for(&running, "could not look at the topics", 1)?;
    ensure!(!running.has_ended()?, "{}", running.log()?);

    fs::write(&node.broker.both, good)?;
    node.kafka.kill()?;
    node.kafka.restart()?;
    node.send(&case, N_RECORDS)?;
    wait_for_rows(&case, 2 * N_RECORDS)?;
    let log = running.log()?;
    assert_eq!(log.matches("has expired").count(), 1, "{log}");
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    assert_eq!(n_rows(&case)?, 2 * N_RECORDS as u64);
    Ok(())
}
