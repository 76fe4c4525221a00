//! The plugin itself: well-behaved until a row sets off what the configuration asks for.

use std::cell::Cell;

use crate::abi::audit_host::plugin::types::{
    Batch, Column, ColumnValues, Fault, Judgement, Utf8Values,
};
use crate::abi::exports::audit_host::plugin::lifecycle::{Binding, ConfigError};
use crate::abi::exports::audit_host::plugin::state::RestoreError;
use crate::counter::Counter;
use crate::options::{Behavior, Call, Options};
use crate::{boundary, configure, extra, mode, quotes};

/// The column that a transform replaces.
pub(crate) const AGENT: &str = "user_agent";
pub(crate) const OFFSET: &str = "source_offset";
pub(crate) const PARTITION: &str = "source_partition";

pub(crate) struct Guest {
    options: Options,
    counter: Counter,
    /// Batches of this instance that misbehaved.
    n_done: Cell<u64>,
}

impl Guest {
    pub(crate) fn configure(text: &str) -> Result<(Self, Binding), ConfigError> {
        let options = Options::parse(text)?;
        let mut binding = configure::binding(&options);
        if let Behavior::Configure(behavior) = options.behavior {
            binding = behavior(&options, binding)?;
        }
        if let Behavior::Realloc(behavior) = options.behavior {
            boundary::set_realloc(behavior);
        }
        let guest = Self { options, counter: Counter::default(), n_done: Cell::new(0) };
        Ok((guest, binding))
    }

    pub(crate) fn process(&mut self, batch: Batch) -> Result<Judgement, Fault> {
        let mut given = Given::of(batch);
        quotes::see(given.agents.as_ref());
        let triggered = self.options.triggered(&given.offsets, self.n_done.get());
        let call = triggered.map(|row| {
            self.n_done.set(self.n_done.get() + 1);
            Call { options: &self.options, n_rows: given.offsets.len(), row }
        });
        if let Some(call) = &call {
            match self.options.behavior {
                Behavior::Act(behavior) => behavior(call),
                Behavior::Refuse(behavior) => return Err(behavior(call)),
                _ => {}
            }
        }
        let mut answer = if mode::is_detector() {
            self.counter.judge(&given.partitions, &given.offsets, &self.options.count)?
        } else {
            transformed(&mut given, &self.options)
        };
        if let Some(call) = &call {
            match self.options.behavior {
                Behavior::Spoil(behavior)
                | Behavior::Quote(behavior)
                | Behavior::SpoilExtra(_, behavior) => behavior(call, &mut answer),
                Behavior::Forge(behavior) => boundary::set_forged(behavior(call)),
                Behavior::AfterAnswer(behavior) => boundary::set_after(behavior),
                _ => {}
            }
        }
        Ok(answer)
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let bytes = self.counter.to_bytes(mode::state_version());
        match self.options.behavior {
            Behavior::Snapshot(behavior) if self.is_due() => behavior(&self.options, bytes),
            _ => bytes,
        }
    }

    pub(crate) fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        if let Behavior::Restore(behavior) = self.options.behavior {
            behavior(bytes)?;
        }
        self.counter = Counter::from_bytes(version, bytes)?;
        Ok(())
    }

    /// Whether a behavior outside of `process` is due: at once, or after a row that sets it off.
    fn is_due(&self) -> bool {
        !self.options.waits_for_rows() || self.n_done.get() > 0
    }
}

/// What a batch holds of the columns that this plugin reads.
#[derive(Default)]
struct Given {
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    agents: Option<Column>,
}

impl Given {
    fn of(batch: Batch) -> Self {
        let mut given = Self::default();
        for column in batch.columns {
            match (column.name.as_str(), column.values) {
                (PARTITION, ColumnValues::Int32(values)) => given.partitions = values,
                (OFFSET, ColumnValues::Int64(values)) => given.offsets = values,
                (AGENT, values) => given.agents = Some(Column { values, ..column }),
                _ => {}
            }
        }
        // A configuration may bind no column at all: every row counts as offset 0 then.
        given.offsets.resize(batch.rows as usize, 0);
        given
    }
}

/// The answer of a well-behaved transform: the column as it came.
fn transformed(given: &mut Given, options: &Options) -> Judgement {
    let n_rows = given.offsets.len();
    let mut columns: Vec<_> = given.agents.take().into_iter().collect();
    if let Behavior::SpoilExtra(of, _) = options.behavior {
        columns.push(extra::column(of, n_rows));
    }
    Judgement { columns, quarantined: Vec::new(), alerts: Vec::new() }
}

/// The text that a transform returns; nothing for a detector.
pub(crate) fn agents(answer: &mut Judgement) -> Option<&mut Utf8Values> {
    match answer.columns.first_mut() {
        Some(Column { values: ColumnValues::Utf8(values), .. }) => Some(values),
        _ => None,
    }
}
