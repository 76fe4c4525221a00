//! A start that is refused because of what plugins may do leaves a row in the table and an alert: what was tried
//! matters to whoever watches, and the exit code is seen only by whoever started the program.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, Result};
use audit_chain::{Error as ChainError, PluginChain};
use audit_core::stage::{AlertSink as _, Chain as _, Table as _, Writer as _};
use audit_core::text::one_line;
use audit_core::{ChangeKind, Epoch, Offsets, PluginChange, PluginId};
use audit_sink::{AuditTable, Payloads, WriterSettings};
use jiff::Timestamp;

use crate::config::{self, Settings};
use crate::opened::{alerts, known_pins, table, vault};
use crate::{error, exit};

/// How long the exit is delayed: another instance may hold the table.
const TIME_MAX: Duration = Duration::from_secs(10);
/// The name in the history where the refusal is about no single plugin.
const CONFIGURATION: &str = "configuration";
/// Memory of the writer of a single row.
const SMALL_BYTES: usize = 1 << 20;

/// Records why a start is refused, once for each reason, if the group has started before. A failure is only a warning:
/// the start is refused anyway.
pub(crate) async fn record(settings: &Settings, refusal: &anyhow::Error) {
    let Some(change) = change_of(refusal) else { return };
    let recorded = tokio::time::timeout(TIME_MAX, try_record(settings, change.clone())).await;
    let problem = match recorded {
        Ok(Ok(())) => return,
        Ok(Err(error)) => one_line(error.as_ref()),
        Err(_) => "another instance holds the table".to_owned(),
    };
    tracing::warn!(problem, "could not record in the table that this start is refused");
    // A configuration that lost its keys cannot write to the table. Whoever watches must hear of it all the same.
    if let Err(error) = only_alert(settings, change).await {
        let problem = one_line(error.as_ref());
        tracing::warn!(problem, "could not deliver the alert that this start is refused");
    }
}

async fn only_alert(settings: &Settings, change: PluginChange) -> Result<()> {
    let mut chain = PluginChain::new(Vec::new())?;
    chain.note_refused_start(change);
    alerts(settings).await?.deliver(&chain.drain_events().alerts).await?;
    Ok(())
}

/// What was refused: the plugin, and the digest of its component if that is known.
fn subject_of(refusal: &anyhow::Error) -> Option<(String, Option<String>)> {
    use config::Error::{OtherComponent, Untrusted};
    use error::Error::{GrantTaken, LostSettings, NeedsGrant, NotGranted};

    refusal.chain().find_map(|cause| {
        if let Some(
            NotGranted { plugin, .. }
            | NeedsGrant { plugin, .. }
            | GrantTaken { plugin, .. }
            | LostSettings { plugin, .. },
        ) = cause.downcast_ref()
        {
            return Some((plugin.clone(), None));
        }
        match cause.downcast_ref() {
            Some(OtherComponent { plugin, found, .. }) => {
                return Some((plugin.clone(), Some(found.clone())));
            }
            Some(Untrusted { path, .. }) => return Some((path.display().to_string(), None)),
            _ => {}
        }
        let is_raw = matches!(
            cause.downcast_ref(),
            Some(ChainError::Leaks { .. } | ChainError::Unreplaced { .. })
        );
        is_raw.then(|| (CONFIGURATION.to_owned(), None))
    })
}

/// The change for the history, if it is about what plugins may do.
fn change_of(refusal: &anyhow::Error) -> Option<PluginChange> {
    let (plugin, found) = subject_of(refusal)?;
    let after = found.map(|sha256| PluginId {
        name: plugin.clone(),
        version: String::new(),
        sha256,
        config_sha256: String::new(),
    });
    Some(PluginChange {
        kind: ChangeKind::Refused,
        source: plugin.clone(),
        plugin,
        at: Timestamp::now().as_microsecond(),
        before: None,
        after,
        from: BTreeMap::new(),
        reason: exit::line(refusal.as_ref()),
    })
}

async fn try_record(settings: &Settings, change: PluginChange) -> Result<()> {
    if known_pins(settings).await.is_none_or(|pins| pins.refused == change.reason) {
        return Ok(());
    }
    let mut table = table(settings, &[], vault(settings)?).await?;
    let pins = table.pins();
    let mut refused = pins.get().unwrap_or_default();
    refused.refused.clone_from(&change.reason);
    // As every process that commits: only who holds the lane may.
    table.claim(&HashMap::new(), &HashMap::new(), &[]).await?;
    pins.set(refused);
    let epoch = epoch_of(&table, change).await?;
    let outbox = table.stage(&epoch).await?;
    table.commit(&epoch, &outbox).await?;
    alerts(settings).await?.deliver(&epoch.alerts).await?;
    table.finish(outbox);
    table.close().await?;
    Ok(())
}

/// An epoch of one row, which covers no offset and leaves plugins and detectors as they are.
async fn epoch_of(table: &AuditTable, change: PluginChange) -> Result<Epoch> {
    let mut chain = PluginChain::new(Vec::new())?;
    chain.note_refused_start(change);
    let events = chain.drain_events();
    let mut writer = table.writer(WriterSettings {
        payloads: Payloads::DigestOnly,
        payload_bytes_max: SMALL_BYTES,
        open_partitions_max: 1,
        open_files_bytes_max: SMALL_BYTES,
    })?;
    let changes = events.changes.clone();
    let sealed = tokio::task::spawn_blocking(move || {
        writer.write_changes(&changes)?;
        writer.seal()
    });
    Ok(Epoch {
        staged: sealed.await.context("writing the refusal")??,
        covered: Offsets::default(),
        alerts: events.alerts,
        plugins: table.plugins().unwrap_or_default().to_vec(),
        lookups: BTreeMap::new(),
        changes: events.changes,
        states: table.states().await?,
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn only_what_plugins_may_do_is_recorded() {
        let other = config::Error::OtherComponent {
            plugin: "p.wasm".to_owned(),
            found: "aa".to_owned(),
            pinned: "bb".to_owned(),
        };
        let change = change_of(&anyhow!(other).context("loading plugins")).unwrap();
        assert_eq!(
            (change.plugin.as_str(), change.after.unwrap().sha256.as_str()),
            ("p.wasm", "aa")
        );
        assert!(change.reason.contains("sha256 = \"aa\"") && change.reason.ends_with("(AH-0122)"));
        let leak = ChainError::Unreplaced {
            columns: "user_email".to_owned(),
            flag: "user_email".to_owned(),
        };
        assert_eq!(change_of(&anyhow!(leak)).unwrap().plugin, CONFIGURATION);
        assert!(change_of(&anyhow!(error::Error::RejectedBefore)).is_none());
    }
}
