//! What a component was built from. `plugin build` leaves the digest of the sources beside the component, so
//! that `plugin test` does not pass a component that is older than them, and so that a build after a change
//! of golden cases alone compiles nothing.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use audit_sink::ComponentStore;

use super::project::Project;
use crate::commands::plugin::error::Error;
use crate::{atomic_file, error};

/// Folders that no component is made from: what is built or fetched, and tests.
const LEFT_OUT: [&str; 5] = ["target", "node_modules", "tests", "test", "__pycache__"];
/// What a build writes into the project by itself, and what nobody compiles.
const FILES_LEFT_OUT: [&str; 3] = ["Cargo.lock", "package-lock.json", "README.md"];
/// What can be a source in the project's own folder, where people also keep events, logs and reports. In the folders below
/// every file counts.
const TOP_EXTENSIONS: [&str; 10] =
    ["toml", "json", "txt", "wit", "rs", "js", "mjs", "cjs", "ts", "py"];
/// Folders within folders. More is a circle of links.
const DEPTH_MAX: usize = 32;
/// In the place of a digest while a build runs, and after one that failed.
const UNFINISHED: &str = "unfinished";

/// SHA-256 of the names and bytes of all sources.
pub(super) fn digest(project: &Project) -> Result<String> {
    let mut files = Vec::new();
    collect(&project.dir, project, DEPTH_MAX, &mut files)?;
    files.sort();
    let mut digests = String::new();
    for path in files {
        let bytes = fs::read(&path).map_err(error::Error::file("reading", &path))?;
        let name = path.strip_prefix(&project.dir).unwrap_or(&path);
        digests += &ComponentStore::digest(name.as_os_str().as_encoded_bytes());
        digests += &ComponentStore::digest(&bytes);
    }
    Ok(ComponentStore::digest(digests.as_bytes()))
}

fn collect(folder: &Path, project: &Project, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |cause| error::Error::file("reading the folder", folder)(cause);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        // Hidden ones are of editors, of git and of CI.
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        if !path.is_dir() {
            let is_source = folder != project.dir || has_extension(&path, &TOP_EXTENSIONS);
            if is_source && path.is_file() && !FILES_LEFT_OUT.contains(&name) {
                files.push(path);
            }
        } else if depth > 0 && !LEFT_OUT.contains(&name) && path != project.golden {
            collect(&path, project, depth - 1, files)?;
        }
    }
    Ok(())
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|it| extensions.contains(&it))
}

/// A build begins: until it ends well, its component is out of date.
pub(super) fn begin(project: &Project) -> Result<()> {
    write(&stamp(project), UNFINISHED)
}

/// A build ended well, of sources with this digest.
pub(super) fn finish(project: &Project, digest: &str) -> Result<()> {
    write(&stamp(project), digest)
}

/// Fails if the component that `plugin build` last wrote is not of these sources. One that came from elsewhere
/// has no digest beside it, and nothing is known of it.
pub(super) fn check_built(project: &Project) -> Result<()> {
    let path = stamp(project);
    let built = match fs::read_to_string(&path) {
        Ok(built) => built,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(error::Error::file("reading", &path)(cause).into()),
    };
    let plugin = project.name().to_owned();
    match built.trim() {
        UNFINISHED => Err(Error::Unbuilt { plugin }.into()),
        built if built != digest(project)? => Err(Error::Outdated { plugin }.into()),
        _ => Ok(()),
    }
}

/// A component before its golden cases are put in, if it was made from the sources with this digest and the
/// same versions of packages.
pub(super) fn kept(project: &Project, digest: &str) -> Option<Vec<u8>> {
    let (code, key) = code(project);
    let is_same = fs::read_to_string(key).ok()? == key_of(project, digest);
    is_same.then(|| fs::read(code).ok()).flatten()
}

/// Keeps a component for the next build. The sources must not have changed meanwhile.
pub(super) fn keep(project: &Project, digest: &str, component: &[u8]) -> Result<()> {
    let (code, key) = code(project);
    // Never a key beside other code.
    write(&key, UNFINISHED)?;
    atomic_file::replace(&code, component).map_err(error::Error::file("writing", &code))?;
    write(&key, &key_of(project, digest))
}

fn key_of(project: &Project, digest: &str) -> String {
    let lock = fs::read(project.dir.join("package-lock.json")).unwrap_or_default();
    let host = env!("CARGO_PKG_VERSION");
    format!("{digest} {} {host}", ComponentStore::digest(&lock))
}

fn code(project: &Project) -> (PathBuf, PathBuf) {
    let of = |end: &str| project.target().join(format!("{}.{end}", project.name()));
    (of("code.wasm"), of("code"))
}

fn stamp(project: &Project) -> PathBuf {
    project.target().join(format!("{}.sources", project.name()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(error::Error::file("creating the folder", folder))?;
    }
    atomic_file::replace(path, text.as_bytes())
        .map_err(error::Error::file("writing", path))
        .map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().unwrap();
        let toml = "name = \"p\"\nlang = \"js\"\nkind = \"detector\"\n";
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("plugin.toml", toml);
        write("src/plugin.js", "1");
        write("tests/golden/first/events.jsonl", "{}");
        let project = Project::read(dir.path()).unwrap();
        (dir, project)
    }

    #[test]
    fn only_sources_count() {
        let (dir, project) = project();
        let before = digest(&project).unwrap();
        for path in [
            "tests/golden/first/rows.jsonl",
            "target/p.wasm",
            "README.md",
            ".x",
            "src/a~",
            "alerts.jsonl",
            "test.log",
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "other").unwrap();
            assert_eq!(digest(&project).unwrap(), before, "{}", path.display());
        }
        for (path, text) in [("src/plugin.js", "2"), ("src/b.js", ""), ("package.json", "{}")] {
            let before = digest(&project).unwrap();
            fs::write(dir.path().join(path), text).unwrap();
            assert_ne!(digest(&project).unwrap(), before, "{path}");
        }
        // A link to a folder above itself ends.
        std::os::unix::fs::symlink(dir.path(), dir.path().join("src/loop")).unwrap();
        digest(&project).unwrap();
    }

    #[test]
    fn a_component_of_a_failed_build_or_of_older_sources_is_refused() {
        let (dir, project) = project();
        let said = || check_built(&project).err().map_or_else(String::new, |e| e.to_string());
        assert_eq!(said(), "", "it came from elsewhere");
        begin(&project).unwrap();
        assert!(said().contains("the last build of p failed"), "{}", said());
        finish(&project, &digest(&project).unwrap()).unwrap();
        assert_eq!(said(), "");
        fs::write(dir.path().join("tests/golden/first/events.jsonl"), "{}\n{}").unwrap();
        assert_eq!(said(), "");
        fs::write(dir.path().join("src/plugin.js"), "3").unwrap();
        assert!(said().contains("changed since"), "{}", said());
    }

    #[test]
    fn code_is_kept_for_the_same_sources_and_packages() {
        let (dir, project) = project();
        let of = digest(&project).unwrap();
        assert_eq!(kept(&project, &of), None);
        keep(&project, &of, b"code").unwrap();
        assert_eq!(kept(&project, &of).as_deref(), Some(&b"code"[..]));
        assert_eq!(kept(&project, "other"), None);
        fs::write(dir.path().join("package-lock.json"), "{}").unwrap();
        assert_eq!(kept(&project, &of), None);
    }
}
