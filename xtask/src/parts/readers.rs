//! PyIceberg and DuckDB: foreign readers for what the host writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::part::Part;
use crate::context::Context;
use crate::{needs, run};

/// A virtual environment with `tests/readers/requirements.txt`.
pub(super) fn fetch(ctx: &Context) -> Result<Part> {
    let readers = ctx.root.join("tests/readers");
    let requirements = readers.join("requirements.txt");
    let text = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    needs::ensure(&[needs::Need::Python])?;
    // The packages are built for one version of the language.
    let version = "import sys; print(sys.version)";
    let version = run::output(Command::new("python3").args(["-c", version]))?;
    let make = |venv: &Path| {
        run::step("readers", "makes a Python environment with PyIceberg and DuckDB", || {
            run::run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
            let mut pip = Command::new(interpreter(venv));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            run::run(pip.args(["--only-binary", ":all:", "--requirement"]).arg(&requirements))
        })
    };
    let check = |venv: &Path| {
        run::step("readers", "lets both read a small table", || {
            let script = readers.join("read_table.py");
            run::run(Command::new(interpreter(venv)).arg(script).arg("--self-check"))
        })
    };
    Part::ensure(ctx, "readers", &format!("{text}{version}"), make, check)
}

pub(super) fn python(part: &Part) -> PathBuf {
    interpreter(&part.folder)
}

fn interpreter(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}
