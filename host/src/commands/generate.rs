//! Synthetic audit events.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use audit_generate::{Generator, Settings};
use audit_source::Producer;

use crate::cli::GenerateArgs;
use crate::config::{self, parse_duration};

/// Events between two looks at the clock.
const PACE_EVERY: u64 = 64;

pub(crate) async fn run(args: GenerateArgs) -> Result<()> {
    create_topic(&args).await?;
    tokio::task::spawn_blocking(move || generate(&args)).await?
}

async fn create_topic(args: &GenerateArgs) -> Result<()> {
    let (Some(partitions), "kafka") = (args.partitions, args.to.as_str()) else { return Ok(()) };
    let (brokers, topic) = kafka_of(args)?;
    Producer::create_topic(brokers, topic, partitions, &BTreeMap::new())
        .await
        .map_err(audit_core::Error::from)?;
    Ok(())
}

fn generate(args: &GenerateArgs) -> Result<()> {
    let mut generator = Generator::new(Settings {
        seed: args.seed,
        count: args.count,
        start: args.start,
        step: parse_duration("--step", &args.step)?,
        users: args.users,
        attacks: args.attacks.clone(),
        pii: args.pii,
    });
    let mut out = Out::open(args)?;
    let sent = send_all(&mut generator, &mut out, args.rate);
    // A reader that has seen enough, as `head`, is no error.
    match sent {
        Err(error) if is_broken_pipe(&error) => return Ok(()),
        sent => sent?,
    }
    if let Some(path) = &args.labels {
        write_lines(path, generator.labels().iter().map(|label| serde_json::json!(label)))?;
    }
    if let Some(path) = &args.pii_values {
        write_lines(path, generator.pii_values().keys())?;
    }
    Ok(())
}

/// Sends every event of a generator, at most `rate` a second.
pub(crate) fn send_all(generator: &mut Generator, out: &mut Out, rate: Option<u64>) -> Result<()> {
    let started = Instant::now();
    let mut event = Vec::with_capacity(1024);
    let mut sent = 0_u64;
    while generator.next_event(&mut event).is_some() {
        out.send(&event)?;
        event.clear();
        sent += 1;
        if let Some(rate) = rate.filter(|_| sent.is_multiple_of(PACE_EVERY)) {
            let due = Duration::from_secs_f64(sent as f64 / rate as f64);
            out.wait(due.saturating_sub(started.elapsed()))?;
        }
    }
    out.finish()
}

/// Where events go.
pub(crate) enum Out {
    Lines(Box<dyn Write>),
    Kafka(Box<Producer>),
}

impl Out {
    fn open(args: &GenerateArgs) -> Result<Self> {
        match args.to.as_str() {
            "stdout" => Ok(Self::Lines(Box::new(BufWriter::new(io::stdout().lock())))),
            "kafka" => {
                let (brokers, topic) = kafka_of(args)?;
                Self::kafka(brokers, topic)
            }
            other => match other.strip_prefix("file:").filter(|path| !path.is_empty()) {
                Some(path) => {
                    let file = create(Path::new(path))?;
                    Ok(Self::Lines(Box::new(BufWriter::new(file))))
                }
                None => Err(config::Error::Value {
                    key: "--to".to_owned(),
                    value: other.to_owned(),
                    problem: "must be stdout, file:PATH or kafka".to_owned(),
                }
                .into()),
            },
        }
    }

    pub(crate) fn kafka(brokers: &str, topic: &str) -> Result<Self> {
        let producer =
            Producer::connect(brokers, topic, &BTreeMap::new()).map_err(audit_core::Error::from)?;
        Ok(Self::Kafka(Box::new(producer)))
    }

    pub(crate) fn send(&mut self, event: &[u8]) -> Result<()> {
        match self {
            Self::Lines(lines) => {
                lines.write_all(event)?;
                lines.write_all(b"\n").context("writing events")
            }
            Self::Kafka(producer) => Ok(producer.send(event).map_err(audit_core::Error::from)?),
        }
    }

    /// Waits, having handed on what was sent so far.
    fn wait(&mut self, time: Duration) -> Result<()> {
        if time.is_zero() {
            return Ok(());
        }
        if let Self::Lines(lines) = self {
            lines.flush()?;
        }
        thread::sleep(time);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        match self {
            Self::Lines(lines) => lines.flush().context("writing events"),
            Self::Kafka(producer) => Ok(producer.flush().map_err(audit_core::Error::from)?),
        }
    }
}

/// The brokers and the topic, which Kafka needs.
fn kafka_of(args: &GenerateArgs) -> Result<(&str, &str), config::Error> {
    let missing = |what, flag, variable| config::Error::MissingFlag {
        what,
        flag,
        variable,
        of: "--to kafka",
    };
    let brokers = args.brokers.as_deref();
    let topic = args.topic.as_deref();
    Ok((
        brokers.ok_or(missing("the list of brokers", "--brokers", "AUDIT_HOST_BROKERS"))?,
        topic.ok_or(missing("the topic", "--topic", "AUDIT_HOST_TOPIC"))?,
    ))
}

fn create(path: &Path) -> Result<File, config::Error> {
    File::create(path).map_err(|cause| config::Error::Value {
        key: "file".to_owned(),
        value: path.display().to_string(),
        problem: format!("cannot be written: {cause}"),
    })
}

fn write_lines<T: std::fmt::Display>(path: &Path, lines: impl Iterator<Item = T>) -> Result<()> {
    let mut file = BufWriter::new(create(path)?);
    for line in lines {
        writeln!(file, "{line}").with_context(|| format!("writing {}", path.display()))?;
    }
    file.flush().with_context(|| format!("writing {}", path.display()))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}
