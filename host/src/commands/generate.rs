//! Synthetic audit events.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use audit_generate::{Attack, Disorder, EventMeta, Generator, Lookups, Population, Settings};
use audit_source::Producer;

use crate::cli::{GenerateArgs, KafkaTime, OneOrAll};
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
    let mut generator = Generator::new(settings(args)?);
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
    if let (Some(dir), Some(lookups)) = (&args.lookups, generator.lookups()) {
        write_lookups(dir, &lookups)?;
    }
    Ok(())
}

/// The settings that the flags mean, if they go together.
fn settings(args: &GenerateArgs) -> Result<Settings, config::Error> {
    let attacks = OneOrAll::chosen(&args.attacks, &Attack::ALL);
    let disorder = OneOrAll::chosen(&args.disorder, &Disorder::ALL);
    let needs_office = attacks.iter().find(|attack| !attack.fits_pattern());
    let default = if needs_office.is_some() { Population::Office } else { Population::Pattern };
    let population = args.population.unwrap_or(default);
    let refused = |key: &str, value: &dyn Display, problem: &str| config::Error::Value {
        key: key.to_owned(),
        value: value.to_string(),
        problem: problem.to_owned(),
    };
    let base = match population {
        Population::Pattern => {
            let needs = "needs people with habits: give --population office";
            if let Some(attack) = needs_office {
                return Err(refused("--attacks", attack, needs));
            }
            if let Some(intensity) = args.intensity {
                return Err(refused("--intensity", &intensity, needs));
            }
            if let Some(disorder) = disorder.first() {
                return Err(refused("--disorder", disorder, needs));
            }
            if let Some(dir) = &args.lookups {
                return Err(refused("--lookups", &dir.display(), needs));
            }
            Settings::new(args.count, args.start)
        }
        Population::Office => {
            if let Some(step) = &args.step {
                let problem =
                    "means nothing in an office, where people act as they work: leave it out";
                return Err(refused("--step", step, problem));
            }
            let min = Settings::OFFICE_USERS_MIN;
            if let Some(users) = args.users.filter(|users| *users < min) {
                return Err(refused("--users", &users, &format!("an office has {min} or more")));
            }
            Settings::office(args.count, args.start)
        }
    };
    if args.kafka_time == KafkaTime::Generated && args.to != "kafka" {
        return Err(refused("--kafka-time", &"generated", "is for --to kafka"));
    }
    Ok(Settings {
        seed: args.seed,
        step: args.step.as_deref().map_or(Ok(base.step), |step| parse_duration("--step", step))?,
        users: args.users.unwrap_or(base.users),
        attacks,
        intensity: args.intensity.unwrap_or_default(),
        disorder,
        pii: args.pii,
        ..base
    })
}

/// Sends every event of a generator, at most `rate` a second.
pub(crate) fn send_all(generator: &mut Generator, out: &mut Out, rate: Option<u64>) -> Result<()> {
    let started = Instant::now();
    let mut event = Vec::with_capacity(1024);
    let mut sent = 0_u64;
    while let Some(meta) = generator.next_event(&mut event) {
        out.send(&event, &meta)?;
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
    Kafka(Box<Producer>, KafkaTime),
}

impl Out {
    fn open(args: &GenerateArgs) -> Result<Self> {
        match args.to.as_str() {
            "stdout" => Ok(Self::Lines(Box::new(BufWriter::new(io::stdout().lock())))),
            "kafka" => {
                let (brokers, topic) = kafka_of(args)?;
                Ok(Self::Kafka(connect(brokers, topic)?, args.kafka_time))
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
        Ok(Self::Kafka(connect(brokers, topic)?, KafkaTime::Sent))
    }

    fn send(&mut self, event: &[u8], meta: &EventMeta) -> Result<()> {
        if let Self::Kafka(producer, KafkaTime::Generated) = self {
            let sent = producer.send_at(event, meta.received_time_us.div_euclid(1000));
            return Ok(sent.map_err(audit_core::Error::from)?);
        }
        self.send_raw(event)
    }

    /// Sends any bytes, with the time of their sending.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Lines(lines) => {
                lines.write_all(bytes)?;
                lines.write_all(b"\n").context("writing events")
            }
            Self::Kafka(producer, _) => {
                Ok(producer.send(bytes).map_err(audit_core::Error::from)?)
            }
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
            Self::Kafka(producer, _) => Ok(producer.flush().map_err(audit_core::Error::from)?),
        }
    }
}

fn connect(brokers: &str, topic: &str) -> Result<Box<Producer>> {
    let producer = Producer::connect(brokers, topic, &BTreeMap::new());
    Ok(Box::new(producer.map_err(audit_core::Error::from)?))
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

/// Writes the tables and the configuration that names them into a folder.
fn write_lookups(dir: &Path, lookups: &Lookups) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("making the folder {}", dir.display()))?;
    let files = [
        ("roles.csv", &lookups.roles),
        ("networks.csv", &lookups.networks),
        ("holidays.csv", &lookups.holidays),
        ("audit-host.toml", &lookups.config),
    ];
    for (name, content) in files {
        let path = dir.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn write_lines<T: Display>(path: &Path, lines: impl Iterator<Item = T>) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use audit_generate::Intensity;
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn settings_of(flags: &str) -> Result<Settings, String> {
        let args = ["audit-host", "generate"].into_iter().chain(flags.split_whitespace());
        let Some(Command::Generate(args)) = Cli::parse_from(args).command else {
            panic!("another command");
        };
        settings(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn an_attack_that_needs_an_office_gets_one() {
        let population = |flags| settings_of(flags).unwrap().population;
        assert_eq!(population(""), Population::Pattern);
        assert_eq!(population("--attacks failed-logins --step 9ms"), Population::Pattern);
        assert_eq!(population("--attacks failed-logins,off-hours"), Population::Office);
        assert_eq!(population("--population office"), Population::Office);
        let all = settings_of("--attacks all --intensity high --disorder all").unwrap();
        assert_eq!((all.attacks.len(), all.disorder.len(), all.users), (8, 5, 50));
        assert_eq!(all.intensity, Intensity::High);
    }

    #[test]
    fn flags_that_do_not_go_together_say_what_would() {
        let refused = |flags: &str, words: &[&str]| {
            let error = settings_of(flags).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{flags}: {error}");
        };
        let office = "--population office";
        refused("--population pattern --attacks ip-spread", &["--attacks", "ip-spread", office]);
        refused("--intensity low", &["--intensity", office]);
        refused("--disorder late", &["--disorder", office]);
        refused("--lookups tables", &["--lookups", office]);
        refused("--attacks all --step 1s", &["--step", "leave it out"]);
        refused("--attacks all --users 5", &["--users", "20"]);
        refused("--kafka-time generated", &["--kafka-time", "--to kafka"]);
    }
}
