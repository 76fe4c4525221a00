//! The table as a catalog keeps it, and a commit whose answers cannot be trusted.

use std::sync::Arc;
use std::time::Duration;

use audit_core::{Error, Kind};
use tokio::time::timeout;

use crate::answer::Answer;
use crate::kept::{Change, Kept};
use crate::world::{World, injected};

/// Each kind of false answer ends an attempt, never a commit.
const ATTEMPTS: usize = 3;
/// A catalog that does not answer must not stop the host for ever.
const SILENCE_MAX: Duration = Duration::from_millis(2);

/// What the table says about a change that is to be made.
pub(crate) enum Check {
    Ready,
    Done,
    /// The lane is another instance's.
    Fenced,
}

/// Commits a change as the sink does: no answer of the catalog is believed, the table is read again instead.
pub(crate) async fn commit(
    world: &Arc<World>,
    names: [&'static str; 2],
    check: impl Fn(&Kept) -> Check + Send,
    change: Change,
) -> Result<(), Error> {
    let [before, after] = names;
    let mut last = injected("no attempt was made".to_owned());
    for _ in 0..ATTEMPTS {
        world.pause(before).await?;
        let (base, found) = {
            let kept = world.kept();
            kept.check_objects();
            (kept.version, check(&kept))
        };
        match found {
            Check::Done => return Ok(()),
            Check::Fenced => return Err(Error::new(Kind::Fenced, "AH-0000", "fenced")),
            Check::Ready => {}
        }
        match timeout(SILENCE_MAX, swap(world, base, &change)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => last = error,
            Err(_) => last = injected("the catalog did not answer".to_owned()),
        }
        world.pause(after).await?;
    }
    // The last attempt may have succeeded.
    let found = check(&world.kept());
    if let Check::Done = found { Ok(()) } else { Err(last) }
}

/// Compares and sets; what it answers may be false.
async fn swap(world: &World, base: u64, change: &Change) -> Result<(), Error> {
    let answer = world.answers.lock().unwrap().pop().unwrap_or(Answer::Honest);
    let is_made = {
        let mut kept = world.kept();
        if let Some((base, change)) = world.late.lock().unwrap().take() {
            make(&mut kept, base, &change);
        }
        match answer {
            Answer::Honest | Answer::Lost | Answer::SilentWith => make(&mut kept, base, change),
            Answer::Late => {
                *world.late.lock().unwrap() = Some((base, Arc::clone(change)));
                false
            }
            Answer::Refused | Answer::Lie | Answer::SilentWithout => false,
        }
    };
    match answer {
        Answer::Honest if is_made => Ok(()),
        Answer::Honest => Err(injected("somebody else committed".to_owned())),
        Answer::Lie => Ok(()),
        Answer::Refused | Answer::Lost | Answer::Late => Err(injected(format!("{answer:?}"))),
        Answer::SilentWithout | Answer::SilentWith => std::future::pending().await,
    }
}

fn make(kept: &mut Kept, base: u64, change: &Change) -> bool {
    let is_current = kept.version == base;
    if is_current {
        change(kept);
        kept.version += 1;
    }
    is_current
}
