//! The partitions of the topics, where each starts, and where it ended at the start.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use audit_core::{LeaderEpoch, TopicPartition};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};

use crate::error::{Error, LogEnd};
use crate::ffi::{Client, topic_id};
use crate::settings::{ASK_TIMEOUT, Settings, Start};

/// Where one partition starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartAt {
    /// The offset up to which everything is covered.
    pub(crate) next: i64,
    /// The offset to fetch first. It is after `next` only if records were deleted and the user chose to continue.
    pub(crate) fetch_from: i64,
    /// Where the partition ended when it was looked at.
    pub(crate) end: i64,
    /// The leader that wrote the last record before `next`; `None` if that cannot be validated.
    pub(crate) leader_epoch: Option<LeaderEpoch>,
}

/// A partition as the brokers describe it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) id: i32,
    /// The broker that leads it, if one does.
    pub(crate) leader: Option<i32>,
}

/// What can be read at the start, and what has to wait for a leader.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) starts: HashMap<TopicPartition, StartAt>,
    pub(crate) leaderless: HashSet<TopicPartition>,
}

/// Finds every partition of the topics and where to start in it. A partition whose leader is missing or does not
/// answer must not keep the others waiting.
pub(crate) fn plan(
    consumer: &Client,
    settings: &Settings,
    topics: &[Arc<str>],
) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let mut silent = HashSet::new();
    for topic in topics {
        for listed in partitions(consumer, settings, topic, ASK_TIMEOUT)? {
            let partition = TopicPartition::new(topic, listed.id);
            let leader = listed.leader.filter(|leader| !silent.contains(leader));
            let found = match leader {
                Some(_) => start_of(consumer, settings, &partition, ASK_TIMEOUT),
                None => Ok(None),
            };
            match (found?, listed.leader) {
                (Some(start), _) => {
                    plan.starts.insert(partition, start);
                }
                (None, leader) => {
                    // Each of its partitions would wait as long.
                    silent.extend(leader);
                    tracing::warn!(
                        %partition,
                        "partition has no leader that answers; the others are read, this one as soon as it does"
                    );
                    plan.leaderless.insert(partition);
                }
            }
        }
    }
    Ok(plan)
}

/// What the brokers say of a topic that exists.
fn metadata(
    consumer: &Client,
    settings: &Settings,
    topic: &str,
    max_wait: Duration,
) -> Result<Metadata, Error> {
    let metadata = consumer
        .fetch_metadata(Some(topic), max_wait)
        .map_err(|cause| settings.unreachable(topic, max_wait, cause))?;
    let exists = |found: &MetadataTopic| {
        found.name() == topic && found.error().is_none() && !found.partitions().is_empty()
    };
    if metadata.topics().iter().any(exists) {
        return Ok(metadata);
    }
    Err(Error::NoSuchTopic { topic: topic.to_owned(), brokers: settings.brokers.clone() })
}

/// The partitions of a topic.
pub(crate) fn partitions(
    consumer: &Client,
    settings: &Settings,
    topic: &str,
    max_wait: Duration,
) -> Result<Vec<Listed>, Error> {
    let metadata = metadata(consumer, settings, topic, max_wait)?;
    let ours = metadata.topics().iter().filter(|found| found.name() == topic);
    let listed = ours.flat_map(MetadataTopic::partitions).map(|partition| Listed {
        id: partition.id(),
        leader: Some(partition.leader()).filter(|leader| *leader >= 0),
    });
    Ok(listed.collect())
}

/// The oldest offset of the partition, and the offset that its next record will get; `None` while its leader does not
/// answer.
pub(crate) fn watermarks(
    consumer: &Client,
    partition: &TopicPartition,
    max_wait: Duration,
) -> Result<Option<(i64, i64)>, Error> {
    match consumer.fetch_watermarks(&partition.topic, partition.partition, max_wait) {
        Ok(found) => Ok(Some(found)),
        Err(cause) if is_transient(&cause) => Ok(None),
        Err(cause) => Err(Error::Watermarks { partition: partition.clone(), cause }),
    }
}

/// Where partitions end now: the offset of the next record that can be read. `None` of those whose leader is missing or
/// does not answer; each broker is asked by itself, so that one that is down takes no answer from the others.
pub(crate) fn ends(
    consumer: &Client,
    settings: &Settings,
    topics: &[Arc<str>],
    asked: &[TopicPartition],
    max_wait: Duration,
) -> Vec<(TopicPartition, Option<i64>)> {
    let mut by_leader: HashMap<i32, Vec<&TopicPartition>> = HashMap::new();
    for topic in topics {
        let listed = partitions(consumer, settings, topic, max_wait).unwrap_or_default();
        for Listed { id, leader } in listed {
            let found = asked.iter().find(|at| at.topic == *topic && at.partition == id);
            if let (Some(at), Some(leader)) = (found, leader) {
                by_leader.entry(leader).or_default().push(at);
            }
        }
    }
    let mut found = HashMap::new();
    for partitions in by_leader.values() {
        match ends_of_one(consumer, partitions, max_wait) {
            Ok(ends) => found.extend(ends),
            Err(error) => tracing::debug!(%error, "a broker does not say where its partitions end"),
        }
    }
    asked.iter().map(|at| (at.clone(), found.get(at).copied())).collect()
}

/// The same for partitions of one leader.
fn ends_of_one<'a>(
    consumer: &Client,
    partitions: &[&'a TopicPartition],
    max_wait: Duration,
) -> Result<Vec<(&'a TopicPartition, i64)>, KafkaError> {
    let mut list = TopicPartitionList::new();
    for at in partitions {
        list.add_partition_offset(&at.topic, at.partition, Offset::End)?;
    }
    let found = consumer.offsets_for_times(list, max_wait)?;
    let end_of = |at: &&'a TopicPartition| {
        let element = found.find_partition(&at.topic, at.partition)?;
        match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(end)) => Some((*at, end)),
            _ => None,
        }
    };
    Ok(partitions.iter().filter_map(end_of).collect())
}

/// Whether another leader, or the same one later, may answer.
fn is_transient(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::WaitCache
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::RequestTimedOut
                | Code::BrokerNotAvailable
                | Code::ReplicaNotAvailable
                | Code::NetworkException
                | Code::KafkaStorageError
                | Code::OffsetNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
        )
    )
}

/// Where to start in a partition; `None` while its leader does not answer.
pub(crate) fn start_of(
    consumer: &Client,
    settings: &Settings,
    partition: &TopicPartition,
    max_wait: Duration,
) -> Result<Option<StartAt>, Error> {
    let Some((oldest, newest)) = watermarks(consumer, partition, max_wait)? else {
        return Ok(None);
    };
    let leader_epoch = settings.leader_epochs.get(partition).copied();
    let (next, fetch_from) = match settings.resume.get(partition) {
        None if settings.start == Start::Latest && !settings.knows_topic(partition) => {
            (newest, newest)
        }
        None => (oldest, oldest),
        Some(&wanted) if wanted > newest => {
            return Err(ends_too_early(settings, partition, wanted, newest));
        }
        Some(&wanted) if wanted < oldest => {
            let missing = oldest - wanted;
            if !settings.continue_on_gap {
                let partition = partition.clone();
                return Err(Error::Gap { partition, wanted, oldest, missing });
            }
            tracing::error!(%partition, wanted, oldest, missing, "skipping deleted records");
            (wanted, oldest)
        }
        Some(&wanted) => (wanted, wanted),
    };
    // The log must still have the place that is asked about.
    let leader_epoch = leader_epoch.filter(|last| last.end <= next && last.end >= oldest);
    Ok(Some(StartAt { next, fetch_from, end: newest, leader_epoch }))
}

/// The log ends before what the table has of it. A topic with the same id as ever has lost records.
fn ends_too_early(
    settings: &Settings,
    partition: &TopicPartition,
    wanted: i64,
    newest: i64,
) -> Error {
    let partition = partition.clone();
    match settings.leader_epochs.get(&partition) {
        Some(last) if settings.topic_ids.contains_key(&*partition.topic) => Error::LogTruncated {
            partition,
            offset: wanted,
            epoch: last.epoch,
            end: LogEnd(Some(newest)),
        },
        _ => Error::TopicIsNewer { partition, wanted, newest },
    }
}

/// Where to start in a partition that was added to a topic during the run: at its oldest record.
pub(crate) fn start_of_new(
    consumer: &Client,
    partition: &TopicPartition,
    max_wait: Duration,
) -> Result<Option<StartAt>, Error> {
    let found = watermarks(consumer, partition, max_wait)?;
    Ok(found.map(|(oldest, newest)| StartAt {
        next: oldest,
        fetch_from: oldest,
        end: newest,
        leader_epoch: None,
    }))
}

/// Kafka's ids of the topics. A topic whose id is not the one that is `known` was recreated: its offsets mean other
/// records, and continuing would skip as many as the table holds.
pub(crate) fn check_topic_ids(
    consumer: &Client,
    settings: &Settings,
    known: &HashMap<String, String>,
    max_wait: Duration,
) -> Result<HashMap<String, String>, Error> {
    let mut ids = HashMap::new();
    for topic in &settings.topics {
        let broker = connected_broker(consumer, settings, topic, max_wait)?;
        let answer = topic_id(consumer, broker, topic, max_wait)
            .map_err(|problem| Error::TopicId { topic: topic.clone(), problem })?;
        // Brokers older than 2.8 and the embedded one have no ids.
        let Some(found) = answer else { continue };
        check_topic_id(topic, &found, known)?;
        ids.insert(topic.clone(), found);
    }
    Ok(ids)
}

/// A broker that has just answered. An admin request is sent to a named broker, waits until that one is connected, and
/// does not connect it; the connection to the bootstrap address may be another one.
fn connected_broker(
    consumer: &Client,
    settings: &Settings,
    topic: &str,
    max_wait: Duration,
) -> Result<i32, Error> {
    let metadata = metadata(consumer, settings, topic, max_wait)?;
    let mut asked = HashSet::new();
    for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
        let leader = partition.leader();
        if leader >= 0
            && asked.insert(leader)
            && consumer.fetch_watermarks(topic, partition.id(), max_wait).is_ok()
        {
            return Ok(leader);
        }
    }
    Ok(metadata.orig_broker_id())
}

/// Compares the id of one topic with the one that is known.
pub(crate) fn check_topic_id(
    topic: &str,
    found: &str,
    known: &HashMap<String, String>,
) -> Result<(), Error> {
    match known.get(topic) {
        Some(known) if known != found => Err(Error::TopicRecreated {
            topic: topic.to_owned(),
            known: known.clone(),
            found: found.to_owned(),
        }),
        _ => Ok(()),
    }
}
