//! `docs/errors.md`: a section for each code that a user can meet.

use std::fmt::Write as _;

use super::codes::{Coded, Codes};

pub(crate) const PAGE: &str = "docs/errors.md";

/// Who declares which codes: the folder (the longest one counts), the first code, and a heading.
pub(crate) const AREAS: &[(&str, u32, &str)] = &[
    ("host/crates/core/", 50, "Pipeline"),
    ("host/src/config/", 100, "Command line and configuration"),
    ("host/crates/source/", 200, "Kafka"),
    ("host/crates/decode/", 300, "Decoding"),
    ("host/crates/chain/", 400, "Plugins"),
    ("host/crates/sink/", 500, "Table and warehouse"),
    ("host/crates/alert/", 600, "Alerts"),
    ("host/crates/lookup/", 700, "Lookups and calendars"),
    ("host/src/", 800, "Commands and reload"),
    ("host/crates/generate/", 900, "Generated events"),
    ("host/crates/toolchain/", 1000, "Building plugins"),
    ("host/crates/golden/", 1100, "Golden cases in components"),
    ("host/src/golden/", 1110, "Golden cases that are run"),
];

const HEAD: &str = "\
<!-- Made by `cargo xtask docs` from the error types of the code. Change it there. -->

# Errors

On failure, except of a flag or value that the command line itself refuses, the last line of standard error begins with `audit-host: `, then says what was attempted, then why, and ends with a
code such as `(AH-0501)`. A code means the same in every release. In the messages below `…` stands for names and numbers.

Exit code 2: you have to change the command line, the configuration or a file that it names. Exit code 1: something failed while
it ran. With `on-error = \"quarantine\"`, which is the default, and `\"pass\"`, a plugin that fails on rows ends nothing.

A host that is running and rejects a plugin or a lookup goes on with the version that it has. It says the same words with the
same code in its log, in the alert `plugin-refused` or `lookup-refused`, and, of a plugin, in its history.

Lines such as `ERROR librdkafka: … Connect to … failed` before the last one come from librdkafka, and repeat it.
";

const TAIL: &str = "
## Anything else

A line with `panicked` is a bug in audit-host. Report it with the log. The table is as it was at the last commit.
";

/// The whole page.
pub(crate) fn page(codes: &Codes) -> String {
    let mut text = HEAD.to_owned();
    let mut declared: Vec<&Coded> = codes.declared.iter().collect();
    declared.sort_by(|a, b| a.code.cmp(&b.code));
    for (folder, first, heading) in AREAS {
        let mut of_area =
            declared.iter().filter(|coded| area(&coded.file).is_some_and(|area| area.0 == *folder));
        let Some(next) = of_area.next() else { continue };
        let _ = writeln!(text, "\n## {heading}\n\nCodes from AH-{first:04}.");
        section(next, &mut text);
        of_area.for_each(|next| section(next, &mut text));
    }
    text + TAIL
}

fn section(coded: &Coded, text: &mut String) {
    let _ = write!(text, "\n### {}\n\n{}", coded.code, coded.title);
    if let Some(exit) = coded.exit {
        let _ = write!(text, " Exit code {exit}.");
    }
    text.push('\n');
    if let Some(says) = &coded.says {
        // Two marks, as messages have single ones in them.
        let _ = write!(text, "\n> `` {says} ``\n");
    }
    let _ = write!(text, "\n- **Cause:** {}\n- **Remedy:** {}\n", coded.cause, coded.remedy);
}

/// The row of [`AREAS`] that a file belongs to.
pub(crate) fn area(file: &str) -> Option<&'static (&'static str, u32, &'static str)> {
    let all = AREAS.iter().filter(|(folder, ..)| file.starts_with(folder));
    all.max_by_key(|(folder, ..)| folder.len())
}
