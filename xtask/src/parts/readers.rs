//! PyIceberg and DuckDB: foreign readers for what the host writes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::{run, setup};

/// The interpreter of a virtual environment with `tests/readers/requirements.txt`.
pub(super) fn fetch(ctx: &Context) -> Result<PathBuf> {
    let readers = ctx.root.join("tests/readers");
    let requirements = readers.join("requirements.txt");
    let text = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    setup::ensure(&[setup::Need::Python])?;
    // The packages are built for one version of the language.
    let version = "import sys; print(sys.version)";
    let version = run::output(Command::new("python3").args(["-c", version]))?;
    let venv = super::folder(ctx, "venv", &format!("{text}{version}"));
    let python = venv.join("bin/python");
    let complete = venv.join("complete");
    if complete.exists() {
        return Ok(python);
    }
    // Scripts of a virtual environment hold its path: it cannot be filled elsewhere and renamed.
    run::step("readers", "makes a Python environment with PyIceberg and DuckDB", || {
        run::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        run::run(pip.args(["--only-binary", ":all:", "--requirement"]).arg(&requirements))
    })?;
    run::step("readers", "lets both read a small table", || {
        run::run(Command::new(&python).arg(readers.join("read_table.py")).arg("--self-check"))
    })?;
    fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
    Ok(python)
}
