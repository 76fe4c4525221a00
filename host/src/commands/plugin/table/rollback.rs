//! `audit-host plugin rollback`.

use anyhow::Result;
use audit_core::PluginId;

use super::history_format::{known, pick, ran, shown};
use super::install::{Order, source_of};
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
    let ran = ran(&history, current);
    let Some(source) = source_of(&history) else {
        // Without a change there is at most one component, and no known file.
        return Err(match current {
            Some(current) => nothing_before(&plugin, current),
            None => opened.unknown(&plugin, &chain).await?,
        }
        .into());
    };
    let wanted = wanted(&plugin, &ran, current, pick.to.as_deref())?;
    let order = Order { plugin: &plugin, wanted, current, source };
    starts::swap(&opened, config.as_deref(), &order, &pick).await
}

/// The component named, or else the one that ran before the one that runs now.
fn wanted<'a>(
    plugin: &str,
    ran: &[&'a PluginId],
    current: Option<&PluginId>,
    to: Option<&str>,
) -> Result<&'a PluginId, Error> {
    if let Some(to) = to {
        return pick(plugin, ran, to);
    }
    let Some(current) = current else {
        return Err(Error::NotRunning { plugin: plugin.to_owned(), known: known(ran) });
    };
    let before = ran.iter().rev().find(|id| id.sha256 != current.sha256);
    if let Some(before) = before {
        return Ok(before);
    }
    let other = ran.iter().rev().find(|id| id.config_sha256 != current.config_sha256);
    Err(match other {
        Some(other) => Error::OnlyConfig {
            plugin: plugin.to_owned(),
            current: shown(current),
            before: other.config_sha256.clone(),
            after: current.config_sha256.clone(),
        },
        None => nothing_before(plugin, current),
    })
}

fn nothing_before(plugin: &str, current: &PluginId) -> Error {
    Error::NothingBefore { plugin: plugin.to_owned(), current: shown(current) }
}

#[cfg(test)]
mod tests {
    use audit_core::ChangeKind::{Added, Refused, Removed, Replaced, ShadowStarted};
    use audit_sink::PastChange;

    use super::super::history_format::tests::{id, past};
    use super::*;

    /// What `rollback` picks, by the first digit of its digest, or a part of why it picks nothing.
    fn check(history: &[PastChange], now: Option<&PluginId>, expect: Result<char, &str>) {
        let found = wanted("p", &ran(history, now), now, None);
        match (found, expect) {
            (Ok(id), Ok(digit)) => assert!(id.sha256.starts_with(digit), "{id:?}"),
            (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn the_component_before_the_current_one_is_taken() {
        let (a, b, c) = (id('a', "c1"), id('b', "c1"), id('c', "c1"));
        let b_set = id('b', "c2");
        let replaced = |before, after| past(Replaced, Some(before), Some(after));
        let added = |id| past(Added, None, Some(id));
        check(&[added(&a), replaced(&a, &b)], Some(&b), Ok('a'));
        // A rollback is a change like any other: another one undoes it.
        check(&[added(&a), replaced(&a, &b), replaced(&b, &a)], Some(&a), Ok('b'));
        check(&[replaced(&a, &b), replaced(&b, &b_set)], Some(&b_set), Ok('a'));
        check(&[replaced(&a, &b), past(Removed, Some(&b), None), added(&c)], Some(&c), Ok('b'));
        // Neither a rejected candidate nor a shadow ever judged.
        let asides = [
            replaced(&a, &b),
            past(Refused, Some(&b), Some(&c)),
            past(ShadowStarted, Some(&b), Some(&c)),
        ];
        check(&asides, Some(&b), Ok('a'));
        check(&asides[1..], Some(&b), Err("no other component"));
        check(&[added(&b), replaced(&b, &b_set)], Some(&b_set), Err("from c1 to c2"));
        check(&[replaced(&a, &b), past(Removed, Some(&b), None)], None, Err("--to"));
    }
}
