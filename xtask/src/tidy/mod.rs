//! The rules of STYLE.md that neither the compiler nor clippy checks.
//!
//! Rules see the files that git knows or would add, so a fault shows before it is committed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::run;

mod architecture;
mod binaries;
mod edges;
mod lengths;
mod sources;
mod wit;

/// One breach of a rule.
struct Failure {
    rule: &'static str,
    file: String,
    /// 1 for the whole file.
    line: usize,
    what: String,
    todo: &'static str,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}:{}: {}; {}", self.rule, self.file, self.line, self.what, self.todo)
    }
}

/// A text file of the checkout.
struct Source {
    /// Relative to the checkout, with `/`.
    path: String,
    text: String,
}

/// The checkout as the rules see it.
struct Tree {
    root: PathBuf,
    /// All files, relative to the checkout.
    files: Vec<String>,
}

impl Tree {
    fn read(ctx: &Context) -> Result<Self> {
        let mut git = Command::new("git");
        git.current_dir(&ctx.root);
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let list = run::output(&mut git).context("tidy needs git and a checkout made by it")?;
        let files = list.split('\0').filter(|path| ctx.root.join(path).is_file());
        let mut files: Vec<String> = files.map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(Self { root: ctx.root.clone(), files })
    }

    /// The files of which the path has this ending.
    fn sources(&self, ending: &str) -> Result<Vec<Source>> {
        let paths = self.files.iter().filter(|path| path.ends_with(ending));
        paths.map(|path| Ok(Source { path: path.clone(), text: self.text(path)? })).collect()
    }

    fn text(&self, path: &str) -> Result<String> {
        let bytes =
            fs::read(self.root.join(path)).with_context(|| format!("cannot read {path}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(Path::new(path)).exists()
    }
}

/// `cargo xtask tidy`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return run::usage("tidy takes no arguments".into());
    }
    run::step(
        "tidy",
        "checks crate edges, lengths, names in ARCHITECTURE.md, forbidden words",
        || check(ctx),
    )
}

pub(crate) fn check(ctx: &Context) -> Result<()> {
    let tree = Tree::read(ctx)?;
    let rust = tree.sources(".rs")?;
    let mut failures = edges::check(ctx)?;
    failures.extend(lengths::check(&rust));
    failures.extend(sources::check(&rust));
    failures.extend(wit::check(&tree)?);
    failures.extend(architecture::check(ctx, &tree)?);
    failures.extend(binaries::check(&tree)?);
    for failure in &failures {
        println!("  {failure}");
    }
    if !failures.is_empty() {
        bail!("breaches of the rules: {}", failures.len());
    }
    Ok(())
}
