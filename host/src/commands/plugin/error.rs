//! Why a command on plugins fails.

use std::path::PathBuf;
use std::process::ExitStatus;

use audit_core::Kind;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A tool of the build cannot be started.
    ///
    /// Cause: the operating system refused to run it.
    ///
    /// Remedy: check that the program is installed and executable.
    #[error("building {plugin}: `{line}`")]
    ToolStart {
        plugin: String,
        line: String,
        #[source]
        cause: std::io::Error,
    },
    /// The last build failed.
    ///
    /// Cause: the component in `target` is older than the sources, as the build after it did not end well.
    ///
    /// Remedy: correct what the build reports and build again, or name a component with `--component`.
    #[error(
        "testing {plugin}: the last build of {plugin} failed, and the component in target is that of an older \
         one: run `audit-host plugin build`, or give --component"
    )]
    Unbuilt { plugin: String },
    /// The component is older than its sources.
    ///
    /// Cause: a source of the project was changed after the last build.
    ///
    /// Remedy: build again, or name a component with `--component`.
    #[error(
        "testing {plugin}: its sources have changed since the component in target was built: run `audit-host \
         plugin build`, or give --component"
    )]
    Outdated { plugin: String },
    /// A tool of the build failed.
    ///
    /// Cause: a compiler or package manager ended with an error; its messages are above.
    ///
    /// Remedy: act on those messages.
    #[error("building {plugin}: `{line}` ended with {status}; see its messages above")]
    ToolFailed { plugin: String, line: String, status: ExitStatus },
    /// The golden cases of a project cannot be embedded.
    ///
    /// Cause: a file of a case is not valid, or the cases are too large for a component.
    ///
    /// Remedy: correct what follows.
    #[error("building {plugin}: its golden cases")]
    GoldenCases {
        plugin: String,
        #[source]
        cause: crate::golden::Error,
    },
    /// A file is not a plugin.
    ///
    /// Cause: the file cannot be compiled as a component.
    ///
    /// Remedy: act on what follows, or build the file again.
    #[error("{attempted} {file}")]
    NotAPlugin {
        attempted: &'static str,
        file: String,
        #[source]
        cause: audit_chain::Error,
    },
    /// A plugin does not load.
    ///
    /// Cause: the component was read, but it does not start or rejects its configuration.
    ///
    /// Remedy: act on what follows; `plugin check` lists all problems.
    #[error("inspecting the plugin {file}: {problem}")]
    NotLoaded { file: String, problem: String },
    /// A plugin has problems.
    ///
    /// Cause: `plugin check` found what the lines above list.
    ///
    /// Remedy: act on those lines.
    #[error("checking the plugin {file}: {problems}")]
    Problems { file: String, problems: String },
    /// There are no golden cases.
    ///
    /// Cause: no folder with `events.jsonl` was found, or the component carries none.
    ///
    /// Remedy: write a case, or name the folder with `--cases`.
    #[error(
        "looking for golden cases in {place}: there are none; a case is a folder with events.jsonl in it"
    )]
    NoCases { place: String },
    /// No golden case has this name.
    ///
    /// Cause: `--only` matches no case.
    ///
    /// Remedy: use one of the names that the message lists.
    #[error("no golden case in {place} has {only:?} in its name; available: {known}")]
    NoSuchCase { place: String, only: String, known: String },
    /// Golden cases failed.
    ///
    /// Cause: what the plugin returned is not what the cases expect; the differences are above.
    ///
    /// Remedy: correct the plugin, or rewrite the expected files with `--update`.
    #[error("testing {file}: {failed} failed")]
    CasesFailed { file: String, failed: String },
    /// A plugin fails on generated events.
    ///
    /// Cause: the plugin failed while it was measured.
    ///
    /// Remedy: correct the fault that follows.
    #[error("measuring {file}: it failed on generated events: {reason}")]
    BenchFailed { file: String, reason: String },
    /// A plugin is slower than its budget.
    ///
    /// Cause: a row takes longer than `--budget-ns`.
    ///
    /// Remedy: make the plugin faster, or raise the budget.
    #[error(
        "measuring {plugin}: a row takes {row_ns:.0} ns, more than the budget of {budget_ns} ns"
    )]
    OverBudget { plugin: String, row_ns: f64, budget_ns: u64 },
    /// The group has committed nothing.
    ///
    /// Cause: the host of this `--group` has not committed to the table yet, or it has another group.
    ///
    /// Remedy: check `--group`.
    #[error("group {group} has committed nothing to the table {table} yet: check --group")]
    NoCommit { table: String, group: String },
    /// The plugin is unknown.
    ///
    /// Cause: no plugin of this name ever ran in this group.
    ///
    /// Remedy: use one of the names that the message lists, or another `--group`.
    #[error("the table {table} has no plugin {plugin:?} in group {group}; available: {known}")]
    UnknownPlugin { plugin: String, table: String, group: String, known: String },
    /// The plugin is not running.
    ///
    /// Cause: the plugin left the chain, so that there is no version before the current one.
    ///
    /// Remedy: name the component with `--to`.
    #[error("{plugin} is not running: name the component with --to; it ran as: {known}")]
    NotRunning { plugin: String, known: String },
    /// There is no version to roll back to.
    ///
    /// Cause: the plugin was never replaced by another component.
    ///
    /// Remedy: none is needed; another component can be written to the plugin's file by hand.
    #[error("{plugin} runs as {current}, and the history has no other component before it")]
    NothingBefore { plugin: String, current: String },
    /// Only the configuration changed.
    ///
    /// Cause: the component is the same as before; a rollback replaces components only.
    ///
    /// Remedy: change the configuration back by hand.
    #[error(
        "{plugin} runs as {current}, and only its configuration has changed, from {before} to {after}: \
         change the configuration back by hand"
    )]
    OnlyConfig { plugin: String, current: String, before: String, after: String },
    /// The digest is not valid.
    ///
    /// Cause: `--to` is not a SHA-256 in hex, nor a prefix of one with 4 to 64 digits.
    ///
    /// Remedy: copy it from `plugin history`.
    #[error("--to: {given:?} is not a SHA-256 in hex, nor a prefix of one with at least 4 digits")]
    NoDigest { given: String },
    /// No component has this digest.
    ///
    /// Cause: no component that ran under this name has a SHA-256 with the prefix of `--to`.
    ///
    /// Remedy: use one of those that the message lists.
    #[error("--to: no component of {plugin} begins with {given}; available: {known}")]
    UnknownDigest { plugin: String, given: String, known: String },
    /// The digest is ambiguous.
    ///
    /// Cause: several components have a SHA-256 with the prefix of `--to`.
    ///
    /// Remedy: give more digits.
    #[error("--to: {given} is a prefix of several components of {plugin}: {known}")]
    Ambiguous { plugin: String, given: String, known: String },
    /// There is no candidate to promote.
    ///
    /// Cause: no shadow runs beside the plugin.
    ///
    /// Remedy: start one with `--shadow`.
    #[error("{plugin}: no shadow runs beside it{ended}; start one first")]
    NoShadow { plugin: String, ended: String },
    /// A built-in plugin has no file.
    ///
    /// Cause: the plugin is part of the program, so there is no file to replace.
    ///
    /// Remedy: install the release with the wanted version, or write the component to a file with `--output`
    /// and use that file in the configuration.
    #[error(
        "{plugin} runs as {source_name}, which is part of this program: install the release that has \
         {wanted}, or write the component to a file with --output and use that file instead of \
         {source_name}"
    )]
    Builtin { plugin: String, source_name: String, wanted: String },
    /// The plugin's file is not known.
    ///
    /// Cause: the host recorded a relative path, which means nothing here.
    ///
    /// Remedy: name the file with `--output`.
    #[error(
        "{plugin} was read from {source_name:?}, which is not an absolute path: name the file with --output"
    )]
    Relative { plugin: String, source_name: String },
    /// The plugin's file is a symbolic link.
    ///
    /// Cause: another program, such as Kubernetes for a ConfigMap, manages the link and would restore it.
    ///
    /// Remedy: change the ConfigMap, or the target of the link.
    #[error(
        "{} is a symbolic link to {}, as in a Kubernetes ConfigMap, and would be restored by whatever \
         manages it: change the ConfigMap, or the target of the link; the component is at {component}, and \
         --output FILE writes a copy", path.display(), leads_to.display()
    )]
    Link { path: PathBuf, leads_to: PathBuf, component: String },
    /// The plugin's file is not what runs.
    ///
    /// Cause: the file holds a candidate that was rejected, or that the host has not read yet.
    ///
    /// Remedy: name the component with `--to`; the file is then overwritten.
    #[error(
        "{} holds {found}, which is not what runs: {plugin} runs as {current}; name the component that \
         you want there with --to", path.display()
    )]
    FileDiffers { path: PathBuf, plugin: String, found: String, current: String },
    /// The component is in place already.
    ///
    /// Cause: the plugin's file holds the wanted component.
    ///
    /// Remedy: `audit-host plugin history NAME` shows whether the host loaded it.
    #[error(
        "{} already holds {wanted}; `audit-host plugin history {plugin}` shows whether the host loaded it",
        path.display()
    )]
    ThereAlready { path: PathBuf, plugin: String, wanted: String },
    /// A host would not start with the component.
    ///
    /// Cause: the component does not load with the configuration of the plugin, its golden cases fail, it does
    /// not fit the other plugins, or it refuses the saved state. The plugin's file is unchanged.
    ///
    /// Remedy: choose another component with `--to`, or correct what the message names. `--output FILE` writes
    /// the component without this check.
    #[error(
        "{plugin}: a host would not start with {wanted}, so {} is unchanged; choose another one with --to, or \
         write it to a file with --output", path.display()
    )]
    WouldNotStart {
        plugin: String,
        wanted: String,
        path: PathBuf,
        #[source]
        cause: anyhow::Error,
    },
    /// The component cannot be installed.
    ///
    /// Cause: the folder of the plugin's file is not writable, or the file is a mount of its own.
    ///
    /// Remedy: correct the permissions, or write the component elsewhere with `--output`.
    #[error("installing the component as {}: --output FILE writes it elsewhere", path.display())]
    Install {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unbuilt { .. } => "AH-0885",
            Self::Outdated { .. } => "AH-0886",
            Self::WouldNotStart { .. } => "AH-0887",
            Self::ToolStart { .. } => "AH-0820",
            Self::ToolFailed { .. } => "AH-0821",
            Self::GoldenCases { .. } => "AH-0822",
            Self::NotAPlugin { .. } => "AH-0823",
            Self::NotLoaded { .. } => "AH-0824",
            Self::Problems { .. } => "AH-0825",
            Self::NoCases { .. } => "AH-0826",
            Self::NoSuchCase { .. } => "AH-0827",
            Self::CasesFailed { .. } => "AH-0828",
            Self::BenchFailed { .. } => "AH-0829",
            Self::OverBudget { .. } => "AH-0830",
            Self::NoCommit { .. } => "AH-0840",
            Self::UnknownPlugin { .. } => "AH-0841",
            Self::NotRunning { .. } => "AH-0842",
            Self::NothingBefore { .. } => "AH-0843",
            Self::OnlyConfig { .. } => "AH-0844",
            Self::NoDigest { .. } => "AH-0845",
            Self::UnknownDigest { .. } => "AH-0846",
            Self::Ambiguous { .. } => "AH-0847",
            Self::NoShadow { .. } => "AH-0848",
            Self::Builtin { .. } => "AH-0849",
            Self::Relative { .. } => "AH-0850",
            Self::Link { .. } => "AH-0851",
            Self::FileDiffers { .. } => "AH-0852",
            Self::ThereAlready { .. } => "AH-0853",
            Self::Install { .. } => "AH-0854",
        }
    }

    /// What the program must do about it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Unbuilt { .. }
            | Self::Outdated { .. }
            | Self::WouldNotStart { .. }
            | Self::ToolStart { .. }
            | Self::ToolFailed { .. }
            | Self::NotAPlugin { .. }
            | Self::NotLoaded { .. }
            | Self::Problems { .. }
            | Self::NoCases { .. }
            | Self::NoSuchCase { .. }
            | Self::CasesFailed { .. }
            | Self::BenchFailed { .. }
            | Self::OverBudget { .. }
            | Self::Install { .. } => Kind::Failed,
            _ => Kind::Config,
        }
    }
}
