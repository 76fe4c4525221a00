//! A client, up to the first answer of a broker. librdkafka tries for ever, whatever the reason, and says the reason to nobody who
//! does not read its queue: here it is read until a broker answers, and what cannot get better by itself ends the start.

use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::Consumer as _;

use crate::certificate;
use crate::error::Error;
use crate::ffi::{Client, DEBUG_CONTEXT, Notices, listen};
use crate::refusal::{Refusal, Why};
use crate::settings::{ASK_TIMEOUT, Settings};
use crate::token::Tokens;

/// How long the first question waits. Each one after it waits twice as long, so that a slow broker is not asked anew
/// and anew.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How long a refusal may last: another of the brokers may answer, and one that starts up may refuse what it accepts
/// a moment later.
const REFUSED_FOR: Duration = Duration::from_secs(4);
/// The same for what a broker that is going down would look like too.
const GUESSED_FOR: Duration = Duration::from_secs(10);
/// How long its lines are read at a time.
const LISTEN_FOR: Duration = Duration::from_millis(50);

impl Settings {
    /// A client that is logged in at a broker, and asks.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        self.logged_in(1, Notices::default())
    }

    /// A second client, which fetches from so many partitions, and notices when a topic has another id.
    pub(crate) fn fetcher(&self, n_partitions: usize, beside: &Client) -> Result<Client, Error> {
        self.logged_in(n_partitions, beside.client().context().beside())
    }

    fn logged_in(&self, n_partitions: usize, notices: Notices) -> Result<Client, Error> {
        let mut config = self.client_config(n_partitions);
        config.set("debug", DEBUG_CONTEXT).set_log_level(RDKafkaLogLevel::Debug);
        let client: Client = config.create_with_context(notices).map_err(Error::client)?;
        listen(&client);
        Tokens::of(&self.properties).start(client.client())?;
        reach(&client, self)?;
        Ok(client)
    }
}

/// Waits until a broker answers, if it does so at all.
fn reach(client: &Client, settings: &Settings) -> Result<(), Error> {
    let topic = settings.topics.first().map(String::as_str);
    let (begin, mut wait) = (Instant::now(), FIRST_WAIT);
    loop {
        let left = ASK_TIMEOUT.saturating_sub(begin.elapsed());
        let answer = client.fetch_metadata(topic, wait.min(left).max(FIRST_WAIT));
        let notices = client.client().context();
        let Err(cause) = answer else {
            notices.started();
            return Ok(());
        };
        hear(client);
        if let Some((since, refusal)) = notices.refused() {
            let patience = if refusal.why.is_guess() { GUESSED_FOR } else { REFUSED_FOR };
            if since.elapsed() >= patience || left.is_zero() {
                return Err(error(refusal, settings));
            }
            // It is over sooner than the next answer could be.
            wait = FIRST_WAIT;
        } else if left.is_zero() {
            return Err(settings.unreachable(topic.unwrap_or_default(), ASK_TIMEOUT, cause));
        } else {
            wait *= 2;
        }
    }
}

/// What a refusal means for this configuration.
pub(crate) fn error(refusal: Refusal, settings: &Settings) -> Error {
    let properties = &settings.properties;
    let has_certificate =
        ["ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location"]
            .iter()
            .any(|property| properties.get(property).is_some());
    let problem = (refusal.why == Why::Certificate)
        .then(|| certificate::problem(&refusal.broker, properties))
        .flatten();
    refusal.into_error(has_certificate, problem)
}

/// Reads what librdkafka has to say, which arrives at the client's context. Only while nothing is assigned: a record
/// would be lost.
fn hear(client: &Client) {
    let until = Instant::now() + LISTEN_FOR;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        drop(client.poll(left));
    }
}
