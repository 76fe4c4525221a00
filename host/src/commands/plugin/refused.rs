//! Why a component is not put in place. Exit code 2.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("group {group} has committed nothing to the table {table} yet: check --group")]
    NoCommit { table: String, group: String },
    #[error("the table {table} knows no plugin {plugin:?} of group {group}; it knows: {known}")]
    UnknownPlugin { plugin: String, table: String, group: String, known: String },
    #[error(
        "{plugin} does not judge now: say with --to which component you mean; it ran as: {known}"
    )]
    NotRunning { plugin: String, known: String },
    #[error("{plugin} runs as {current}, and the history knows no other component before it")]
    NothingBefore { plugin: String, current: String },
    #[error(
        "{plugin} runs as {current}, and only its configuration has changed, from {before} to {after}: \
         change the configuration back by hand"
    )]
    OnlyConfig { plugin: String, current: String, before: String, after: String },
    #[error("--to: {given:?} is no SHA-256 in hex, nor the begin of one of at least 4 digits")]
    NoDigest { given: String },
    #[error("--to: no component of {plugin} begins with {given}; there are: {known}")]
    UnknownDigest { plugin: String, given: String, known: String },
    #[error("--to: {given} is the begin of several components of {plugin}: {known}")]
    Ambiguous { plugin: String, given: String, known: String },
    #[error("{plugin}: no candidate runs beside it{ended}; start one first")]
    NoShadow { plugin: String, ended: String },
    #[error(
        "{plugin} runs as {source_name}, a part of this program: install the release that held \
         {wanted}, or write the component to a file with --output and name that file in place of \
         {source_name}"
    )]
    Builtin { plugin: String, source_name: String, wanted: String },
    #[error(
        "{plugin} was read from {source_name:?}, which is no absolute path: name the file with --output"
    )]
    Relative { plugin: String, source_name: String },
    #[error(
        "{} is a symbolic link to {}, as in a Kubernetes ConfigMap, and would be put back by who made \
         it: change the ConfigMap, or what the link leads to; the component is at {component}, and \
         --output FILE writes a copy", path.display(), leads_to.display()
    )]
    Link { path: PathBuf, leads_to: PathBuf, component: String },
    #[error(
        "{} holds {found}, which is not what runs: {plugin} runs as {current}; say with --to which \
         component you want there", path.display()
    )]
    FileDiffers { path: PathBuf, plugin: String, found: String, current: String },
    #[error(
        "{} holds {wanted} already; `audit-host plugin history {plugin}` says whether the host took it",
        path.display()
    )]
    ThereAlready { path: PathBuf, plugin: String, wanted: String },
}
