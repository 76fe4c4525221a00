//! `audit-host generate`: synthetic audit events.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use audit_generate::{Attack, Disorder, EventMeta, Generator, Lookups, Population, Settings};
use audit_source::{Producer, Properties};

use crate::cli::{GenerateArgs, KafkaTime, OneOrAll};
use crate::config::{self, parse_duration};
use crate::error::Error;
use crate::stdout::is_broken_pipe;

/// Events between two looks at the clock.
const PACE_EVERY: u64 = 64;

pub(crate) async fn run(args: GenerateArgs) -> Result<()> {
    if let (Some(partitions), "kafka") = (args.partitions, args.to.as_str()) {
        let Kafka { brokers, topic, properties } = Kafka::of(&args)?;
        Producer::create_topic(&brokers, &topic, partitions, &properties).await?;
    }
    tokio::task::spawn_blocking(move || generate(&args)).await?
}

/// Where to send events, and how to connect there.
struct Kafka {
    brokers: String,
    topic: String,
    properties: Properties,
}

impl Kafka {
    /// What flags and variables say, over what the configuration file does.
    fn of(args: &GenerateArgs) -> Result<Self, config::Error> {
        let file = config::kafka_of(args.config.as_deref())?;
        config::warn_of_open_secrets(&file.properties, args.config.as_deref());
        let properties = config::read_all(&file.properties)?;
        let missing = |what, flag, variable| config::Error::MissingFlag {
            of: "--to kafka",
            what,
            flag,
            variable,
        };
        let no_brokers = missing("the list of brokers", "--brokers", "AUDIT_HOST_BROKERS");
        let no_topic = missing("the topic", "--topic", "AUDIT_HOST_TOPIC");
        // Of several topics the user must say which one.
        let only_topic = (file.topics.len() == 1).then(|| file.topics.concat());
        Ok(Self {
            brokers: args.brokers.clone().or(file.brokers).ok_or(no_brokers)?,
            topic: args.topic.clone().or(only_topic).ok_or(no_topic)?,
            properties,
        })
    }
}

fn generate(args: &GenerateArgs) -> Result<()> {
    let settings = settings(args)?;
    send_to(Out::open(args)?, settings, args)
}

/// Sends the events, then writes what was asked for beside them.
fn send_to(mut out: Out, settings: Settings, args: &GenerateArgs) -> Result<()> {
    let mut generator = Generator::new(settings.clone());
    let sent = send_all(&mut generator, &mut out, args.rate);
    match (sent, &out) {
        // A reader that closes the pipe, as `head` does, is not an error. Events that did not reach it are in
        // no label.
        (Err(error), Out::Lines(lines)) if is_broken_pipe(&error) => {
            let n_given = lines.get_ref().n_written;
            tracing::warn!(events = n_given, "the reader closed the pipe; stopping");
            generator = made_again(settings, n_given);
        }
        (sent, _) => sent?,
    }
    write_beside(&generator, args)
}

/// The generator after so many events: the same settings give the same events.
fn made_again(settings: Settings, n_events: u64) -> Generator {
    let mut generator = Generator::new(Settings { count: n_events, ..settings });
    let mut event = Vec::new();
    while generator.next_event(&mut event).is_some() {
        event.clear();
    }
    generator
}

fn write_beside(generator: &Generator, args: &GenerateArgs) -> Result<()> {
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
    if let (Some(name), true) = (name_of(args.kafka_time), args.to != "kafka") {
        return Err(refused("--kafka-time", &name, "is for --to kafka"));
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

/// How the times of a generator's own are chosen by a flag; none for the time of the sending.
fn name_of(kafka_time: KafkaTime) -> Option<&'static str> {
    match kafka_time {
        KafkaTime::Sent => None,
        KafkaTime::Generated => Some("generated"),
        KafkaTime::Distinct => Some("distinct"),
    }
}

/// Sends every event of a generator, at most `rate` per second.
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
    Lines(BufWriter<Lines>),
    Kafka(Box<Producer>, Stamp),
}

/// Which times records get.
pub(crate) struct Stamp {
    which: KafkaTime,
    /// That of the newest record, in milliseconds since 1970.
    last_ms: i64,
}

impl Stamp {
    fn new(which: KafkaTime) -> Self {
        Self { which, last_ms: i64::MIN }
    }

    /// The time of the next record; none if it is that of its sending.
    fn next(&mut self, arrived_us: i64) -> Option<i64> {
        let ms = arrived_us.div_euclid(1000);
        self.last_ms = match self.which {
            KafkaTime::Sent => return None,
            KafkaTime::Generated => ms,
            // Records of one millisecond in several partitions have no order.
            KafkaTime::Distinct => ms.max(self.last_ms.saturating_add(1)),
        };
        Some(self.last_ms)
    }
}

impl Out {
    fn open(args: &GenerateArgs) -> Result<Self> {
        match args.to.as_str() {
            "stdout" => {
                // Not through the buffer of the standard library, which does not report what left it.
                let stdout = io::stdout().as_fd().try_clone_to_owned();
                Ok(Self::lines(stdout.context("opening the standard output")?.into()))
            }
            "kafka" => {
                let Kafka { brokers, topic, properties } = Kafka::of(args)?;
                let producer = connect(&brokers, &topic, &properties)?;
                Ok(Self::Kafka(producer, Stamp::new(args.kafka_time)))
            }
            other => match other.strip_prefix("file:").filter(|path| !path.is_empty()) {
                Some(path) => Ok(Self::lines(create(Path::new(path))?)),
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
        let producer = connect(brokers, topic, &Properties::default())?;
        Ok(Self::Kafka(producer, Stamp::new(KafkaTime::Sent)))
    }

    fn lines(to: File) -> Self {
        Self::Lines(BufWriter::new(Lines { to, n_written: 0 }))
    }

    fn send(&mut self, event: &[u8], meta: &EventMeta) -> Result<()> {
        if let Self::Kafka(producer, stamp) = self
            && let Some(time_ms) = stamp.next(meta.received_time_us)
        {
            return Ok(producer.send_at(event, time_ms)?);
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
            Self::Kafka(producer, _) => Ok(producer.send(bytes)?),
        }
    }

    /// Waits, after flushing what was sent so far.
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
            Self::Kafka(producer, _) => Ok(producer.flush()?),
        }
    }
}

/// A file, or a pipe whose reader may end before the events do.
pub(crate) struct Lines {
    to: File,
    /// Whole lines that were written.
    n_written: u64,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        let written = bytes.get(..n).unwrap_or(bytes);
        self.n_written += written.split(|byte| *byte == b'\n').skip(1).count() as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn connect(brokers: &str, topic: &str, properties: &Properties) -> Result<Box<Producer>> {
    Ok(Box::new(Producer::connect(brokers, topic, properties)?))
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
    fs::create_dir_all(dir).map_err(Error::file("creating the folder", dir))?;
    let files = [
        ("roles.csv", &lookups.roles),
        ("networks.csv", &lookups.networks),
        ("holidays.csv", &lookups.holidays),
        ("audit-host.toml", &lookups.config),
    ];
    for (name, content) in files {
        let path = dir.join(name);
        fs::write(&path, content).map_err(Error::file("writing", &path))?;
    }
    Ok(())
}

fn write_lines<T: Display>(path: &Path, lines: impl Iterator<Item = T>) -> Result<()> {
    let mut file = BufWriter::new(create(path)?);
    for line in lines {
        writeln!(file, "{line}").map_err(Error::file("writing", path))?;
    }
    Ok(file.flush().map_err(Error::file("writing", path))?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;

    use audit_generate::{Intensity, Label};
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args_of(flags: &str) -> GenerateArgs {
        let args = ["audit-host", "generate"].into_iter().chain(flags.split_whitespace());
        let Some(Command::Generate(args)) = Cli::parse_from(args).command else {
            panic!("another command");
        };
        args
    }

    fn settings_of(flags: &str) -> Result<Settings, String> {
        settings(&args_of(flags)).map_err(|error| error.to_string())
    }

    #[test]
    fn labels_are_of_what_a_reader_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.jsonl");
        let mut args = args_of("--attacks failed-logins --count 50000");
        args.labels = Some(path.clone());
        let (mut reader, writer) = io::pipe().unwrap();
        let reading = thread::spawn(move || {
            let mut some = vec![0; 1 << 20];
            reader.read_exact(&mut some).unwrap();
        });
        let out = Out::lines(OwnedFd::from(writer).into());
        let settings = settings(&args).unwrap();
        send_to(out, settings.clone(), &args).unwrap();
        reading.join().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let label = |line| serde_json::from_str::<Label>(line).unwrap();
        let labels: Vec<_> = text.lines().map(label).collect();
        // A MiB was read, and a pipe holds less than another: events have about 505 bytes.
        assert!(!labels.is_empty());
        assert!(labels.iter().flat_map(|label| &label.events).all(|event| *event < 2_600));
        let given = (1_900..2_600).find(|n| made_again(settings.clone(), *n).labels() == labels);
        assert!(given.is_some(), "of no whole number of events: {labels:?}");
    }

    #[test]
    fn distinct_times_grow_by_a_millisecond_at_least() {
        let times = |which| {
            let mut stamp = Stamp::new(which);
            [5_000, 5_400, 5_999, 6_000, 9_000, 9_000].map(|arrived| stamp.next(arrived))
        };
        assert_eq!(times(KafkaTime::Sent), [None; 6]);
        assert_eq!(times(KafkaTime::Generated), [5, 5, 5, 6, 9, 9].map(Some));
        assert_eq!(times(KafkaTime::Distinct), [5, 6, 7, 8, 9, 10].map(Some));
    }

    #[test]
    fn the_written_configuration_loads() {
        let folder = tempfile::tempdir().unwrap();
        let args = args_of("--population office --count 10");
        let generator = made_again(settings(&args).unwrap(), 10);
        write_lookups(folder.path(), &generator.lookups().unwrap()).unwrap();
        let config = Some(folder.path().join("audit-host.toml"));
        let places = config::PluginPlaces { config, ..config::PluginPlaces::default() };
        let (wanted, _) = places.look().unwrap();
        let names: Vec<_> =
            wanted.plugins.iter().filter_map(config::PluginEntry::builtin).collect();
        assert_eq!((names.len(), names.last()), (8, Some(&"redact_pii")));
        for definition in wanted.lookups.tables.values() {
            assert!(folder.path().join(&definition.file).is_file());
        }
        assert_eq!((wanted.lookups.tables.len(), wanted.lookups.calendars.len()), (2, 1));
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
        refused("--kafka-time generated", &["--kafka-time", "generated", "--to kafka"]);
        refused("--kafka-time distinct", &["--kafka-time", "distinct", "--to kafka"]);
    }
}
