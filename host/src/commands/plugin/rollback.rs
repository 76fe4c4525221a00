//! `audit-host plugin rollback`.

use anyhow::Result;
use audit_core::PluginId;
use audit_sink::PastChange;

use super::clean;
use super::past::{known, pick, ran, shown};
use super::place::{Order, put, source_of};
use super::{Opened, Refused};
use crate::cli::SwapArgs;
use crate::commands::print;

pub(super) async fn run(args: SwapArgs) -> Result<()> {
    let SwapArgs { table, plugin, pick, .. } = args;
    let opened = Opened::open(table).await?;
    let (chain, history) = (opened.chain().await?, opened.history(Some(&plugin)).await?);
    let current = chain.iter().find(|id| id.name == plugin);
    let ran = ran(&history, current);
    let Some(source) = source_of(&history) else {
        // Without a change there is one component at most, and no file that we know of.
        return Err(match current {
            Some(current) => nothing_before(&plugin, current),
            None => opened.unknown(&plugin, &chain).await?,
        }
        .into());
    };
    let wanted = wanted(&plugin, &ran, current, pick.to.as_deref())?;
    let order = Order { plugin: &plugin, wanted, current, source };
    let path = order.file(&pick, &opened.store.components())?;
    put(&path, &opened.component(wanted).await?)?;
    print(&order.done(&path, &pick))
}

/// The component named, or else the one that ran before the one that runs now.
fn wanted<'a>(
    plugin: &str,
    ran: &[&'a PluginId],
    current: Option<&PluginId>,
    to: Option<&str>,
) -> Result<&'a PluginId, Refused> {
    if let Some(to) = to {
        return pick(plugin, ran, to);
    }
    let Some(current) = current else {
        return Err(Refused::NotRunning { plugin: plugin.to_owned(), known: known(ran) });
    };
    let before = ran.iter().rev().find(|id| id.sha256 != current.sha256);
    if let Some(before) = before {
        return Ok(before);
    }
    let other = ran.iter().rev().find(|id| id.config_sha256 != current.config_sha256);
    Err(match other {
        Some(other) => Refused::OnlyConfig {
            plugin: plugin.to_owned(),
            current: shown(current),
            before: other.config_sha256.clone(),
            after: current.config_sha256.clone(),
        },
        None => nothing_before(plugin, current),
    })
}

fn nothing_before(plugin: &str, current: &PluginId) -> Refused {
    Refused::NothingBefore { plugin: plugin.to_owned(), current: shown(current) }
}

impl Opened {
    /// No plugin of that name was ever in the chain.
    pub(super) async fn unknown(&self, plugin: &str, chain: &[PluginId]) -> Result<Refused> {
        let history: Vec<PastChange> = self.history(None).await?;
        let of_history = history.iter().map(|past| &past.change.plugin);
        let mut names: Vec<_> =
            chain.iter().map(|id| &id.name).chain(of_history).map(|name| clean(name)).collect();
        names.sort();
        names.dedup();
        Ok(Refused::UnknownPlugin {
            plugin: plugin.to_owned(),
            table: self.place.name.to_string(),
            group: self.place.group.clone(),
            known: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        })
    }
}

#[cfg(test)]
mod tests {
    use audit_core::ChangeKind::{Added, Refused as RefusedKind, Removed, Replaced, ShadowStarted};

    use super::super::past::tests::{id, past};
    use super::*;

    /// What `rollback` takes, by the first digit of its digest, or a part of why it takes nothing.
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
        // A rollback is a change as every other: another one goes back again.
        check(&[added(&a), replaced(&a, &b), replaced(&b, &a)], Some(&a), Ok('b'));
        check(&[replaced(&a, &b), replaced(&b, &b_set)], Some(&b_set), Ok('a'));
        check(&[replaced(&a, &b), past(Removed, Some(&b), None), added(&c)], Some(&c), Ok('b'));
        // Neither a refused candidate nor a shadow ever judged.
        let asides = [
            replaced(&a, &b),
            past(RefusedKind, Some(&b), Some(&c)),
            past(ShadowStarted, Some(&b), Some(&c)),
        ];
        check(&asides, Some(&b), Ok('a'));
        check(&asides[1..], Some(&b), Err("no other component"));
        check(&[added(&b), replaced(&b, &b_set)], Some(&b_set), Err("from c1 to c2"));
        check(&[replaced(&a, &b), past(Removed, Some(&b), None)], None, Err("--to"));
    }
}
