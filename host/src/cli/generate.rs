//! `audit-host generate`.

use std::path::PathBuf;
use std::str::FromStr;

use audit_generate::{Attack, Disorder, Intensity, Population};
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::LogArgs;

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// How many events
    #[arg(long, default_value_t = 250)]
    pub(crate) count: u64,
    /// Events a second; as fast as possible if absent
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// The same seed and settings give the same bytes
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Who acts: pattern (uniform in everything) or office (people with roles, hours and addresses)
    /// [default: office if an attack needs it, else pattern]
    #[arg(long, value_name = "NAME")]
    pub(crate) population: Option<Population>,
    /// How many different users [default: 5; in an office 50, at least 20]
    #[arg(long)]
    pub(crate) users: Option<usize>,
    /// Time of the first event
    #[arg(long, default_value = "2025-01-16T08:00:00Z", value_name = "RFC3339")]
    pub(crate) start: Timestamp,
    /// The pattern's time between two events, for example 9ms [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub(crate) step: Option<String>,
    /// Attacks to mix in: all, or failed-logins, password-spray, login-after-attack, off-hours,
    /// ip-spread, privilege-change, unusual-volume, mass-export
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) attacks: Vec<OneOrAll<Attack>>,
    /// How often attacks come to an office and how far above thresholds: low, medium or high
    /// [default: medium]
    #[arg(long, value_name = "NAME")]
    pub(crate) intensity: Option<Intensity>,
    /// What goes wrong on an office's way to Kafka: all, or duplicates, late, out-of-order, future,
    /// forged
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) disorder: Vec<OneOrAll<Disorder>>,
    /// Mix further personal data into the details
    #[arg(long)]
    pub(crate) pii: bool,
    /// Where events go: stdout, file:PATH or kafka (with --brokers and --topic)
    #[arg(long, default_value = "stdout", value_name = "TARGET")]
    pub(crate) to: String,
    /// Kafka brokers: HOST:PORT[,HOST:PORT]
    #[arg(long, env = "AUDIT_HOST_BROKERS", value_name = "LIST")]
    pub(crate) brokers: Option<String>,
    /// Kafka topic; must exist unless --partitions is given
    #[arg(long, env = "AUDIT_HOST_TOPIC")]
    pub(crate) topic: Option<String>,
    /// Create the topic with so many partitions if it is absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// The time of Kafka records: sent (now) or generated (when the event arrives in its own time)
    #[arg(long, value_enum, default_value_t = KafkaTime::Sent, value_name = "WHICH")]
    pub(crate) kafka_time: KafkaTime,
    /// Write what was attacked to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Write an office's roles, networks and holidays to this folder, and a configuration with them
    #[arg(long, value_name = "DIR")]
    pub(crate) lookups: Option<PathBuf>,
    /// Write every sensitive value that the events hold to this file, one a line, for tests
    #[arg(long, value_name = "FILE")]
    pub(crate) pii_values: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KafkaTime {
    Sent,
    Generated,
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
