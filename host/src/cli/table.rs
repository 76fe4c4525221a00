//! The command line of `audit-host table`.

use clap::{Args, Subcommand};

use super::log::LogArgs;
use crate::config::TableArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TableCommand {
    /// Show the table and its dead letters: files, size, who writes it, offsets, what is pending
    Show(ReadArgs),
    /// List the snapshots, oldest first
    Snapshots(ReadArgs),
    /// Remove old snapshots, as a running host does in quiet times; their offsets stay in the history
    Expire(ChangeArgs),
    /// Merge small manifests, as a running host does in quiet times
    MergeManifests(ChangeArgs),
    /// Remove files that nothing has named for long enough, as a running host does in quiet times
    Garbage(ChangeArgs),
    /// Take a table into a catalog that lost it, or that is an old copy
    Register(RegisterArgs),
    /// Remove the table, its dead letters and all their files
    Drop(DropArgs),
}

impl TableCommand {
    pub(crate) fn log(&self) -> &LogArgs {
        match self {
            Self::Show(args) | Self::Snapshots(args) => &args.log,
            Self::Expire(args) | Self::MergeManifests(args) | Self::Garbage(args) => &args.read.log,
            Self::Register(args) => &args.change.read.log,
            Self::Drop(args) => &args.change.read.log,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["latest", "metadata"])]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Register the newest metadata in the folders of the table and of its dead letters
    #[arg(long)]
    pub(crate) latest: bool,
    /// Register this metadata file, for the table of --table alone
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// The table's name once more, where there is no terminal to type it on
    #[arg(long, value_name = "NAMESPACE.TABLE")]
    pub(crate) yes_drop: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn the_commands_of_the_docs_are_understood() {
        Cli::command().debug_assert();
        let of = |line: &str| {
            let line = format!("audit-host table {line} --config audit-host.toml");
            match Cli::try_parse_from(line.split(' ')) {
                Ok(Cli { command: Some(Command::Table(command)), .. }) => Some(command),
                _ => None,
            }
        };
        assert!(matches!(of("show --json"), Some(TableCommand::Show(args)) if args.json));
        assert!(matches!(of("snapshots"), Some(TableCommand::Snapshots(_))));
        assert!(matches!(of("expire --dry-run"), Some(TableCommand::Expire(args)) if args.dry_run));
        assert!(matches!(of("merge-manifests"), Some(TableCommand::MergeManifests(_))));
        assert!(matches!(of("garbage"), Some(TableCommand::Garbage(_))));
        assert!(matches!(of("register --latest"), Some(TableCommand::Register(a)) if a.latest));
        assert!(matches!(of("drop --yes-drop a.b"), Some(TableCommand::Drop(_))));
        assert!(of("register").is_none() && of("register --latest --metadata x").is_none());
    }
}
