//! The checkout as the rules see it, and what a rule says.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::context::Context;
use crate::run;

/// One breach of a rule.
pub(super) struct Failure {
    pub(super) rule: &'static str,
    pub(super) file: String,
    /// 1 for the whole file.
    pub(super) line: usize,
    pub(super) what: String,
    pub(super) todo: &'static str,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}:{}: {}; {}", self.rule, self.file, self.line, self.what, self.todo)
    }
}

/// A text file of the checkout.
pub(super) struct Source {
    /// Relative to the checkout, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// The files that git knows or would add, so that a fault shows before it is committed.
pub(super) struct Tree {
    pub(super) root: PathBuf,
    /// All files, relative to the checkout.
    pub(super) files: Vec<String>,
}

impl Tree {
    pub(super) fn read(ctx: &Context) -> Result<Self> {
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

    /// The files whose path ends so.
    pub(super) fn sources(&self, ending: &str) -> Result<Vec<Source>> {
        let paths = self.files.iter().filter(|path| path.ends_with(ending));
        paths.map(|path| Ok(Source { path: path.clone(), text: self.text(path)? })).collect()
    }

    pub(super) fn text(&self, path: &str) -> Result<String> {
        let bytes =
            fs::read(self.root.join(path)).with_context(|| format!("cannot read {path}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.root.join(Path::new(path)).exists()
    }
}

/// A crate of the workspace, as `cargo metadata` shows it.
pub(super) struct Package {
    pub(super) name: String,
    /// Its manifest, relative to the checkout.
    pub(super) manifest: String,
    pub(super) dependencies: Vec<String>,
    /// The root files of its libraries, programs, tests, benchmarks and examples, relative to the checkout.
    pub(super) roots: Vec<String>,
}

impl Package {
    /// All crates of the workspace.
    pub(super) fn read(ctx: &Context) -> Result<Vec<Self>> {
        let mut metadata = ctx.cargo();
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&run::output(&mut metadata)?)?;
        let packages =
            metadata["packages"].as_array().context("cargo metadata names no packages")?;
        let root = format!("{}/", ctx.root.display());
        Ok(packages.iter().map(|package| Self::of(package, &root)).collect())
    }

    fn of(package: &Value, root: &str) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let path = |value: &Value| {
            let path = text(value);
            path.strip_prefix(root).map(str::to_owned).unwrap_or(path)
        };
        let all = |value: &Value, key: &str, read: &dyn Fn(&Value) -> String| {
            let items = value.as_array().into_iter().flatten();
            let mut items: Vec<String> = items.map(|item| read(&item[key])).collect();
            items.sort();
            items.dedup();
            items
        };
        Self {
            name: text(&package["name"]),
            manifest: path(&package["manifest_path"]),
            dependencies: all(&package["dependencies"], "name", &text),
            roots: all(&package["targets"], "src_path", &path),
        }
    }
}
