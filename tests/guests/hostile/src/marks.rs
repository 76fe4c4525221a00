//! Marks: a right answer that adds up, so that a row which is judged twice, or by two versions of the
//! plugin, shows it.

use crate::abi::audit_host::plugin::types::{Judgement, Utf8Values};
use crate::guest::agents;
use crate::options::{Behavior, Call, Table};

pub(crate) const TABLE: Table = &[("append-mark", Behavior::Spoil(append_mark))];

/// What is appended. A test patches it in the file, to make another version.
#[used]
static MARK: [u8; 8] = *b"[mark A]";

fn append_mark(_: &Call, answer: &mut Judgement) {
    let Some(text) = agents(answer) else { return };
    // SAFETY: the static is initialized and never written by this program. The read is volatile because
    // the file may have been patched after the compiler saw the text.
    let mark = unsafe { (&raw const MARK).read_volatile() };
    let mut marked = Utf8Values { offsets: vec![0], values: Vec::new() };
    for bounds in text.offsets.windows(2) {
        marked.values.extend_from_slice(&text.values[bounds[0] as usize..bounds[1] as usize]);
        marked.values.extend_from_slice(&mark);
        marked.offsets.push(marked.values.len() as i32);
    }
    *text = marked;
}
