//! The ABI: every item is documented, and what was released never changes.

use std::path::Path;

use anyhow::{Result, anyhow};
use wit_component::semver_check;
use wit_parser::Resolve;

use super::tree::{Failure, Source, Tree};
use crate::plugins::stamp::hash_file;

const RELEASED: &str = "wit/released/";
/// One line `<sha256>  <path below wit/released/>` a file, as `sha256sum` prints it.
const HASHES: &str = "wit/released/HASHES";

pub(super) fn check(tree: &Tree) -> Result<Vec<Failure>> {
    let mut failures = released(tree)?;
    failures.extend(compatible(tree)?);
    for source in tree.sources(".wit")? {
        if source.path.starts_with("wit/") && !source.path.starts_with(RELEASED) {
            failures.extend(undocumented(&source));
        }
    }
    Ok(failures)
}

fn undocumented(source: &Source) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut documented = false;
    // A declaration may go over several lines: its end is where brackets are balanced.
    let mut open = 0_usize;
    for (index, line) in source.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("///") {
            documented = true;
            continue;
        }
        if line.is_empty() || line.starts_with('@') || line.starts_with("//") {
            continue;
        }
        if open == 0 && is_item(line) && !documented {
            failures.push(Failure {
                rule: "wit-docs",
                file: source.path.clone(),
                line: index + 1,
                what: format!("`{line}` has no `///` above it"),
                todo: "say what it means, in which unit, and when it fails",
            });
        }
        if let Some(failure) = crowded(source, index, line) {
            failures.push(failure);
        }
        open = (open + line.matches('(').count()).saturating_sub(line.matches(')').count());
        documented = false;
    }
    failures
}

/// Whether the line declares something: not a closing brace, nor what is brought in from elsewhere.
fn is_item(line: &str) -> bool {
    const OTHER: &[&str] = &["}", "package ", "use ", "import ", "include "];
    let is_plain_export = line.starts_with("export ") && !line.contains(':');
    !is_plain_export && !OTHER.iter().any(|start| line.starts_with(start))
}

/// Fields beside one another have no room for their documentation.
fn crowded(source: &Source, index: usize, line: &str) -> Option<Failure> {
    const KINDS: &[&str] = &["record ", "variant ", "enum ", "flags ", "resource "];
    let crowded = KINDS.iter().any(|kind| line.starts_with(kind)) && !line.ends_with(['{', ';']);
    crowded.then(|| Failure {
        rule: "wit-docs",
        file: source.path.clone(),
        line: index + 1,
        what: "several items on one line".into(),
        todo: "give each a line and a `///`",
    })
}

fn released(tree: &Tree) -> Result<Vec<Failure>> {
    let files: Vec<&str> =
        tree.files.iter().filter_map(|path| path.strip_prefix(RELEASED)).collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let known = if tree.exists(HASHES) { tree.text(HASHES)? } else { String::new() };
    let known: Vec<(&str, &str)> = known.lines().filter_map(|line| line.split_once("  ")).collect();
    let mut failures = Vec::new();
    let mut fail = |file: &str, what: &str, todo| {
        let file = format!("{RELEASED}{file}");
        failures.push(Failure { rule: "wit-released", file, line: 1, what: what.into(), todo });
    };
    for file in files.iter().filter(|file| **file != "HASHES") {
        let hash = hash_file(&tree.root.join(RELEASED).join(file))?;
        match known.iter().find(|(_, name)| name == file) {
            None => fail(file, "has no line in HASHES", "add it in the commit that releases it"),
            Some((old, _)) if *old != hash => {
                fail(file, "differs from what was released", "restore it; change a new version");
            }
            Some(_) => {}
        }
    }
    for (_, name) in known.iter().filter(|(_, name)| !files.contains(name)) {
        fail(name, "was released and is gone", "restore it: old plugins were built against it");
    }
    Ok(failures)
}

/// A plugin that was built for a release must go on to load: as long as the minor version is the same, the
/// contract may only grow, and not under a version that is out already.
fn compatible(tree: &Tree) -> Result<Vec<Failure>> {
    let package = tree.text("wit/types.wit")?;
    let Some(version) = version_of(&package) else { return Ok(Vec::new()) };
    let mut releases: Vec<&str> = tree
        .files
        .iter()
        .filter_map(|path| path.strip_prefix(RELEASED)?.split_once('/'))
        .map(|(release, _)| release)
        .collect();
    releases.dedup();
    let mut failures = Vec::new();
    for release in releases {
        let what = if release == version {
            let same = is_same(tree, release)?;
            (!same).then(|| format!("wit/ is not what was released as {release}"))
        } else if minor_of(release) == minor_of(version) {
            let checked = check_grown(tree, release);
            checked.err().map(|error| format!("plugins of {release} would not load: {error:#}"))
        } else {
            None
        };
        failures.extend(what.map(|what| Failure {
            rule: "wit-compatible",
            file: "wit/types.wit".to_owned(),
            line: 1,
            what,
            todo: "give the package another version; a change that breaks plugins needs a new minor",
        }));
    }
    Ok(failures)
}

/// The version of the line `package name:space@1.2.3;`.
fn version_of(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("package "))?;
    line.split_once('@')?.1.strip_suffix(';')
}

fn minor_of(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    Some((parts.next()?, parts.next()?))
}

fn is_same(tree: &Tree, release: &str) -> Result<bool> {
    let folder = format!("{RELEASED}{release}/");
    let names = |prefix: &str| -> Vec<String> {
        let files = tree.files.iter().filter_map(|path| path.strip_prefix(prefix));
        files.filter(|name| is_wit(name) && !name.contains('/')).map(Into::into).collect()
    };
    let of_release = names(&folder);
    if of_release != names("wit/") {
        return Ok(false);
    }
    for name in of_release {
        if tree.text(&format!("{folder}{name}"))? != tree.text(&format!("wit/{name}"))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_wit(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "wit")
}

/// Whether what is a plugin by the release is one by `wit/`.
fn check_grown(tree: &Tree, release: &str) -> Result<()> {
    let mut resolve = Resolve::default();
    let mut world = |folder: &str| {
        let (package, _) = resolve.push_dir(tree.root.join(folder))?;
        resolve.select_world(&[package], Some("plugin"))
    };
    let before = world(&format!("{RELEASED}{release}")).map_err(|error| anyhow!("{error:#}"))?;
    let now = world("wit").map_err(|error| anyhow!("{error:#}"))?;
    semver_check(resolve, before, now).map_err(|error| anyhow!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<usize> {
        let source = Source { path: "wit/a.wit".into(), text: text.into() };
        undocumented(&source).iter().map(|failure| failure.line).collect()
    }

    #[test]
    fn documented_items_pass() {
        let text = "package a:b;\n/// I.\ninterface i {\n  use t.{a};\n\n  /// F.\n  @since(version = 1.0.0)\n  \
                    f: func(\n    a: u32,\n  ) -> u32;\n}\n/// W.\nworld w {\n  import i;\n  export i;\n}\n";
        assert_eq!(check(text), [0_usize; 0]);
    }

    #[test]
    fn undocumented_items_are_named() {
        assert_eq!(check("interface i {\n  /// R.\n  record r {\n    a: u32,\n  }\n}\n"), [1, 4]);
        assert_eq!(check("/// I.\ninterface i {\n  /// R.\n  record r { a: u32 }\n}\n"), [4]);
    }
}
