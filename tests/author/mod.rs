//! The author's loop: a project made from nothing becomes a component, in each language.

mod breach;
mod project;
mod tutorial;
mod upgrade;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use audit_tests::env;
use audit_tests::program::Program;
use wasmtime::component::Component;
use wasmtime::{Config, Engine, OptLevel};

/// A first build fetches the packages of its language and compiles all of them.
const LIMIT: Duration = Duration::from_mins(8);
/// The custom section of the golden cases.
const SECTION: &[u8] = b"audit-host:golden";

/// Makes and builds a project; the component's bytes.
fn build(lang: &str, kind: &str) -> Result<Vec<u8>> {
    let name = format!("{lang}_{kind}");
    let dir = env::folder(&format!("author-{name}"))?;
    let make = ["plugin", "new", name.as_str(), "--lang", lang, "--kind", kind];
    Program::new(&dir, &make).succeed()?;
    let ended = Program::new(&dir, &["plugin", "build", &name]).start()?.wait(LIMIT)?.success()?;
    ensure!(ended.stdout.contains("golden cases: 1"), "{}", ended.stdout);
    let path = dir.join(&name).join("target").join(format!("{name}.wasm"));
    fs::read(&path).with_context(|| format!("no component {}", path.display()))
}

fn contains(component: &[u8], text: &[u8]) -> bool {
    component.windows(text.len()).any(|window| window == text)
}

/// The imports of a component.
fn imports(component: &[u8]) -> Result<Vec<String>> {
    let mut config = Config::new();
    // Only looked at, never run: engines of other languages take long to compile well.
    config.cranelift_opt_level(OptLevel::None);
    let engine = Engine::new(&config).map_err(|error| anyhow!("{error:#}"))?;
    let component = Component::new(&engine, component).map_err(|error| anyhow!("{error:#}"))?;
    let imports = component.component_type();
    Ok(imports.imports(&engine).map(|(name, _)| name.to_owned()).collect())
}

/// A component with its golden cases and with nothing of the machine in it.
fn check(lang: &str, kind: &str) -> Result<()> {
    let component = build(lang, kind)?;
    ensure!(component.starts_with(b"\0asm\x0d\0\x01\0"), "{lang} {kind}: not a component");
    ensure!(contains(&component, SECTION), "{lang} {kind}: no golden cases");
    for name in imports(&component)? {
        ensure!(name.starts_with("audit-host:plugin/"), "{lang} {kind} imports {name}");
    }
    let here = env::folder("author-paths")?;
    let above = here.parent().unwrap_or(Path::new("/")).display().to_string();
    ensure!(!contains(&component, above.as_bytes()), "{lang} {kind}: holds the path {above}");
    Ok(())
}

#[test]
fn a_new_transform_in_rust_becomes_a_component() -> Result<()> {
    check("rust", "transform")
}

#[test]
fn a_new_detector_in_rust_becomes_a_component() -> Result<()> {
    check("rust", "detector")
}

#[test]
fn a_new_transform_in_javascript_becomes_a_component() -> Result<()> {
    check("js", "transform")
}

#[test]
fn a_new_detector_in_javascript_becomes_a_component() -> Result<()> {
    check("js", "detector")
}

#[test]
fn a_new_transform_in_python_becomes_a_component() -> Result<()> {
    check("python", "transform")
}

#[test]
fn a_new_detector_in_python_becomes_a_component() -> Result<()> {
    check("python", "detector")
}

#[test]
fn what_an_author_gets_wrong_is_named() -> Result<()> {
    let cases: &[(&[&str], &[&str])] = &[
        (&["new", "Mask", "--lang", "js", "--kind", "transform"], &["\"Mask\"", "lower-case"]),
        (&["new", "x", "--lang", "go", "--kind", "transform"], &["go", "rust, js, python"]),
        (&["new", "x", "--lang", "js", "--kind", "filter"], &["filter", "transform, detector"]),
        (&["new", "x", "--lang", "js", "--kind", "detector", "--dir", "."], &["exists already"]),
        (&["build", "nowhere"], &["no plugin.toml in nowhere", "plugin new"]),
    ];
    let dir = env::folder("author-wrong")?;
    for (args, words) in cases {
        let ended = Program::new(&dir, &[&["plugin"], *args].concat()).run()?;
        ensure!(ended.code() == Some(2), "{args:?} ended with {}: {}", ended.status, ended.stderr);
        for word in *words {
            ensure!(ended.stderr.contains(word), "{args:?} do not get {word}: {}", ended.stderr);
        }
    }
    Ok(())
}

/// Without the language on PATH: what to install is named.
#[test]
fn a_missing_language_is_named_with_its_package() -> Result<()> {
    for (lang, words) in [
        ("js", ["Node.js 20", "apt-get install nodejs npm"]),
        ("python", ["Python 3.10", "apt-get install python3 python3-venv"]),
    ] {
        let dir = env::folder(&format!("author-missing-{lang}"))?;
        Program::new(&dir, &["plugin", "new", "x", "--lang", lang, "--kind", "detector"])
            .succeed()?;
        let ended = Program::new(&dir, &["plugin", "build", "x"]).env("PATH", "/nowhere").run()?;
        ensure!(ended.code() == Some(2), "{lang} ended with {}: {}", ended.status, ended.stderr);
        for word in words {
            ensure!(ended.stderr.contains(word), "{lang} does not get {word}: {}", ended.stderr);
        }
    }
    Ok(())
}
