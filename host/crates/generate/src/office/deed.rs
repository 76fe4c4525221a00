//! What somebody in the office does.

use crate::event::Action;

/// An event without the parts that follow from its action and its nonce.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deed {
    pub(crate) at: i64,
    pub(crate) user: u32,
    pub(crate) action: Action,
    pub(crate) failed: bool,
    pub(crate) address: u32,
    pub(crate) agent: u8,
    /// Exported rows.
    pub(crate) rows: u32,
    /// Of a grant.
    pub(crate) grantee: u32,
    /// The seed of the session's id.
    pub(crate) session: u64,
    /// The seed of everything else.
    pub(crate) nonce: u64,
}

/// An event on its way to Kafka.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) deed: Deed,
    /// Its campaign, and the number of its place there.
    pub(crate) campaign: Option<(u32, u32)>,
}
