//! Embeds the built-in plugins that `cargo xtask plugins` made, so that `--plugin builtin:NAME` needs no
//! file. Without them the program builds all the same, and says so when a built-in is asked for.
//!
//! Embeds what `plugin new` writes as well: the templates, the SDK and the WIT, so that somebody who has
//! nothing but the program can write a plugin.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=AUDIT_HOST_BUILTINS");
    let mut table = String::from("&[\n");
    if let Some(folder) = env::var_os("AUDIT_HOST_BUILTINS") {
        for (name, path) in components(Path::new(&folder))? {
            println!("cargo::rerun-if-changed={}", path.display());
            let _ = writeln!(
                table,
                "    ({name:?}, include_bytes!({:?})),",
                path.display().to_string()
            );
        }
        println!("cargo::rerun-if-changed={}", Path::new(&folder).display());
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("builtins.rs"), table)?;
    fs::write(out.join("templates.rs"), templates()?)
}

/// A table of all files of a project: the template's name, the path in the project, the text.
fn templates() -> io::Result<String> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let repository = root.join("..");
    let mut table = String::from("&[\n");
    let mut folders = vec![
        ("wit".to_owned(), "wit/".to_owned(), repository.join("wit")),
        (
            "rust".to_owned(),
            "vendor/audit-plugin-sdk/src/".to_owned(),
            repository.join("plugins/sdk/src"),
        ),
    ];
    let templates = root.join("templates");
    println!("cargo::rerun-if-changed={}", templates.display());
    for folder in entries(&templates)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folders.push((name, String::new(), folder));
    }
    for (template, prefix, folder) in folders {
        println!("cargo::rerun-if-changed={}", folder.display());
        for file in files(&folder)? {
            let path = file.strip_prefix(&folder).unwrap_or(&file).display();
            // Released versions of the WIT are the project's history, not a plugin's.
            if template == "wit" && path.to_string().starts_with("released") {
                continue;
            }
            let (path, file) = (format!("{prefix}{path}"), file.display().to_string());
            let _ = writeln!(table, "    ({template:?}, {path:?}, include_str!({file:?})),");
        }
    }
    table.push_str("]\n");
    Ok(table)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if !path.is_dir() {
            found.push(path);
        } else if path.file_name().is_some_and(|name| name != "__pycache__") {
            found.extend(files(&path)?);
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

fn components(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        if let (Some(name), Some("wasm")) = (name, path.extension().and_then(|ext| ext.to_str())) {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}
