//! A plugin's project, as its `plugin.toml` describes it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::{Kind, Lang};
use crate::config::Error;

/// The maximum of the contract.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// `plugin.toml` as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    lang: Lang,
    kind: Kind,
    golden: Option<PathBuf>,
}

/// A project in a folder.
#[derive(Debug)]
pub(crate) struct Project {
    /// Absolute.
    pub(crate) dir: PathBuf,
    // Invariant: a name as `is_name` has it, so it can be part of a path.
    name: String,
    pub(crate) lang: Lang,
    pub(crate) kind: Kind,
    /// The folder of the golden cases. It need not exist.
    pub(crate) golden: PathBuf,
}

impl Project {
    /// Reads the project of a folder.
    pub(crate) fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("plugin.toml");
        if !path.is_file() {
            return Err(Error::NoProject { path: dir.to_owned() });
        }
        let read = |cause| Error::Read { path: path.clone(), cause };
        let text = fs::read_to_string(&path).map_err(read)?;
        let dir = dir.canonicalize().map_err(read)?;
        let parse = |message: String| Error::Parse { path: path.clone(), message };
        let file: File =
            toml::from_str(&text).map_err(|error| parse(error.message().to_owned()))?;
        if !is_name(&file.name) {
            return Err(parse(format!("name: {:?} is not a plugin name", file.name)));
        }
        let golden = dir.join(file.golden.unwrap_or_else(|| PathBuf::from("tests/golden")));
        Ok(Self { dir, name: file.name, lang: file.lang, kind: file.kind, golden })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The build folder, which git ignores.
    pub(crate) fn target(&self) -> PathBuf {
        self.dir.join("target")
    }
}

/// Whether it is a plugin name by the contract.
pub(crate) fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= NAME_BYTES_MAX
        && name.bytes().all(is_part)
        && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Project, Error> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("plugin.toml"), text).expect("a file");
        Project::read(dir.path())
    }

    #[test]
    fn a_project_is_read() {
        let project =
            read("name = \"x\"\nlang = \"js\"\nkind = \"detector\"\n").expect("a project");
        assert_eq!((project.name(), project.lang, project.kind), ("x", Lang::Js, Kind::Detector));
        assert!(project.golden.ends_with("tests/golden"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("name = \"x\"\nlang = \"cobol\"\nkind = \"detector\"\n", "`rust`, `js`, `python`"),
            (
                "name = \"x\"\nlang = \"js\"\nkind = \"detector\"\nsize = 1\n",
                "unknown field `size`",
            ),
            (
                "name = \"../x\"\nlang = \"js\"\nkind = \"detector\"\n",
                "\"../x\" is not a plugin name",
            ),
            ("lang = \"js\"\nkind = \"detector\"\n", "missing field `name`"),
        ];
        for (text, words) in cases {
            let said = read(text).expect_err(text).to_string();
            assert!(said.contains("plugin.toml") && said.contains(words), "{said}");
        }
        let nowhere = Project::read(Path::new("no/such/folder")).expect_err("nothing there");
        assert!(nowhere.to_string().contains("no plugin.toml in no/such/folder"), "{nowhere}");
    }
}
