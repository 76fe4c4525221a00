//! Apache Kafka from Maven Central, and a node of it for work by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::part::{Part, in_scratch};
use crate::context::Context;
use crate::kafka::{Install, Kafka};
use crate::{needs, run};

const POM: &str = include_str!("kafka-pom.xml");
/// Pinned: without a version Maven takes the one that its own release happens to prefer.
const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies";

/// The jars, and the Java to run them with.
pub(super) fn fetch(ctx: &Context) -> Result<(Part, PathBuf)> {
    needs::ensure(&[needs::Need::Java])?;
    let java = needs::java().context("java vanished")?;
    let make = |home: &Path| {
        needs::ensure(&[needs::Need::Maven])?;
        run::step("kafka", "fetches Apache Kafka's jars by Maven, for the tests", || {
            fs::write(home.join("pom.xml"), POM).context("cannot write the pom")?;
            let mut maven = Command::new("mvn");
            maven.current_dir(home).args(["-B", "-q", "-Dstyle.color=never", COPY_DEPENDENCIES]);
            run::run(maven.arg("-DoutputDirectory=lib"))
        })
    };
    let check = |home: &Path| {
        let install = Install { java: java.clone(), home: home.to_owned() };
        run::step("kafka", "starts a node, to see that the jars are complete", || {
            in_scratch(ctx, "kafka", |dir| start_once(&install, dir))
        })
    };
    let part = Part::ensure(ctx, "kafka", POM, make, check)?;
    Ok((part, java))
}

fn start_once(install: &Install, dir: &Path) -> Result<()> {
    let begin = Instant::now();
    let mut node = Kafka::start(install, dir, 0, &[])?;
    println!("  ready on {} after {}", node.bootstrap(), run::seconds(begin.elapsed()));
    node.kill()
}

/// `cargo xtask real-parts up kafka`
pub(super) fn up(ctx: &Context, install: &Install) -> Result<()> {
    let dir = ctx.parts.join("run/kafka");
    if let Some(pid) = running(&dir) {
        return run::usage(format!(
            "a node is running as process {pid}; `cargo xtask real-parts down kafka` stops it"
        ));
    }
    run::step("kafka", "starts a node that stays until `real-parts down kafka`", || {
        let (pid, port) = Kafka::start_detached(install, &dir, 0, &[])?;
        fs::write(pid_file(&dir), pid.to_string()).context("cannot write the pid file")?;
        println!("  --brokers 127.0.0.1:{port}   (process {pid}, folder {})", dir.display());
        Ok(())
    })
}

/// `cargo xtask real-parts down kafka`
pub(super) fn down(ctx: &Context) -> Result<()> {
    let dir = ctx.parts.join("run/kafka");
    if let Some(pid) = running(&dir) {
        // The standard library can end only its own children; `kill` of the shell is always there.
        let ended = Command::new("sh").args(["-c", "kill -KILL \"$0\"", &pid]).status();
        ensure!(ended.context("cannot start sh")?.success(), "cannot stop process {pid}");
        println!("xtask: kafka: process {pid} stopped; its data is removed");
    } else {
        println!("xtask: kafka: no node is running");
    }
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

fn pid_file(dir: &Path) -> PathBuf {
    dir.join("pid")
}

/// The node's process id, if that process is still a Kafka of this folder: ids are used again.
fn running(dir: &Path) -> Option<String> {
    let pid = fs::read_to_string(pid_file(dir)).ok()?;
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    line.contains(&*dir.join("server.properties").to_string_lossy()).then_some(pid)
}
