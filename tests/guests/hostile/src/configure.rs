//! What the plugin says that it reads and writes, rightly and wrongly.

use crate::abi::audit_host::plugin::types::ColumnType;
use crate::abi::exports::audit_host::plugin::lifecycle::{Binding, ConfigError, OutputColumn};
use crate::guest::{AGENT, OFFSET, PARTITION};
use crate::options::{Behavior, Options, Table};
use crate::{extra, mode, resources};

pub(crate) const TABLE: Table = &[
    ("configure-trap", Behavior::Configure(|_, _| core::arch::wasm32::unreachable())),
    ("configure-spin", Behavior::Configure(|_, _| resources::spin())),
    ("configure-error", Behavior::Configure(|_, _| Err(error("do", "refused as asked")))),
    ("configure-error-nasty", Behavior::Configure(|_, _| Err(error(NASTY, NASTY)))),
    ("configure-error-empty", Behavior::Configure(|_, _| Err(error("", "")))),
    ("configure-error-huge", Behavior::Configure(error_huge)),
    (
        "configure-reads-unknown-column",
        Behavior::Configure(|_, binding| reading(binding, "no_such")),
    ),
    ("configure-reads-nasty-column", Behavior::Configure(|_, binding| reading(binding, NASTY))),
    ("configure-reads-twice", Behavior::Configure(|_, binding| reading(binding, OFFSET))),
    ("configure-reads-nothing", Behavior::Configure(|_, _| Ok(empty()))),
    (
        "configure-writes-host-column",
        Behavior::Configure(|_, binding| writing(binding, HOST_COLUMN)),
    ),
    (
        "configure-writes-required-column",
        Behavior::Configure(|_, binding| writing(binding, REQUIRED_COLUMN)),
    ),
    ("configure-writes-twice", Behavior::Configure(|_, binding| writing(binding, AGENT_TEXT))),
    ("configure-bad-column-name", Behavior::Configure(|_, binding| writing(binding, BAD_NAME))),
    ("configure-nasty-column-name", Behavior::Configure(|_, binding| writing(binding, NASTY_NAME))),
    ("configure-empty-column-name", Behavior::Configure(|_, binding| writing(binding, NO_NAME))),
    ("configure-huge-column-name", Behavior::Configure(huge_column_name)),
    ("configure-wrong-type", Behavior::Configure(wrong_type)),
    ("configure-huge", Behavior::Configure(huge)),
    ("configure-huge-writes", Behavior::Configure(huge_writes)),
];

/// Control characters, an escape sequence of terminals, a line that looks like the host's own, and a
/// character that turns the direction of text.
pub(crate) const NASTY: &str = "nasty\0\r\n2026-01-01T00:00:00Z ERROR audit-host: forged\n\u{1b}[31m\u{1b}]0;owned\u{7}\u{202e}";

type Written = (&'static str, ColumnType);
const HOST_COLUMN: Written = (OFFSET, ColumnType::Int64);
const REQUIRED_COLUMN: Written = ("action_type", ColumnType::Utf8);
const AGENT_TEXT: Written = (AGENT, ColumnType::Utf8);
const BAD_NAME: Written = ("Not A Name; drop table", ColumnType::Utf8);
const NASTY_NAME: Written = (NASTY, ColumnType::Utf8);
const NO_NAME: Written = ("", ColumnType::Utf8);

/// The binding of the well-behaved plugin.
pub(crate) fn binding(options: &Options) -> Binding {
    if mode::is_detector() {
        let mut reads = vec![PARTITION.to_owned(), OFFSET.to_owned()];
        if matches!(options.behavior, Behavior::Quote(_)) {
            reads.push(AGENT.to_owned());
        }
        return Binding { reads, ..empty() };
    }
    let mut writes = vec![output(AGENT_TEXT)];
    if let Behavior::SpoilExtra(of, _) = options.behavior {
        writes.push(output((extra::NAME, of)));
    }
    Binding { reads: vec![OFFSET.to_owned(), AGENT.to_owned()], writes }
}

fn empty() -> Binding {
    Binding { reads: Vec::new(), writes: Vec::new() }
}

fn output((name, type_): Written) -> OutputColumn {
    OutputColumn { name: name.to_owned(), type_, preserves_equality: true }
}

fn error(key: &str, message: &str) -> ConfigError {
    ConfigError { key: key.to_owned(), message: message.to_owned() }
}

fn error_huge(options: &Options, _: Binding) -> Result<Binding, ConfigError> {
    let n_bytes = options.bytes_or(16 << 20);
    Err(ConfigError { key: "k".repeat(n_bytes), message: "m".repeat(n_bytes) })
}

fn reading(mut binding: Binding, name: &str) -> Result<Binding, ConfigError> {
    binding.reads.push(name.to_owned());
    Ok(binding)
}

fn writing(mut binding: Binding, column: Written) -> Result<Binding, ConfigError> {
    binding.writes.push(output(column));
    Ok(binding)
}

fn huge_column_name(options: &Options, mut binding: Binding) -> Result<Binding, ConfigError> {
    let name = "n".repeat(options.bytes_or(16 << 20));
    binding.writes.push(OutputColumn { name, ..output(NO_NAME) });
    Ok(binding)
}

fn wrong_type(_: &Options, mut binding: Binding) -> Result<Binding, ConfigError> {
    binding.writes = vec![output((AGENT, ColumnType::Int64))];
    Ok(binding)
}

fn huge(options: &Options, mut binding: Binding) -> Result<Binding, ConfigError> {
    binding.reads = (0..options.n_or(1_000_000)).map(|idx| format!("c{idx}")).collect();
    Ok(binding)
}

fn huge_writes(options: &Options, mut binding: Binding) -> Result<Binding, ConfigError> {
    let added = |idx| OutputColumn { name: format!("c{idx}"), ..output(AGENT_TEXT) };
    binding.writes.extend((0..options.n_or(100_000)).map(added));
    Ok(binding)
}
