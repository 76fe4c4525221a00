//! `plugin new`: a project that builds and passes its tests, from the templates in this program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::project::{NAME_BYTES_MAX, is_name};
use crate::cli::{Kind, Lang, NewArgs};
use crate::config::Error;
use crate::stdout::print;
use crate::{atomic_file, error};

/// The template's name, the path in the project, the text.
const FILES: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// Names that a crate cannot have: cargo refuses them, or they hide a crate that the project uses.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "main",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "plugin",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "audit_plugin_sdk",
];

/// What differs between languages in the text of a project.
struct Language {
    name: &'static str,
    /// The file with the rule.
    source: &'static str,
    helper: &'static str,
    unit_test: &'static str,
    needs: &'static str,
}

pub(crate) fn run(args: &NewArgs) -> Result<()> {
    check_name(&args.name)?;
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let files = project(&args.name, args.lang, args.kind);
    write(&dir, &files)?;
    let language = language(args.lang);
    print(&format!(
        "{}: {} files\n  {:<28} the rule\n  {:<28} tests it by itself\n  {:<28} makes the component\n",
        dir.display(),
        files.len(),
        language.source,
        language.unit_test,
        "audit-host plugin build",
    ))
}

fn check_name(name: &str) -> Result<(), Error> {
    let problem = if !is_name(name) {
        format!(
            "is not a plugin name: use lower-case letters, digits and _, beginning with a letter, at most \
             {NAME_BYTES_MAX} characters"
        )
    } else if RESERVED.contains(&name) {
        "is a reserved word in Rust, JavaScript or Python: choose another name".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Value { key: "NAME".to_owned(), value: name.to_owned(), problem })
}

/// Every file of a project, by its path.
fn project(name: &str, lang: Lang, kind: Kind) -> Vec<(&'static str, String)> {
    let language = language(lang);
    let kind = match kind {
        Kind::Transform => "transform",
        Kind::Detector => "detector",
    };
    let both = format!("{}-{kind}", language.name);
    let templates = ["common", "wit", language.name, kind, both.as_str()];
    let files = FILES.iter().filter(|(template, ..)| templates.contains(template));
    let filled = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{lang}}", language.name)
            .replace("{{kind}}", kind)
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{source}}", language.source)
            .replace("{{helper}}", language.helper)
            .replace("{{unit_test}}", language.unit_test)
            .replace("{{needs}}", language.needs)
    };
    files.map(|(_, path, text)| (*path, filled(text))).collect()
}

fn language(lang: Lang) -> Language {
    match lang {
        Lang::Rust => Language {
            name: "rust",
            source: "src/lib.rs",
            helper: "vendor/audit-plugin-sdk/",
            unit_test: "cargo test",
            needs: "Rust 1.95 or later (the wasm target is fetched if need be)",
        },
        Lang::Js => Language {
            name: "js",
            source: "src/plugin.js",
            helper: "src/audit_plugin/",
            unit_test: "npm test",
            needs: "Node.js 20 or later with npm",
        },
        Lang::Python => Language {
            name: "python",
            source: "src/plugin.py",
            helper: "src/audit_plugin/",
            unit_test: "python3 -m unittest discover tests",
            needs: "Python 3.10 or later with venv",
        },
    }
}

/// Creates the folder with all files, or nothing.
fn write(dir: &Path, files: &[(&'static str, String)]) -> Result<()> {
    if dir.exists() {
        return Err(Error::Exists { path: dir.to_owned() }.into());
    }
    let created = atomic_file::create_folder(dir, |new| {
        for (path, text) in files {
            let path = new.join(path);
            fs::create_dir_all(path.parent().unwrap_or(new))?;
            fs::write(&path, text)?;
        }
        Ok(())
    });
    Ok(created.map_err(error::Error::file("creating the project", dir))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn names_are_checked() {
        for name in ["a", "mask_column", "x2", &"n".repeat(64)] {
            check_name(name).expect(name);
        }
        let too_long = "n".repeat(65);
        for name in ["", "2x", "_x", "Mask", "mask-column", "mäsk", "a b", "../x", &too_long, "fn"]
        {
            let said = check_name(name).expect_err(name).to_string();
            assert!(said.contains(&format!("{name:?}")), "{said}");
        }
    }

    #[test]
    fn a_folder_that_exists_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let said = write(dir.path(), &[]).expect_err("it exists").to_string();
        assert!(said.contains("exists already") && said.contains("--dir"), "{said}");
    }

    #[test]
    fn every_project_is_whole() {
        for lang in Lang::value_variants() {
            for kind in Kind::value_variants() {
                let files = project("mask_column", *lang, *kind);
                let paths: Vec<_> = files.iter().map(|(path, _)| *path).collect();
                let language = language(*lang);
                let wanted = ["plugin.toml", "README.md", ".gitignore", "wit/plugin.wit"];
                for path in wanted.iter().chain([&language.source]) {
                    assert!(paths.contains(path), "{lang:?} {kind:?} lacks {path}: {paths:?}");
                }
                let mut once = paths.clone();
                once.sort_unstable();
                once.dedup();
                assert_eq!(once.len(), paths.len(), "two templates write the same file");
                for (path, text) in &files {
                    let is_place =
                        |word: &str| word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
                    let words = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
                    let left: Vec<_> = words.filter(|word| is_place(word)).collect();
                    assert!(left.is_empty(), "{path} is not filled in: {left:?}");
                }
            }
        }
    }

    /// The SDK of a project names its versions itself, so they could fall behind.
    #[test]
    fn the_sdk_of_a_project_has_the_versions_of_this_workspace() {
        let workspace: toml::Value =
            toml::from_str(include_str!("../../../../../Cargo.toml")).expect("the workspace");
        let versions = &workspace["workspace"]["dependencies"];
        let version = |value: &toml::Value| {
            let text = value.get("version").unwrap_or(value).as_str();
            text.map(str::to_owned).expect("a version")
        };
        let files = project("mask_column", Lang::Rust, Kind::Transform);
        let (_, text) = files
            .iter()
            .find(|(path, _)| *path == "vendor/audit-plugin-sdk/Cargo.toml")
            .expect("the SDK's manifest");
        let manifest: toml::Value = toml::from_str(text).expect("a manifest");
        let native = &manifest["target"]["cfg(not(target_arch = \"wasm32\"))"]["dependencies"];
        let own = [&manifest["dependencies"], native];
        let own = own.iter().filter_map(|table| table.as_table()).flatten();
        let mut names: Vec<&str> = Vec::new();
        for (name, value) in own {
            assert_eq!(version(value), version(&versions[name]), "{name}");
            names.push(name);
        }
        let sdk: toml::Value =
            toml::from_str(include_str!("../../../../../plugins/sdk/Cargo.toml")).expect("the SDK");
        let native = &sdk["target"]["cfg(not(target_arch = \"wasm32\"))"]["dependencies"];
        for table in [&sdk["dependencies"], native] {
            for name in table.as_table().expect("dependencies").keys() {
                assert!(names.contains(&name.as_str()), "the project's SDK lacks {name}");
            }
        }
    }
}
