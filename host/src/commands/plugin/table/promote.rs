//! `audit-host plugin promote`.

use anyhow::Result;
use audit_core::{ChangeKind, PluginChange};
use audit_sink::PastChange;

use super::history_format::{pick, time};
use super::install::Order;
use super::opened::Opened;
use super::starts;
use crate::cli::SwapArgs;
use crate::commands::plugin::error::Error;

pub(crate) async fn run(args: SwapArgs) -> Result<()> {
    let SwapArgs { table, plugin, pick, .. } = args;
    let config = table.config.clone();
    let opened = Opened::open(table).await?;
    let (chain, history) = (opened.chain().await?, opened.history(Some(&plugin)).await?);
    let current = chain.iter().find(|id| id.name == plugin);
    if current.is_none() && history.is_empty() {
        return Err(opened.unknown(&plugin, &chain).await?.into());
    }
    let shadow = chosen(&plugin, &history, pick.to.as_deref())?;
    let Some(wanted) = &shadow.after else {
        return Err(no_shadow(&plugin, &history).into());
    };
    // The source of a shadow's start is the file of the plugin that it runs beside.
    let order = Order { plugin: &plugin, wanted, current, source: &shadow.source };
    starts::swap(&opened, config.as_deref(), &order, &pick).await
}

/// The start of the shadow named, or of the newest that still runs.
fn chosen<'a>(
    plugin: &str,
    history: &'a [PastChange],
    to: Option<&str>,
) -> Result<&'a PluginChange, Error> {
    let shadows = open_shadows(history);
    let Some(newest) = shadows.last() else { return Err(no_shadow(plugin, history)) };
    let Some(to) = to else { return Ok(newest) };
    let candidates: Vec<_> = shadows.iter().filter_map(|start| start.after.as_ref()).collect();
    let id = pick(plugin, &candidates, to)?;
    let start = shadows.iter().rev().find(|start| start.after.as_ref() == Some(id));
    start.copied().ok_or_else(|| no_shadow(plugin, history))
}

/// Starts of shadows that no later change ended.
fn open_shadows(history: &[PastChange]) -> Vec<&PluginChange> {
    let digest = |change: &PluginChange| change.after.as_ref().map(|id| id.sha256.clone());
    let mut open: Vec<&PluginChange> = Vec::new();
    for change in history.iter().map(|past| &past.change) {
        match change.kind {
            // A plugin has one shadow: another replaces it.
            ChangeKind::ShadowStarted => open = vec![change],
            // If the end does not say which one ended, all have.
            ChangeKind::ShadowEnded if change.after.is_none() => open.clear(),
            // A shadow that replaced the plugin is no longer one.
            ChangeKind::ShadowEnded | ChangeKind::Replaced => {
                open.retain(|start| digest(start) != digest(change));
            }
            _ => {}
        }
    }
    open
}

fn no_shadow(plugin: &str, history: &[PastChange]) -> Error {
    let ended = history.iter().rev().find(|past| past.change.kind == ChangeKind::ShadowEnded);
    Error::NoShadow {
        plugin: plugin.to_owned(),
        ended: ended.map_or_else(String::new, |past| {
            format!(" (the last one ended at {})", time(past.change.at))
        }),
    }
}

#[cfg(test)]
mod tests {
    use audit_core::ChangeKind::{Replaced, ShadowEnded, ShadowStarted};

    use super::super::history_format::tests::{id, past};
    use super::*;

    /// What `promote` picks, by the first digit of its digest, or a part of why it picks nothing.
    fn check(history: &[PastChange], to: Option<&str>, expect: Result<char, &str>) {
        match (chosen("p", history, to), expect) {
            (Ok(start), Ok(digit)) => {
                assert!(start.after.as_ref().unwrap().sha256.starts_with(digit), "{start:?}");
            }
            (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn the_newest_candidate_that_still_runs_is_taken() {
        let (live, b, c) = (id('a', "c"), id('b', "c"), id('c', "c"));
        let started = |id| past(ShadowStarted, Some(&live), Some(id));
        let ended = |id| past(ShadowEnded, Some(&live), id);
        check(&[started(&b)], None, Ok('b'));
        check(&[started(&b), started(&c)], None, Ok('c'));
        check(&[started(&b), started(&c)], Some("bbbb"), Err("begins with bbbb"));
        check(&[started(&b), ended(Some(&b)), started(&c)], None, Ok('c'));
        check(&[started(&b), started(&c), ended(Some(&c))], None, Err("no shadow"));
        check(&[started(&b), ended(Some(&b))], None, Err("ended at 1970-01-01T00:00:00Z"));
        check(&[started(&b), ended(None)], None, Err("no shadow"));
        check(&[started(&b), past(Replaced, Some(&live), Some(&b))], None, Err("no shadow"));
        check(&[started(&b)], Some("cccc"), Err("begins with cccc"));
        check(&[], None, Err("p: no shadow runs beside it; start one first"));
    }
}
