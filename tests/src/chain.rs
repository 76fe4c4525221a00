//! The chain of plugins, driven without a broker.

use std::thread;

use anyhow::{Context, Result};
use audit_chain::PluginChain;
use audit_core::Change;
use audit_core::stage::Chain as _;

/// Asks something of the chain from another thread, as a running host does, while the chain takes its
/// changes between two batches. Returns the answer, and the changes that the chain recorded.
pub fn asked<T: Send + 'static>(
    chain: &mut PluginChain,
    ask: impl FnOnce() -> Option<T> + Send + 'static,
) -> Result<(T, Vec<Change>)> {
    let asking = thread::spawn(ask);
    let mut recorded = Vec::new();
    while !asking.is_finished() {
        recorded.extend(chain.take_changes().changes);
        thread::yield_now();
    }
    let answer = asking.join().ok().flatten().context("the chain has ended")?;
    recorded.extend(chain.take_changes().changes);
    Ok((answer, recorded))
}
