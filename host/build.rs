//! Embeds the built-in plugins that `cargo xtask plugins` made, so that `--plugin builtin:NAME` needs no
//! file. Without them the program builds all the same, and says so when a built-in is asked for.

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
    fs::write(out.join("builtins.rs"), table)
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
