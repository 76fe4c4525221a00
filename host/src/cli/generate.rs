//! `audit-host generate`.

use std::path::PathBuf;
use std::str::FromStr;

use audit_generate::{Attack, Disorder, Intensity, Population};
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::log::LogArgs;
use crate::config::{CommandLine, Kafka};

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Number of events
    #[arg(long, value_name = "N", default_value_t = 250)]
    pub(crate) count: u64,
    /// Events per second [default: as fast as possible]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// The same seed and settings give the same bytes
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Who acts: pattern (everything is uniform) or office (people with roles, hours and addresses)
    /// [default: office if an attack needs it, else pattern]
    #[arg(long, value_name = "NAME")]
    pub(crate) population: Option<Population>,
    /// Number of different users; an office needs at least 20 [default: 5; in an office 50]
    #[arg(long, value_name = "N")]
    pub(crate) users: Option<usize>,
    /// Time of the first event
    #[arg(long, default_value = "2025-01-16T08:00:00Z", value_name = "RFC3339")]
    pub(crate) start: Timestamp,
    /// Time between two events of the pattern, for example 9ms; not for an office [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub(crate) step: Option<String>,
    /// Attacks to mix in: all, or failed-logins, password-spray, login-after-attack, off-hours,
    /// ip-spread, privilege-change, unusual-volume, mass-export
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) attacks: Vec<OneOrAll<Attack>>,
    /// How often an office is attacked and how far above thresholds: low, medium or high
    /// [default: medium]
    #[arg(long, value_name = "NAME")]
    pub(crate) intensity: Option<Intensity>,
    /// What goes wrong between an office and Kafka: all, or duplicates, late, out-of-order, future,
    /// forged
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) disorder: Vec<OneOrAll<Disorder>>,
    /// Add more personal data to details
    #[arg(long)]
    pub(crate) pii: bool,
    /// Where to write events: stdout, file:PATH or kafka (with --brokers and --topic)
    #[arg(long, default_value = "stdout", value_name = "TARGET")]
    pub(crate) to: String,
    /// Configuration file whose [kafka] has brokers, topic and properties, as for TLS and a login
    #[arg(long, env = CommandLine::config().variable(), value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Kafka brokers: HOST:PORT[,HOST:PORT]
    #[arg(long, env = Kafka::brokers().variable(), value_name = "LIST")]
    pub(crate) brokers: Option<String>,
    /// Kafka topic; must exist unless --partitions is given
    #[arg(long, env = Kafka::topics().variable())]
    pub(crate) topic: Option<String>,
    /// Create the topic with this number of partitions if it is absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// Timestamp of Kafka records: sent (now), generated (when the event would have arrived), or distinct (as
    /// generated, but at least 1 ms after the record before)
    #[arg(long, value_enum, default_value_t = KafkaTime::Sent, value_name = "WHICH")]
    pub(crate) kafka_time: KafkaTime,
    /// Write labels of attacks and near misses to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Write an office's roles, networks and holidays to this folder, with a configuration that uses them
    #[arg(long, value_name = "DIR")]
    pub(crate) lookups: Option<PathBuf>,
    /// Write every sensitive value of the events to this file, one per line, for tests
    #[arg(long, value_name = "FILE")]
    pub(crate) pii_values: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KafkaTime {
    Sent,
    Generated,
    Distinct,
}

/// One of a list by its name, or `all` of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OneOrAll<T> {
    One(T),
    All,
}

impl<T: FromStr> FromStr for OneOrAll<T> {
    type Err = T::Err;

    fn from_str(name: &str) -> Result<Self, T::Err> {
        if name == "all" { Ok(Self::All) } else { name.parse().map(Self::One) }
    }
}

impl<T: Copy> OneOrAll<T> {
    /// What was chosen out of `all`.
    pub(crate) fn chosen(choices: &[Self], all: &[T]) -> Vec<T> {
        let of = |choice: &Self| match choice {
            Self::One(one) => vec![*one],
            Self::All => all.to_vec(),
        };
        choices.iter().flat_map(of).collect()
    }
}
