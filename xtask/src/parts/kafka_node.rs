//! Apache Kafka from Maven Central, and a node of it for work by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::context::Context;
use crate::kafka::{Install, Kafka};
use crate::{run, setup};

const POM: &str = include_str!("kafka-pom.xml");
/// Pinned: without a version Maven takes the one that its own release happens to prefer.
const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies";

/// The jars, fetched and started once if they are new.
pub(super) fn fetch(ctx: &Context) -> Result<Install> {
    setup::ensure(&[setup::Need::Java])?;
    let java = setup::java().context("java vanished")?;
    let home = super::folder(ctx, "kafka", POM);
    if !home.exists() {
        setup::ensure(&[setup::Need::Maven])?;
        let new = super::begin(&home)?;
        run::step("kafka", "fetches Apache Kafka's jars by Maven, for the tests", || {
            fs::write(new.join("pom.xml"), POM).context("cannot write the pom")?;
            let mut maven = Command::new("mvn");
            maven.current_dir(&new).args(["-B", "-q", "-Dstyle.color=never", COPY_DEPENDENCIES]);
            run::run(maven.arg("-DoutputDirectory=lib"))
        })?;
        let install = Install { java: java.clone(), home: new.clone() };
        run::step("kafka", "starts a node once, to see that the jars are complete", || {
            verify(&install)
        })?;
        super::finish(&new, &home)?;
    }
    Ok(Install { java, home })
}

fn verify(install: &Install) -> Result<()> {
    let dir = install.home.join("trial");
    let begin = Instant::now();
    let mut node = Kafka::start(install, &dir, 0, &[])?;
    println!("  ready on {} after {}", node.bootstrap(), run::seconds(begin.elapsed()));
    node.kill()?;
    fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))
}

/// `cargo xtask real-parts up kafka`
pub(super) fn up(ctx: &Context) -> Result<()> {
    let parts = super::fetch(ctx)?;
    let dir = ctx.parts.join("run/kafka");
    if let Some(pid) = running(&dir) {
        return run::usage(format!(
            "a node runs already as process {pid}; `cargo xtask real-parts down kafka` stops it"
        ));
    }
    run::step("kafka", "starts a node that stays until `real-parts down kafka`", || {
        let (pid, port) = Kafka::start_detached(&parts.kafka, &dir, 0, &[])?;
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
        println!("xtask: kafka: no node runs");
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
