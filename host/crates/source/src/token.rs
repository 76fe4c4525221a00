//! The token of OAUTHBEARER, from a file. Whoever gets the tokens (an agent, Kubernetes) replaces the file in time;
//! the program reads it again before the token expires, and never talks to an identity provider.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::{Client, ClientContext};
use serde_json::Value;

use crate::error::Error;
use crate::ffi::{Token, set_token};
use crate::properties::Properties;

/// A larger file is no token: Kafka does not accept half as much.
const BYTES_MAX: u64 = 1 << 20;
/// How long a token that does not say when it expires is used before its file is read again.
const OPAQUE_LIFETIME: Duration = Duration::from_mins(5);
/// How long to wait at least before the file is read again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The name of who sends a token that does not say it; it is of no importance to the broker.
const PRINCIPAL: &str = "audit-host";

/// Gives a client the tokens of a file.
#[derive(Debug)]
pub(crate) struct Tokens {
    path: Option<PathBuf>,
    /// When to read the file again.
    due: SystemTime,
    /// Whether the last reading failed: that is logged once.
    is_stale: bool,
}

impl Tokens {
    pub(crate) fn of(properties: &Properties) -> Self {
        let path = properties.token_file().map(Path::to_owned);
        Self { path, due: UNIX_EPOCH, is_stale: false }
    }

    /// Gives the client its first token, if it needs any. Without one it would connect to no broker.
    pub(crate) fn start<C: ClientContext>(&mut self, client: &Client<C>) -> Result<(), Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let now = SystemTime::now();
        let refuse = |problem| Error::Token { path: path.clone(), problem };
        let token = read(path, now).map_err(refuse)?;
        set_token(client, &token).map_err(refuse)?;
        self.due = now + due_after(token.expires_ms, now);
        Ok(())
    }

    /// Reads the file again when four fifths of the token's time are over. The old token remains if that fails.
    pub(crate) fn renew<C: ClientContext>(&mut self, client: &Client<C>) {
        if self.path.is_none() || SystemTime::now() < self.due {
            return;
        }
        match self.start(client) {
            Ok(()) => self.is_stale = false,
            Err(error) => {
                self.due = SystemTime::now() + AGAIN_AFTER;
                if !std::mem::replace(&mut self.is_stale, true) {
                    tracing::warn!(%error, "could not renew the token for Kafka; trying again");
                }
            }
        }
    }
}

fn due_after(expires_ms: i64, now: SystemTime) -> Duration {
    let left = u64::try_from(expires_ms.saturating_sub(ms_of(now))).unwrap_or_default();
    Duration::from_millis(left / 5 * 4).max(AGAIN_AFTER)
}

fn ms_of(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn read(path: &Path, now: SystemTime) -> Result<Token, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is not a file".to_owned());
    }
    let mut text = String::new();
    let n_bytes = file.take(BYTES_MAX + 1).read_to_string(&mut text);
    let n_bytes = n_bytes.map_err(|error| error.to_string())?;
    if n_bytes as u64 > BYTES_MAX {
        return Err("it is larger than 1 MiB".to_owned());
    }
    parse(text.trim(), now)
}

/// The claims of a JWT are read, not checked: that is the broker's task. Any other token is passed on as it is.
fn parse(text: &str, now: SystemTime) -> Result<Token, String> {
    if text.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let claims = claims(text).unwrap_or_default();
    let expires_ms = match claims["exp"].as_f64() {
        Some(seconds) => (seconds * 1000.0) as i64,
        None => ms_of(now + OPAQUE_LIFETIME),
    };
    let ago_s = ms_of(now).saturating_sub(expires_ms) / 1000;
    if expires_ms <= ms_of(now) {
        return Err(format!("it has expired {ago_s} s ago"));
    }
    let principal = claims["sub"].as_str().unwrap_or(PRINCIPAL).to_owned();
    Ok(Token { text: text.to_owned(), expires_ms, principal })
}

fn claims(jwt: &str) -> Option<Value> {
    let payload = jwt.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(claims))
    }

    #[test]
    fn a_token_says_until_when_it_is_valid() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let token = parse(&jwt(r#"{"sub":"me","exp":1600}"#), now).map_err(drop).unwrap();
        assert_eq!((token.principal.as_str(), token.expires_ms), ("me", 1_600_000));
        assert_eq!(due_after(token.expires_ms, now), Duration::from_mins(8));
        let opaque = parse("abc", now).map_err(drop).unwrap();
        assert_eq!(opaque.expires_ms, 1_300_000);
    }

    #[test]
    fn a_token_that_has_expired_is_refused() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let problem = |text: &str| parse(text, now).err().unwrap();
        assert_eq!(problem(&jwt(r#"{"exp":940}"#)), "it has expired 60 s ago");
        assert_eq!(problem(""), "the file is empty");
    }
}
