//! What is proved of transforms, and remembered: a candidate is proved beside the stream and beside other candidates,
//! however long that takes, and at the swap the proof is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::Error;
use crate::plugin::spec::Blueprint;

/// Proofs that are remembered: one for each candidate that is being prepared, and some more.
const PROOFS_MAX: usize = 32;

/// What the transforms of a chain do to marked values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// By column of the events that some transform declares to replace: the kinds of marks that it replaces.
    pub hidden: BTreeMap<String, BTreeSet<String>>,
    /// By column: the kinds of marks that came out, in any column.
    pub leaked: BTreeMap<String, BTreeSet<String>>,
    /// Columns in which two different values became the same text.
    pub merged: BTreeSet<String>,
}

impl Proof {
    /// Fails for the columns that are not replaced as is required: by column the kinds of marks that must not come
    /// out. Where none is named, something must be hidden.
    pub fn check(&self, required: &BTreeMap<String, BTreeSet<String>>) -> Result<(), Error> {
        let is_declared = |column: &&String| self.hidden.contains_key(*column);
        let absent: Vec<&String> = required.keys().filter(|column| !is_declared(column)).collect();
        if !absent.is_empty() {
            return Err(Error::Unreplaced {
                columns: listed(&absent, ", "),
                flag: listed(&absent, ","),
            });
        }
        let mut columns = Vec::new();
        let mut shown = Vec::new();
        for (column, marks) in required {
            if let Some(problem) = self.problem_of(column, marks) {
                shown.push(format!("{column} ({problem})"));
                columns.push(column);
            }
        }
        if columns.is_empty() {
            return Ok(());
        }
        Err(Error::Leaks { columns: shown.join(", "), flag: listed(&columns, ",") })
    }

    /// What is not shown of a column that must be replaced.
    fn problem_of(&self, column: &String, marks: &BTreeSet<String>) -> Option<String> {
        let none = BTreeSet::new();
        let hidden = self.hidden.get(column).unwrap_or(&none);
        let leaked = self.leaked.get(column).unwrap_or(&none);
        let all = || listed(&leaked.iter().collect::<Vec<_>>(), ", ");
        if marks.is_empty() {
            return match (hidden.is_empty(), leaked.is_empty()) {
                (false, _) => None,
                (true, false) => Some(all()),
                (true, true) => Some(UNPROVED.to_owned()),
            };
        }
        let out: Vec<&String> = leaked.intersection(marks).collect();
        if !out.is_empty() {
            return Some(listed(&out, ", "));
        }
        // A row that a plugin rejects or fails on shows nothing about the next one.
        (!marks.is_subset(hidden)).then(|| UNPROVED.to_owned())
    }
}

/// What is said of a column whose marked rows did not come out.
const UNPROVED: &str = "nothing is proved: a plugin rejects the marked rows, or fails on them";

fn listed(names: &[&String], separator: &str) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(separator)
}

/// Proofs by the transforms that they are of, in their order. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Proofs(Arc<Mutex<Vec<Known>>>);

struct Known {
    /// Weak: a candidate that was rejected must not be kept.
    transforms: Vec<Weak<Blueprint>>,
    /// Or why nothing can be proved.
    proof: Result<Proof, String>,
}

impl Known {
    fn is_of(&self, transforms: &[&Arc<Blueprint>]) -> bool {
        // The allocation lives as long as the weak pointer: no other one has its address.
        let is_same = |(one, other): (&Weak<Blueprint>, &&Arc<Blueprint>)| {
            std::ptr::eq(one.as_ptr(), Arc::as_ptr(other))
        };
        self.transforms.len() == transforms.len()
            && self.transforms.iter().zip(transforms).all(is_same)
    }
}

impl Proofs {
    /// What is known of these transforms, or why nothing can be proved of them.
    pub(crate) fn known(&self, transforms: &[&Arc<Blueprint>]) -> Option<Result<Proof, String>> {
        self.lock().iter().find(|known| known.is_of(transforms)).map(|known| known.proof.clone())
    }

    pub(crate) fn remember(&self, transforms: &[&Arc<Blueprint>], proof: Result<Proof, String>) {
        let mut all = self.lock();
        let is_alive = |plugin: &Weak<Blueprint>| plugin.strong_count() > 0;
        all.retain(|known| known.transforms.iter().all(is_alive) && !known.is_of(transforms));
        if all.len() >= PROOFS_MAX {
            all.remove(0);
        }
        let transforms = transforms.iter().map(|plugin| Arc::downgrade(plugin)).collect();
        all.push(Known { transforms, proof });
    }

    /// A list stays consistent even if a thread that changed it panicked.
    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
