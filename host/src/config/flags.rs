//! The arguments of the main job, and of commands that read its table: as [`Setting`]s declare them.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::file::File;
use super::sections::{CommandLine, Kafka, Plugins, Table};
use super::setting::Setting;

/// What flags and variables say.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) config: Option<PathBuf>,
    /// `--plugin`, in this order.
    pub(crate) plugins: Vec<String>,
    /// `--shadow PLUGIN=FILE`.
    pub(crate) shadows: Vec<String>,
    /// `--allow-unredacted COLUMN`.
    pub(crate) allow_unredacted: Vec<String>,
    /// `--allow-lost-settings PLUGIN`.
    pub(crate) allow_lost_settings: Vec<String>,
    pub(crate) print_config: bool,
    /// What could also stand in the file.
    pub(crate) given: File,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let (request, line): (Vec<_>, Vec<_>) =
            CommandLine::ALL.iter().partition(|setting| setting.is_request());
        let settings = line.into_iter().chain(File::settings()).chain(request);
        command.args(settings.filter_map(Setting::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let matches = &mut matches.clone();
        let CommandLine { config, plugin, allow_unredacted, allow_lost_settings, print_config } =
            CommandLine::given(matches);
        let shadows = Plugins::shadow().given(matches);
        let given = File::given(matches);
        Ok(Self {
            config,
            plugins: plugin,
            shadows,
            allow_unredacted,
            allow_lost_settings,
            print_config,
            given,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Which table a command reads, found as a run finds it.
#[derive(Debug, Default)]
pub(crate) struct TableArgs {
    pub(crate) config: Option<PathBuf>,
    pub(crate) catalog: Option<String>,
    pub(crate) warehouse: Option<String>,
    pub(crate) table: Option<String>,
    pub(crate) group: Option<String>,
}

impl Args for TableArgs {
    fn augment_args(command: Command) -> Command {
        let settings = [
            CommandLine::config(),
            Table::catalog(),
            Table::warehouse(),
            Table::name(),
            Kafka::group(),
        ];
        command.args(settings.iter().filter_map(Setting::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TableArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let matches = &mut matches.clone();
        Ok(Self {
            config: CommandLine::config().given(matches),
            catalog: Table::catalog().given(matches),
            warehouse: Table::warehouse().given(matches),
            table: Table::name().given(matches),
            group: Kafka::group().given(matches),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
