//! What fails, and how: drawn from a seed, or named by a test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What a catalog or a store does instead of what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// An error, and nothing was done.
    Refused,
    /// It was done, and an error is answered.
    LostAnswer,
    /// Nothing was done, and success is answered.
    Lie,
    /// Of a catalog: it was done, and a conflict is answered. Of a store: half of it was done, and an error is
    /// answered.
    Half,
    /// Nothing was done, and there is no answer.
    SilentWithout,
    /// It was done, and there is no answer.
    SilentWith,
}

pub(crate) const FAULTS: [Fault; 6] = [
    Fault::Refused,
    Fault::LostAnswer,
    Fault::Lie,
    Fault::Half,
    Fault::SilentWithout,
    Fault::SilentWith,
];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    /// Of the catalog.
    Ask,
    Replace,
    /// Of the store.
    Read,
    Write,
    /// A file that is written in parts: data.
    Stream,
    Delete,
}

impl Op {
    /// A read does nothing. A store that says that it has written, and has not, cannot be worked with: that is noticed,
    /// by a test of its own. Data files are written before anything waits for them, on a thread of the writer.
    pub(crate) fn meets(self, fault: Fault) -> bool {
        match self {
            Self::Replace => true,
            Self::Ask | Self::Read => matches!(fault, Fault::Refused | Fault::SilentWithout),
            Self::Write => fault != Fault::Lie,
            Self::Stream => matches!(fault, Fault::Refused | Fault::LostAnswer | Fault::Half),
            Self::Delete => matches!(fault, Fault::Refused | Fault::LostAnswer),
        }
    }
}

/// Shared by the catalog and the store of one test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    seed: u64,
    /// Of 1,000 operations so many fail.
    per_mille: u64,
    /// Fails once, at the nth operation of its kind from now on.
    next: Option<(Op, u32, Fault)>,
    /// Fails always, once `next` has failed.
    then: Option<Op>,
    seen: BTreeMap<(Op, Fault), u32>,
}

impl Plan {
    pub(crate) fn seeded(seed: u64, per_mille: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner { seed, per_mille, ..Inner::default() })))
    }

    pub(crate) fn fail_once(&self, op: Op, nth: u32, fault: Fault) {
        self.0.lock().unwrap().next = Some((op, nth, fault));
    }

    /// After what [`Plan::fail_once`] asked for has happened, every operation of this kind is refused.
    pub(crate) fn then_refuse(&self, op: Op) {
        self.0.lock().unwrap().then = Some(op);
    }

    /// Whether what [`Plan::fail_once`] asked for has happened.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.lock().unwrap().next.is_none()
    }

    pub(crate) fn stop(&self) {
        let mut inner = self.0.lock().unwrap();
        (inner.per_mille, inner.next, inner.then) = (0, None, None);
    }

    /// How often each fault was met.
    pub(crate) fn seen(&self) -> BTreeMap<(Op, Fault), u32> {
        self.0.lock().unwrap().seen.clone()
    }

    /// To be asked at each operation.
    pub(crate) fn draw(&self, op: Op) -> Option<Fault> {
        let mut inner = self.0.lock().unwrap();
        let fault = inner.named(op).or_else(|| inner.drawn(op))?;
        *inner.seen.entry((op, fault)).or_default() += 1;
        Some(fault)
    }
}

impl Inner {
    fn named(&mut self, op: Op) -> Option<Fault> {
        if self.next.is_none() && self.then == Some(op) {
            return Some(Fault::Refused);
        }
        let (_, left, fault) = self.next.as_mut().filter(|(of, ..)| *of == op)?;
        *left -= 1;
        let fault = *fault;
        if *left > 0 {
            return None;
        }
        self.next = None;
        Some(fault)
    }

    fn drawn(&mut self, op: Op) -> Option<Fault> {
        // The rarer an operation is, the more often it fails.
        let weight = match op {
            Op::Replace => 8,
            Op::Ask | Op::Delete => 4,
            Op::Write => 2,
            Op::Read | Op::Stream => 1,
        };
        if self.random() % 1_000 >= weight * self.per_mille {
            return None;
        }
        // Silence takes time.
        let may_be_silent = self.random().is_multiple_of(3);
        let is_silent = |fault| matches!(fault, Fault::SilentWithout | Fault::SilentWith);
        let possible = |fault: &Fault| op.meets(*fault) && (may_be_silent || !is_silent(*fault));
        let possible: Vec<_> = FAULTS.into_iter().filter(possible).collect();
        let at = self.random() % possible.len() as u64;
        usize::try_from(at).ok().and_then(|at| possible.get(at).copied())
    }

    /// xorshift64*.
    fn random(&mut self) -> u64 {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }
}
