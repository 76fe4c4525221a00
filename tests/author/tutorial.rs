//! The page for authors is true: its blocks of shell are run in order, and their output must contain what
//! the page shows of it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use audit_tests::env;

/// Compiles the SDK once; `timeout` ends the compilers with the script.
const SECONDS_MAX: &str = "480";
const MARK: &str = "@@ block";

/// A block of shell, and the output that the page shows for it.
struct Block {
    line: usize,
    shell: String,
    /// With `…` for what is left out.
    shown: String,
}

/// The blocks of a page. A block of text right after one of shell is its output.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut fence = None;
    let mut is_output = false;
    for (idx, line) in page.lines().enumerate() {
        match (fence, line.strip_prefix("```")) {
            (None, Some("sh")) => {
                fence = Some("sh");
                blocks.push(Block { line: idx + 1, shell: String::new(), shown: String::new() });
                is_output = true;
            }
            (None, Some(language)) => fence = Some(if language == "text" { "text" } else { "" }),
            (Some(language), Some("")) => {
                is_output = language == "sh";
                fence = None;
            }
            (Some(language), _) => {
                let Some(block) = blocks.last_mut() else { continue };
                let text = match language {
                    "sh" => &mut block.shell,
                    "text" if is_output => &mut block.shown,
                    _ => continue,
                };
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => is_output = is_output && line.is_empty(),
        }
    }
    blocks
}

/// One script: each block prints where it begins, so that the last one that began is the one that failed.
fn script(blocks: &[Block]) -> String {
    let of_block = |block: &Block| format!("echo '{MARK} {}'\n{}", block.line, block.shell);
    let parts: Vec<_> = blocks.iter().map(of_block).collect();
    format!("set -euo pipefail\nexec 2>&1\n{}", parts.concat())
}

/// Whether every part of what is shown comes in the output, in order.
fn is_shown(shown: &str, output: &str) -> Result<(), String> {
    let mut rest = output;
    for part in shown.split(['\n', '…']).map(str::trim).filter(|part| !part.is_empty()) {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return Err(part.to_owned()),
        }
    }
    Ok(())
}

/// Runs the blocks in `dir`; whether all succeeded, and what they printed.
fn run(dir: &Path, blocks: &[Block]) -> Result<(bool, String)> {
    let (bin, work) = (dir.join("bin"), dir.join("work"));
    fs::create_dir_all(&bin)?;
    fs::create_dir_all(&work)?;
    symlink(env::program()?, bin.join("audit-host")).context("no link to the program")?;
    fs::write(dir.join("script.sh"), script(blocks))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let said = dir.join("said");
    let mut bash = Command::new("timeout");
    bash.args([SECONDS_MAX, "bash", "../script.sh"]).current_dir(&work).stdin(Stdio::null());
    env::without_settings(&mut bash);
    bash.env("PATH", format!("{}:{path}", bin.display()));
    let status = bash.stdout(File::create(&said)?).status().context("cannot run bash")?;
    Ok((status.success(), fs::read_to_string(&said)?))
}

#[test]
fn the_page_for_authors_does_what_it_says() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugin-authors.md");
    let blocks = blocks(&fs::read_to_string(&page)?);
    ensure!(blocks.len() > 5, "only {} blocks of shell in {}", blocks.len(), page.display());
    ensure!(blocks.iter().any(|block| !block.shown.is_empty()), "no block with its output");
    let (is_done, said) = run(&env::folder("author-tutorial")?, &blocks)?;
    let outputs: Vec<&str> = said.split(MARK).skip(1).collect();
    let last = outputs.last().copied().unwrap_or_default();
    ensure!(is_done, "{}: the block failed that begins in line{last}", page.display());
    ensure!(outputs.len() == blocks.len(), "{} of {} blocks ran", outputs.len(), blocks.len());
    for (block, output) in blocks.iter().zip(outputs) {
        if let Err(part) = is_shown(&block.shown, output) {
            let (page, line) = (page.display(), block.line);
            return Err(anyhow::anyhow!("{page}:{line}: {part:?} is not in its output:\n{output}"));
        }
    }
    Ok(())
}
