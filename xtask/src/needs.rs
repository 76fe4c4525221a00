//! What a command needs on the machine beside Rust, and how to get it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::run;

/// The oldest Java that Kafka 4 runs on.
const JAVA_VERSION_MIN: u32 = 17;

/// The oldest Node.js that componentize-js runs on.
const NODE_VERSION_MIN: u32 = 20;

/// The oldest OpenSSL that librdkafka and the crate `openssl` take.
const OPENSSL_VERSION_MIN: &str = "1.1.1";

/// A program or a library that must be there, with the packages that bring it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Need {
    Cpp,
    Make,
    OpenSsl,
    Python,
    Java,
    Maven,
    Node,
}

impl Need {
    /// Its name and what it is for.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Cpp => "a C and a C++ compiler (librdkafka, zstd, SQLite)",
            Self::Make => "make (librdkafka)",
            Self::OpenSsl => {
                "OpenSSL 1.1.1 or later with its headers, and pkg-config (TLS for Kafka)"
            }
            Self::Python => "Python 3.10 or later with venv (the readers of the tests)",
            Self::Java => "Java 17 or later (Kafka)",
            Self::Maven => "Maven (fetches Kafka)",
            Self::Node => "Node.js 20 or later with npm (plugins in JavaScript)",
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Cpp => &["g++"],
            Self::Make => &["make"],
            Self::OpenSsl => &["libssl-dev", "pkg-config"],
            Self::Python => &["python3-venv"],
            Self::Java => &["default-jre-headless"],
            Self::Maven => &["maven"],
            Self::Node => &["nodejs", "npm"],
        }
    }

    /// What other systems call the packages, for whoever installs them by hand.
    fn elsewhere(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Cpp => (&["gcc-c++"], &["llvm"]),
            Self::Make => (&["make"], &["make"]),
            Self::OpenSsl => (&["openssl-devel", "pkgconf-pkg-config"], &["openssl@3", "pkgconf"]),
            Self::Python => (&["python3"], &["python"]),
            Self::Java => (&["java-21-openjdk-headless"], &["openjdk"]),
            Self::Maven => (&["maven"], &["maven"]),
            Self::Node => (&["nodejs", "nodejs-npm"], &["node"]),
        }
    }

    pub(crate) fn is_there(self) -> bool {
        match self {
            Self::Cpp => runs("cc", &["--version"]) && runs("c++", &["--version"]),
            Self::Make => runs("make", &["--version"]),
            Self::OpenSsl => has_openssl(),
            Self::Python => {
                let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
                runs("python3", &["-c", check])
            }
            Self::Java => java().is_some(),
            Self::Maven => runs("mvn", &["--version"]),
            Self::Node => {
                let check = format!(
                    "process.exit(parseInt(process.versions.node) < {NODE_VERSION_MIN} ? 1 : 0)"
                );
                runs("node", &["--eval", &check]) && runs("npm", &["--version"])
            }
        }
    }
}

/// What `build` and `demo` need. The wasm tool chain has its own search in `plugins`.
pub(crate) fn for_build() -> Result<()> {
    ensure(&[Need::Cpp, Need::Make, Need::OpenSsl])
}

/// Installs what is missing where we may, else says how.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| !need.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let abouts: Vec<_> = missing.iter().map(|need| need.about()).collect();
    println!("xtask: missing: {}", abouts.join(", "));
    let packages: Vec<_> = missing.iter().flat_map(|need| need.packages()).copied().collect();
    if !runs("apt-get", &["--version"]) {
        return run::usage(without_apt(&missing, &packages));
    }
    apt_install(&packages)?;
    match missing.iter().find(|need| !need.is_there()) {
        None => Ok(()),
        Some(need) => run::usage(format!(
            "{} is still not found after {} was installed",
            need.about(),
            need.packages().join(", ")
        )),
    }
}

/// What to type where there is no apt-get.
fn without_apt(missing: &[Need], debian: &[&str]) -> String {
    let elsewhere = || missing.iter().map(|need| need.elsewhere());
    let fedora: Vec<&str> = elsewhere().flat_map(|(fedora, _)| fedora).copied().collect();
    let homebrew: Vec<&str> = elsewhere().flat_map(|(_, homebrew)| homebrew).copied().collect();
    format!(
        "this machine has no apt-get; install what Debian calls {}: on Fedora `sudo dnf install {}`, on macOS `brew \
         install {}`; then run this command again",
        debian.join(", "),
        fedora.join(" "),
        homebrew.join(" ")
    )
}

/// As the build scripts look for it: where the variable says, else by pkg-config.
fn has_openssl() -> bool {
    let named = std::env::var_os("OPENSSL_DIR").map(PathBuf::from);
    named.is_some_and(|dir| dir.join("include/openssl/ssl.h").is_file())
        || runs("pkg-config", &["--atleast-version", OPENSSL_VERSION_MIN, "openssl"])
}

/// Installs Debian packages without removing any. Where that is not for us to do, says what to type.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    let line = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if !runs("apt-get", &["--version"]) {
        return run::usage(format!(
            "this machine has no apt-get; install what Debian calls {}",
            packages.join(", ")
        ));
    }
    if !is_root()? && !runs("sudo", &["-n", "true"]) {
        return run::usage(format!("run `sudo {line}`, then this command again"));
    }
    run::step("apt", &format!("installs {}", packages.join(", ")), || {
        let install = ["install", "--yes", "-qq", "--no-install-recommends", "--no-remove"];
        let install: Vec<&str> = install.iter().chain(packages).copied().collect();
        // A machine with fresh package lists needs no update, which is the slow part.
        if run::run(&mut apt_get(&install)?).is_ok() {
            return Ok(());
        }
        println!("  the package lists may be old: updating them");
        run::run(&mut apt_get(&["update", "-qq"])?)?;
        run::run(&mut apt_get(&install)?).with_context(|| format!("try `{line}` by hand"))
    })
}

fn apt_get(args: &[&str]) -> Result<Command> {
    let mut command = if is_root()? {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"]);
    command.args(args).stdin(Stdio::null());
    Ok(command)
}

fn is_root() -> Result<bool> {
    let this = std::fs::metadata("/proc/self").context("cannot read /proc/self")?;
    Ok(this.uid() == 0)
}

/// The `java` to use: `JAVA_HOME`, else the one on PATH, if it is new enough.
pub(crate) fn java() -> Option<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    home.into_iter().chain(on_path("java")).find(|java| java_version(java) >= JAVA_VERSION_MIN)
}

/// The major version; 0 where there is none.
fn java_version(java: &Path) -> u32 {
    let Ok(output) = Command::new(java).arg("-version").output() else { return 0 };
    let text = String::from_utf8_lossy(&output.stderr);
    // The line reads: openjdk version "17.0.15" 2025-04-15
    let number = text.split('"').nth(1).and_then(|version| version.split(['.', '-', '+']).next());
    number.and_then(|major| major.parse().ok()).unwrap_or(0)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Whether the program is there and ends well.
pub(crate) fn runs(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_apt_is_told_what_to_type() {
        let line = without_apt(&[Need::Make, Need::OpenSsl], &["make", "libssl-dev", "pkg-config"]);
        for words in [
            "Debian calls make, libssl-dev, pkg-config",
            "dnf install make openssl-devel pkgconf-pkg-config",
            "brew install make openssl@3 pkgconf",
        ] {
            assert!(line.contains(words), "{words:?} is not in {line}");
        }
    }
}
