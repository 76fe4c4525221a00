//! Nothing that the guests for this suite can do is left out of it: a behavior that no test runs would
//! look like one that the host withstands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A source or a page below `tests/`.
fn read(path: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The sources in a folder below `tests/` and in the folders below it.
fn sources(folder: &str) -> Result<Vec<PathBuf>> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { sources.push(path) }
        }
    }
    Ok(sources)
}

/// The quoted name at the end of a piece of source.
fn quoted_at_end(source: &str) -> Option<String> {
    let before = source.trim_end().strip_suffix(',')?.trim_end().strip_suffix('"')?;
    before.rsplit('"').next().map(str::to_owned)
}

/// What `{"do": …}` of `hostile` takes: the names before `Behavior::` in its tables.
fn behaviors() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for path in sources("guests/hostile/src")? {
        names.extend(fs::read_to_string(path)?.split("Behavior::").filter_map(quoted_at_end));
    }
    Ok(names)
}

/// What can be patched into `hostile`: the patterns of the arms in `mode.rs`.
fn modes() -> Result<BTreeSet<String>> {
    let source = read("guests/hostile/src/mode.rs")?;
    let arms = source.lines().filter_map(|line| line.split_once(" =>"));
    let patterns = arms.flat_map(|(patterns, _)| patterns.split('|'));
    let unquoted = |pattern: &str| {
        let inside = pattern.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some(inside.to_owned())
    };
    Ok(patterns.filter_map(unquoted).collect())
}

/// The keys that the configuration of `hostile` may have.
fn keys() -> Result<BTreeSet<String>> {
    let source = read("guests/hostile/src/options.rs")?;
    let keys = source.split("(map, \"").skip(1).filter_map(|rest| rest.split('"').next());
    Ok(keys.map(str::to_owned).collect())
}

/// What `{"try": …}` of `files_and_sockets` takes: the names in its table.
fn tries() -> Result<BTreeSet<String>> {
    let source = read("guests/files-and-sockets/src/tries.rs")?;
    let entries = source.lines().filter_map(|line| line.trim().strip_prefix("(\""));
    Ok(entries.filter_map(|entry| entry.split('"').next()).map(str::to_owned).collect())
}

/// Every text in the sources of this suite, without this file and without comments.
fn texts_of_tests() -> Result<BTreeSet<String>> {
    let mut texts = BTreeSet::new();
    for path in sources("hostile")? {
        if path.file_name().is_some_and(|name| name == "coverage.rs") {
            continue;
        }
        let source = fs::read_to_string(path)?;
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n").replace("\\\"", "").replace("'\"'", "");
        texts.extend(code.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    Ok(texts)
}

#[test]
fn every_behavior_of_the_guests_is_run_and_documented() -> Result<()> {
    let (run, documented) = (texts_of_tests()?, read("guests/README.md")?);
    for (what, names, n_min) in [
        ("behaviors", behaviors()?, 100),
        ("modes", modes()?, 15),
        ("keys", keys()?, 10),
        ("tries", tries()?, 10),
    ] {
        // A change of the guests' style must not make this find nothing.
        ensure!(names.len() >= n_min, "only {} {what} were found: {names:?}", names.len());
        let not_run: Vec<_> = names.iter().filter(|name| !run.contains(*name)).collect();
        ensure!(not_run.is_empty(), "{what} that no test in tests/hostile runs: {not_run:?}");
        let unknown: Vec<_> =
            names.iter().filter(|name| !documented.contains(&format!("`{name}`"))).collect();
        ensure!(unknown.is_empty(), "{what} missing from tests/guests/README.md: {unknown:?}");
    }
    Ok(())
}
