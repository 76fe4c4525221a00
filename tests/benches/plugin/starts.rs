//! What a plugin costs once: compiled, instantiated, loaded, and loaded out of the cache.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use audit_chain::{Engine, Plugin};
use audit_tests::env;
use serde_json::json;
use wasmtime::component::{Component, Linker};

use crate::chains::{self, Bench, failed, milliseconds, ratio};
use crate::languages::LANGUAGES;
use crate::table::{Table, rounded};

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    Ok(vec![steps(bench)?, cached(bench)?])
}

fn steps(bench: &Bench) -> Result<Table> {
    let title = format!("Once for each plugin; medians of {} rounds", bench.n_runs);
    let columns = ["plugin", "KiB", "compile, ms", "instantiate, ms", "load, ms"];
    let mut table = Table::new(title, &columns);
    let mut config = wasmtime::Config::new();
    config.wasm_component_model(true).epoch_interruption(true);
    let engine = wasmtime::Engine::new(&config).map_err(|error| failed(&error))?;
    let subjects = [
        ("copy_column", chains::guest("copy_column")?),
        ("detect_failed_logins", chains::plugin("detect_failed_logins")?),
        ("redact_pii", chains::plugin("redact_pii")?),
    ];
    for (name, bytes) in subjects {
        let (mut compile, mut instantiate, mut load) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.n_runs {
            let started = Instant::now();
            let component = Component::new(&engine, &bytes).map_err(|error| failed(&error))?;
            compile.push(started.elapsed());
            instantiate.push(instantiated(&engine, &component)?);
            // A new engine: one that was used remembers the component.
            let ours = Engine::new()?;
            load.push(loaded(&ours, &bytes)?);
        }
        table.push([
            json!(name),
            json!(bytes.len() / 1024),
            rounded(milliseconds(&compile), 1),
            rounded(milliseconds(&instantiate), 3),
            rounded(milliseconds(&load), 1),
        ]);
    }
    Ok(table)
}

fn instantiated(engine: &wasmtime::Engine, component: &Component) -> Result<Duration> {
    // Imports are not called by a start.
    let mut linker = Linker::<()>::new(engine);
    linker.define_unknown_imports_as_traps(component).map_err(|error| failed(&error))?;
    let pre = linker.instantiate_pre(component).map_err(|error| failed(&error))?;
    let mut store = wasmtime::Store::new(engine, ());
    store.set_epoch_deadline(1);
    let started = Instant::now();
    black_box(pre.instantiate(&mut store).map_err(|error| failed(&error))?);
    Ok(started.elapsed())
}

/// Compile or look into the cache, instantiate, describe, configure.
fn loaded(engine: &Engine, component: &[u8]) -> Result<Duration> {
    let source = chains::source(component, &json!({}));
    let started = Instant::now();
    black_box(Plugin::load(engine, source)?);
    Ok(started.elapsed())
}

fn cached(bench: &Bench) -> Result<Table> {
    let title = "The cache of compiled code; medians of the rounds that the second column says";
    let columns = [
        "plugin",
        "rounds",
        "KiB",
        "compiled, KiB",
        "load cold, ms",
        "load warm, ms",
        "cold to warm",
        "load again, ms",
    ];
    let mut table = Table::new(title, &columns);
    let mut subjects = vec![("redact_pii".to_owned(), chains::plugin("redact_pii")?, bench.n_runs)];
    for lang in LANGUAGES {
        if let Some(bytes) = chains::template(lang)? {
            // Interpreters take seconds to compile.
            let n_runs = if lang == "rust" { bench.n_runs } else { bench.few_runs() };
            subjects.push((format!("template in {lang}"), bytes, n_runs));
        }
    }
    for (name, bytes, n_runs) in subjects {
        let (mut cold, mut warm, mut again, mut size) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for _ in 0..n_runs {
            let folder = env::folder("cache")?.join("compiled");
            cold.push(loaded(&Engine::with_cache(&folder)?, &bytes)?);
            let engine = Engine::with_cache(&folder)?;
            warm.push(loaded(&engine, &bytes)?);
            again.push(loaded(&engine, &bytes)?);
            size = bytes_in(&folder)?;
        }
        table.push([
            json!(name),
            json!(n_runs),
            json!(bytes.len() / 1024),
            json!(size / 1024),
            rounded(milliseconds(&cold), 1),
            rounded(milliseconds(&warm), 2),
            rounded(ratio(&cold, &warm), 0),
            rounded(milliseconds(&again), 2),
        ]);
    }
    Ok(table)
}

fn bytes_in(folder: &Path) -> Result<u64> {
    let entries = fs::read_dir(folder).with_context(|| format!("no cache {}", folder.display()))?;
    let sizes = entries.map(|entry| -> Result<u64> { Ok(entry?.metadata()?.len()) });
    sizes.sum::<Result<u64>>()
}
