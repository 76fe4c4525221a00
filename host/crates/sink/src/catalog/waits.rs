//! How patient the host is with a catalog or a store that fails, or does not answer.

use std::time::Duration;

use iceberg::{Error, ErrorKind};
use tokio::time::timeout;

/// How patient the host is with a catalog or a store that fails, or does not answer.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// A catalog, or a store that is asked for one object, that does not answer for so long will not answer.
    pub answer: Duration,
    /// An attempt of a commit that takes longer is stuck in a store that does not answer.
    pub attempt: Duration,
    /// The pause after a failed attempt; doubles each time.
    pub pause: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(30),
            attempt: Duration::from_mins(2),
            pause: Duration::from_millis(200),
        }
    }
}

impl Waits {
    /// What the store answers, or an error if it does not.
    pub(crate) async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        timeout(self.answer, answer).await.unwrap_or_else(|_| {
            let silent = format!("no answer within {:?}", self.answer);
            Err(Error::new(ErrorKind::Unexpected, silent))
        })
    }
}
